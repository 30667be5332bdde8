// Texts of the same length through the layers side by side, each over its own tokens alone: what zs_model_read and zs_model_vary are made of.
#ifndef ZSLAB_MODEL_TEXT_PASS_H
#define ZSLAB_MODEL_TEXT_PASS_H

#include "model/rows.h"
#include "model/text_attention.h"
#include "zslab/heads.h"

namespace zs {

// Who multiplies rows is decided by their number (model/products.h). So that it is the same for a text alone, many side by side and the
// last rows of one, texts of few tokens are never read side by side, and of longer ones never fewer rows than this are asked for.
constexpr int64_t kLeastRows = kFewRows + 1;

class TextPass {
 public:
  // For at most `texts` texts of `tokens`; of the last layer's outputs at least the last `rows` rows are wanted.
  TextPass(zs_model& model, int64_t texts, int64_t tokens, int64_t rows, zs_call* stop);

  void start(const int32_t* ids);  // one text
  // `texts` copies of another's first text as it is between attend() and change().
  void start_from(const TextPass& other, int32_t layer, int64_t texts);

  // Queries, keys and values, not rotated: qkv().
  void project(int32_t layer);
  // Then what heads give, before the output projection.
  void attend(int32_t layer, const TextAttention::Statistics& statistics = {});
  void change(int32_t layer, int64_t text, const zs_head_change& change);
  // Then the rest of the layer.
  void finish(int32_t layer);

  int64_t texts() const { return texts_; }
  int64_t tokens() const { return tokens_; }
  int64_t first_row(int32_t layer) const;  // of one text: the first that a layer's outputs are computed of
  const float* hidden(int64_t text, int64_t row) const { return r_.hidden.data() + (text * tokens_ + row) * r_.stride; }
  const float* qkv(int64_t row) const { return r_.qkv.data() + row * qkv_stride_; }
  const float* attended(int64_t row) const { return r_.attended.data() + row * attended_stride_; }
  const TextAttention& attention() const { return attention_; }

 private:
  // f(row, rows) for chunks of rows from `from` of each text on: of several whole texts, or of one, cut as it would be alone.
  template <class F>
  void each_chunk(int64_t from, F f);

  zs_model& model_;
  const int64_t tokens_;
  const int64_t rows_;
  int64_t texts_ = 1;
  const int64_t qkv_stride_, attended_stride_;
  Rows r_;
  RowWork work_;
  TextAttention attention_;
  zs_call* stop_;
};

// Throws a sentence where a change does not fit the model, a value is not finite, or a head is changed twice.
void check_changes(const zs_model_config& config, int64_t tokens, const zs_head_change* changes, int64_t count);
// Throws a sentence for ids that are missing, not the model's, or more than its context, and rows outside 1..tokens.
void check_text(const zs_model_config& config, const int32_t* ids, int64_t tokens, int64_t rows);

}  // namespace zs
#endif
