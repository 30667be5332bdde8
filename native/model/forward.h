// What a forward asks for: that model and cache can take it, and the rows whose logits it needs.
#ifndef ZSLAB_MODEL_FORWARD_H
#define ZSLAB_MODEL_FORWARD_H

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "cpu/linear.h"
#include "model/runner.h"

namespace zs {

// Throws a sentence where the forward does not fit the model or what the cache has seen.
void check_forward(const zs_model& model, const zs_cache& cache, const zs_forward& forward);

// A row whose logits are needed.
struct NeededRow {
  const zs_forward* of;
  int64_t row;  // of the forward
  int64_t at;   // of the pass
};
// A forward's own, ascending; its rows begin at `first` of the pass. Throws std::bad_alloc.
void add_needed(const zs_forward& forward, int64_t first, std::vector<NeededRow>& to);

// Logits and log-probabilities to where they are asked for; logits_of(from, rows) → those of up to `together` rows needed[from] …
template <class F>
void give_logits(zs_model& model, const std::vector<NeededRow>& needed, int64_t together, zs_call* stop, F logits_of) {
  const zs_model_config& c = model.config;
  const LinearKernels& linear = *model.engine->linear;
  const int64_t count = static_cast<int64_t>(needed.size()), stride = model.weights.output.outputs();
  for (int64_t from = 0; from < count; from += together) {
    const int64_t rows = std::min(together, count - from);
    const float* const logits = logits_of(from, rows);
    const bool whole = model.engine->pool.run(rows, stop, [&](int64_t i, int) {
      const auto& [of, row, at] = needed[static_cast<size_t>(from + i)];
      const float* const scores = logits + i * stride;
      const int64_t *const end = of->rows + of->row_count, *const asked = std::lower_bound(of->rows, end, row);
      if (asked != end && *asked == row)
        std::copy_n(scores, c.vocabulary, of->logits + (asked - of->rows) * c.vocabulary);
      if (of->targets && of->targets[row] >= 0)
        of->logprobs[row] = static_cast<double>(scores[of->targets[row]]) - linear.log_sum_exp(scores, c.vocabulary);
    });
    if (!whole) check_abort(stop);
  }
}
// The same of rows of residual streams on the CPU.
void give_logits(zs_model& model, const std::vector<NeededRow>& needed, const Rows& rows, zs_call* stop);

}  // namespace zs
#endif
