#include "model/text_pass.h"

#include <cmath>

#include "model/runner.h"

namespace zs {

TextPass::TextPass(zs_model& model, int64_t texts, int64_t tokens, int64_t rows, zs_call* stop)
    : model_(model),
      tokens_(tokens),
      rows_(tokens <= kLeastRows ? tokens : std::max(rows, kLeastRows)),
      qkv_stride_(model.weights.layers[0].qkv.outputs()),
      attended_stride_(model.weights.layers[0].attention_output.k),
      r_(model.config, model.weights, texts * tokens + kTile, false, model.engine->pool.threads()),
      work_(model, r_, stop),
      attention_(*model.engine, model.config, texts, tokens),
      stop_(stop) {}

int64_t TextPass::first_row(int32_t layer) const { return layer + 1 == model_.config.layers ? tokens_ - rows_ : 0; }

template <class F>
void TextPass::each_chunk(int64_t from, F f) {
  const int64_t rows = tokens_ - from, most = r_.rows;
  if (from == 0 && rows <= most) {
    const int64_t whole = most / rows;
    for (int64_t text = 0; text < texts_; text += whole) f(text * tokens_, std::min(whole, texts_ - text) * tokens_);
    return;
  }
  const int64_t parts = (rows + most - 1) / most, each = (rows + parts - 1) / parts;  // about equal: none has few rows
  for (int64_t text = 0; text < texts_; ++text)
    for (int64_t row = from; row < tokens_; row += each) f(text * tokens_ + row, std::min(each, tokens_ - row));
}

void TextPass::start(const int32_t* ids) {
  texts_ = 1;
  work_.embed(ids, tokens_);
  work_.turn(0, tokens_, 0);
}

void TextPass::start_from(const TextPass& other, int32_t layer, int64_t texts) {
  texts_ = texts;
  const int64_t from = first_row(layer), pairs = model_.config.rope_dims / 2;
  std::copy_n(other.r_.angles.data(), tokens_ * pairs * 2, r_.angles.data());
  work_.each_row(texts * (tokens_ - from), [&](int64_t i, int) {
    const int64_t text = i / (tokens_ - from), row = from + i % (tokens_ - from), to = text * tokens_ + row;
    std::copy_n(other.hidden(0, row), r_.stride, r_.hidden.data() + to * r_.stride);
    std::copy_n(other.attended(row), attended_stride_, r_.attended.data() + to * attended_stride_);
  });
}

void TextPass::project(int32_t layer) {
  each_chunk(0,
             [&](int64_t row, int64_t count) { work_.project(layer, row, count, r_.qkv.data() + row * qkv_stride_); });
}

void TextPass::attend(int32_t layer, const TextAttention::Statistics& statistics) {
  work_.rotate(0, texts_ * tokens_, tokens_, r_.qkv.data());
  attention_.run(r_.qkv.data(), qkv_stride_, texts_, first_row(layer), r_.attended.data(), attended_stride_, statistics,
                 stop_);
}

void TextPass::change(int32_t layer, int64_t text, const zs_head_change& change) {
  const int64_t d = model_.config.head_dim;
  for (int64_t row = first_row(layer); row < tokens_; ++row) {
    float* const x = r_.attended.data() + (text * tokens_ + row) * attended_stride_ + change.head * d;
    if (change.kind == ZS_HEAD_ZERO)
      std::fill_n(x, d, 0.0f);
    else if (change.kind == ZS_HEAD_GATE)
      for (int64_t i = 0; i < d; ++i) x[i] *= change.gate;
    else
      std::copy_n(change.values + (change.kind == ZS_HEAD_ROWS ? row * d : 0), d, x);
  }
}

void TextPass::finish(int32_t layer) {
  each_chunk(first_row(layer), [&](int64_t row, int64_t count) {
    work_.feed_forward(layer, row, count, r_.attended.data() + row * attended_stride_);
  });
}

void check_changes(const zs_model_config& c, int64_t tokens, const zs_head_change* changes, int64_t count) {
  std::vector<bool> changed(static_cast<size_t>(c.layers) * static_cast<size_t>(c.heads));
  for (int64_t i = 0; i < count; ++i) {
    const zs_head_change& one = changes[i];
    if (one.layer < 0 || one.layer >= c.layers || one.head < 0 || one.head >= c.heads)
      fail(ZS_INVALID, "there is no layer %d, head %d: the model has layers 0 to %d and query heads 0 to %d", one.layer,
           one.head, c.layers - 1, c.heads - 1);
    if (one.kind < ZS_HEAD_ZERO || one.kind > ZS_HEAD_ROWS)
      fail(ZS_INVALID, "a change of kind %d, expected 0 (zero), 1 (gate), 2 (vector) or 3 (rows)", one.kind);
    const bool given = one.kind == ZS_HEAD_VECTOR || one.kind == ZS_HEAD_ROWS;
    if (given && !one.values)
      fail(ZS_INVALID, "layer %d, head %d is to become values that are missing", one.layer, one.head);
    const int64_t values = !given ? 0 : (one.kind == ZS_HEAD_ROWS ? tokens : 1) * c.head_dim;
    bool finite = one.kind != ZS_HEAD_GATE || std::isfinite(one.gate);
    for (int64_t j = 0; j < values; ++j) finite = finite && std::isfinite(one.values[j]);
    if (!finite) fail(ZS_INVALID, "layer %d, head %d is to become what is not finite", one.layer, one.head);
    const size_t at = static_cast<size_t>(one.layer) * static_cast<size_t>(c.heads) + static_cast<size_t>(one.head);
    if (changed[at])
      fail(ZS_INVALID, "layer %d, head %d is changed twice: give one change a head", one.layer, one.head);
    changed[at] = true;
  }
}

void check_text(const zs_model_config& c, const int32_t* ids, int64_t tokens, int64_t rows) {
  const auto n = [](int64_t value) { return static_cast<long long>(value); };
  if (!ids || tokens < 1) fail(ZS_INVALID, "a text of %lld ids, expected at least one", n(ids ? tokens : 0));
  if (tokens > c.context)
    fail(ZS_INVALID, "a text of %lld ids is longer than the model's context of %d: give fewer", n(tokens), c.context);
  for (int64_t i = 0; i < tokens; ++i)
    if (ids[i] < 0 || ids[i] >= c.vocabulary)
      fail(ZS_INVALID, "ids[%lld] = %d, expected a token id from 0 to %d", n(i), ids[i], c.vocabulary - 1);
  if (rows < 1 || rows > tokens)
    fail(ZS_INVALID, "rows = %lld, expected 1 to %lld, the tokens of the text", n(rows), n(tokens));
}

}  // namespace zs
