#include "model/extend_pass.h"

#include <algorithm>

#include "core/error.h"
#include "model/progress.h"

namespace zs {

ExtendPass::ExtendPass(zs_model& model, Rows& rows, std::vector<Extension>& extensions, DevicePass* there,
                       zs_call* stop)
    : model_(model), r_(rows), work_(model, rows, stop), extensions_(extensions), there_(there), stop_(stop) {
  for (Extension& one : extensions_) {
    one.first = static_cast<int64_t>(ids_.size());
    ids_.insert(ids_.end(), one.forward->ids, one.forward->ids + one.forward->tokens);
  }
}

bool ExtendPass::any() const {
  return std::any_of(extensions_.begin(), extensions_.end(), [](const Extension& one) { return !one.failed; });
}

template <class F>
void ExtendPass::each(F f) {
  for (Extension& one : extensions_) {
    if (one.failed) continue;
    try {
      f(one);
    } catch (...) {
      one.failed = std::current_exception();
    }
  }
}

void ExtendPass::run() {
  embed();
  for (int32_t l = 0; l < model_.config.layers && any(); ++l) layer(l);
}

void ExtendPass::embed() {
  // Caches that turn queries and keys themselves are given them as they are.
  for (const Extension& one : extensions_)
    if (!one.cache->needs.rotates) work_.turn(one.first, one.forward->tokens, cache_seq_len(*one.cache, 0));
  const int64_t rows = static_cast<int64_t>(ids_.size());
  if (there_)
    there_->embed(ids_.data(), rows, r_.angles.data());
  else
    work_.embed(ids_.data(), rows);
}

void ExtendPass::layer(int32_t layer) {
  const LayerWeights& w = model_.weights.layers[static_cast<size_t>(layer)];
  const int64_t rows = static_cast<int64_t>(ids_.size());
  const auto go_on = [this] { check_abort(stop_); };
  work_.each_chunk(0, rows, [&](int64_t row, int64_t count) {
    float* const qkv = r_.qkv.data() + row * w.qkv.outputs();
    if (there_)
      there_->project(layer, row, count, qkv, go_on);
    else
      work_.project(layer, row, count, qkv);
  });
  each([&](Extension& one) { attend(layer, one); });
  if (!any()) return;
  work_.each_chunk(0, rows, [&](int64_t row, int64_t count) {
    const float* const attended = r_.attended.data() + row * w.attention_output.k;
    if (there_)
      there_->feed_forward(layer, row, count, attended, go_on);
    else
      work_.feed_forward(layer, row, count, attended);
  });
  for (const Extension& one : extensions_) {
    const int64_t tokens = one.forward->tokens;
    if (!one.failed) report(one.report, (layer + 1) * tokens / model_.config.layers, tokens);
  }
}

void ExtendPass::attend(int32_t layer, Extension& one) {
  const zs_model_config& c = model_.config;
  const LayerWeights& w = model_.weights.layers[static_cast<size_t>(layer)];
  const int64_t tokens = one.forward->tokens, stride = w.qkv.outputs();
  float* const qkv = r_.qkv.data() + one.first * stride;
  const auto view = [&](int64_t head) { return zs_view{qkv + head * c.head_dim, c.head_dim, stride}; };
  const zs_view out{r_.attended.data() + one.first * w.attention_output.k, c.head_dim, w.attention_output.k};
  check_abort(one.stop);
  if (!there_ && !one.cache->needs.rotates) work_.rotate(one.first, tokens, static_cast<int64_t>(ids_.size()), qkv);
  cache_extend(*one.cache, layer, view(0), view(c.heads), view(c.heads + c.kv_heads), tokens, out, one.stop);
  if (one.forward->given) give(layer, one);
  const int64_t half = tokens * (2 * int64_t{layer} + 1) / (2 * int64_t{c.layers});
  report(one.report, half, tokens);
}

// Queries, keys and values lie side by side.
void ExtendPass::give(int32_t layer, const Extension& one) const {
  const zs_model_config& c = model_.config;
  const LayerWeights& w = model_.weights.layers[static_cast<size_t>(layer)];
  const int64_t attended = int64_t{c.heads} * c.head_dim, taken = attended + int64_t{2} * c.kv_heads * c.head_dim;
  const int64_t tokens = one.forward->tokens;
  float* to = one.forward->given + layer * tokens * (taken + attended);
  for (int64_t row = one.first; row < one.first + tokens; ++row) {
    to = std::copy_n(r_.qkv.data() + row * w.qkv.outputs(), taken, to);
    to = std::copy_n(r_.attended.data() + row * w.attention_output.k, attended, to);
  }
}

}  // namespace zs
