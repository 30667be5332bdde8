// What a layer does with rows beside attention, and the memory that it takes: norms, projections, rotation, feed-forward, logits.
#ifndef ZSLAB_MODEL_ROWS_H
#define ZSLAB_MODEL_ROWS_H

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "model/products.h"

struct zs_model;

namespace zs {

// Memory of one pass over `tokens`; zeros at first, so that what pads rows stays zero. What attends together is all of them, of a prompt a
// chunk. Without threads, what is between products is not there: a device has it.
struct Rows {
  Rows(const zs_model_config& config, const Weights& weights, int64_t tokens, bool prompt, int threads);

  int64_t rows;              // of a chunk of the products
  int64_t stride;            // of `hidden`
  Buffer hidden;             // [tokens][stride]: the residual stream
  Buffer qkv;                // [together][qkv.outputs()]
  Buffer attended;           // [together][attention_output.k]
  Buffer input;              // a chunk's input of a product: float32 or bfloat16
  Buffer active;             // a chunk's activated rows: float32 or bfloat16
  Buffer angles;             // [tokens][rope_dims / 2][2]
  std::vector<Buffer> line;  // of each thread: one row before it is rounded
};

class RowWork {
 public:
  RowWork(zs_model& model, Rows& rows, zs_call* stop);

  // f(row, thread) for rows [0, count): here where there are few.
  template <class F>
  void each_row(int64_t count, F f) {
    if (count <= kFewRows) {
      for (int64_t row = 0; row < count; ++row) f(row, 0);
      return;
    }
    const bool whole = pool_.run((count + kStageRows - 1) / kStageRows, stop_, [&](int64_t unit, int thread) {
      const int64_t end = std::min(count, (unit + 1) * kStageRows);
      for (int64_t row = unit * kStageRows; row < end; ++row) f(row, thread);
    });
    if (!whole) check_abort(stop_);
  }

  // f(row, rows) for each chunk of rows [from, to), in order.
  template <class F>
  void each_chunk(int64_t from, int64_t to, F f) {
    for (int64_t row = from; row < to; row += r_.rows) f(row, std::min(r_.rows, to - row));
  }

  // The residual stream of `count` ids.
  void embed(const int32_t* ids, int64_t count);
  // Angles of `count` rows from `row` on, at the positions `first` …
  void turn(int64_t row, int64_t count, int64_t first);
  // Queries, keys and values of a chunk: rows `row` … of the residual stream; not rotated.
  void project(int32_t layer, int64_t row, int64_t count, float* qkv);
  // Queries and keys of `count` rows by the angles of `row` …, which repeat after `period` rows.
  void rotate(int64_t row, int64_t count, int64_t period, float* qkv);
  // What heads gave to a chunk goes through the output projection into the residual stream, and that through the feed-forward layer.
  void feed_forward(int32_t layer, int64_t row, int64_t count, const float* attended);

 private:
  static constexpr int64_t kStageRows = 16;  // rows of a unit of row-wise work

  template <class F>
  void input(const Matrix& w, int64_t count, int64_t width, F make);
  void normed(const Matrix& w, int64_t row, int64_t count, const float* weight);

  zs_model& model_;
  Rows& r_;
  zs_call* stop_;
  Pool& pool_;
  const LinearKernels& linear_;
  decltype(LinearKernels::rms_norm) norm_;
};

// Memory for so many rows' logits; throws std::bad_alloc.
void need_logits(zs_model& model, int64_t rows);
// Logits [count][model.weights.output.outputs()] of rows of residual streams; always in float32 by our own kernels, so that a row's are the
// same whatever other rows are asked for. Valid until the model's next.
const float* row_logits(zs_model& model, const float* const* hidden, int64_t rows, zs_call* stop);

}  // namespace zs
#endif
