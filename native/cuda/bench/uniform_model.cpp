#include "cuda/bench/uniform_model.h"

#include <algorithm>

#include "cuda/rows.h"

namespace zs::bench {

UniformWeights::UniformWeights(const ModelShape& of) : shape(of) {
  output = matrix(of.vocabulary, of.hidden);
  const int64_t attended = int64_t{of.heads} * of.d;
  for (int32_t l = 0; l < of.layers && there(); ++l)
    layers.push_back({matrix(of.projected(), of.hidden), matrix(of.hidden, attended),
                      matrix(int64_t{2} * of.inner, of.hidden), matrix(of.hidden, of.inner)});
  norm = reinterpret_cast<const float*>(arrays_.filled(int64_t{4} * of.hidden));
}

cuda::Matrix UniformWeights::matrix(int64_t outputs, int64_t k) {
  cuda::Matrix made{nullptr, ZS_BF16, outputs, k};
  made.data = arrays_.filled(made.bytes());
  bytes_ += made.bytes();
  return made;
}

UniformStep::UniformStep(const UniformWeights& weights, int batch, Held held) : weights_(weights), batch_(batch) {
  const ModelShape& m = weights.shape;
  const int64_t attended = int64_t{m.heads} * m.d, widest = std::max<int64_t>({m.hidden, attended, m.inner});
  residual_ = arrays_.room<float>(int64_t{batch} * m.hidden);
  qkv_ = arrays_.room<float>(batch * m.projected());
  attended_ = arrays_.room<float>(batch * attended);
  scratch_ = arrays_.room<float>(int64_t{batch} * 2 * m.inner);
  logits_ = arrays_.room<float>(int64_t{batch} * m.vocabulary);
  angles_ = reinterpret_cast<float*>(arrays_.filled(int64_t{4} * m.d));
  input_ = arrays_.room<float>(batch * widest);
  active_ = arrays_.room<float>(int64_t{batch} * m.inner);
  ids_ = arrays_.list(std::vector<int32_t>(static_cast<size_t>(batch), 1));
  positions_ = arrays_.list(std::vector<int32_t>(static_cast<size_t>(batch), 0));
  chosen_ = arrays_.room<cuda::LogitsSummary>(batch);
  const LayerShape shape{ZS_BF16,      batch,       m.kv_heads,      m.heads / m.kv_heads, m.d,
                         {held.slots}, held.merged, held.compressed, held.compressed};
  const LayerRows rows{qkv_,      qkv_ + attended, qkv_ + attended + int64_t{m.kv_heads} * m.d,
                       attended_, m.projected(),   attended};
  for (int32_t l = 0; l < m.layers && there(); ++l) {
    layers_.push_back(std::make_unique<UniformLayer>(shape, rows));
    cache_bytes_ += shape.cache_bytes();
  }
}

bool UniformStep::there() const {
  return arrays_.there() && std::all_of(layers_.begin(), layers_.end(), [](const auto& one) { return one->there(); });
}

std::string UniformStep::multiply(const cuda::Matrix& w, const void* x, cuda::Then then, void* y, int64_t stride,
                                  gpu::Stream stream) {
  return products_.multiply({w, x, batch_, then, y, stride, scratch_}, stream);
}

std::string UniformStep::norm(const cuda::Matrix& w, gpu::Stream stream) {
  const ModelShape& m = weights_.shape;
  return cuda::rms_norm(
      {residual_, m.hidden, weights_.norm, m.hidden, 1e-5f, cuda::rows_storage(w, batch_), input_, w.k}, batch_,
      stream);
}

std::string UniformStep::layer(size_t index, gpu::Stream stream) {
  const ModelShape& m = weights_.shape;
  const UniformWeights::Layer& w = weights_.layers[index];
  std::string wrong = norm(w.qkv, stream);
  const auto then = [&](auto work) {
    if (wrong.empty()) wrong = work();
  };
  then([&] { return multiply(w.qkv, input_, cuda::Then::kStore, qkv_, m.projected(), stream); });
  then([&] {
    return cuda::rotate({qkv_, m.projected(), m.heads + m.kv_heads, m.d, m.d / 2, angles_, positions_}, batch_, stream);
  });
  then([&] { return layers_[index]->step(stream); });
  then([&] { return multiply(w.attention_output, attended_, cuda::Then::kAdd, residual_, m.hidden, stream); });
  then([&] { return norm(w.gate_up, stream); });
  then([&] { return multiply(w.gate_up, input_, cuda::Then::kActivate, active_, m.inner, stream); });
  then([&] { return multiply(w.down, active_, cuda::Then::kAdd, residual_, m.hidden, stream); });
  return wrong;
}

std::string UniformStep::launch(gpu::Stream stream) {
  const ModelShape& m = weights_.shape;
  std::string wrong = cuda::embed(
      {ids_, weights_.output.data, weights_.output.k, ZS_BF16, m.hidden, residual_, m.hidden}, batch_, stream);
  for (size_t l = 0; l < layers_.size() && wrong.empty(); ++l) wrong = layer(l, stream);
  if (wrong.empty()) wrong = norm(weights_.output, stream);
  if (wrong.empty()) wrong = multiply(weights_.output, input_, cuda::Then::kStore, logits_, m.vocabulary, stream);
  if (wrong.empty()) wrong = cuda::summarize_logits(logits_, m.vocabulary, m.vocabulary, chosen_, batch_, stream);
  return wrong;
}

}  // namespace zs::bench
