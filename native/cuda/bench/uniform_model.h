// A model's step over weights and caches of which nothing is known but their sizes: the launches of backend/model.cpp, for one token of
// each of `batch` sequences.
#ifndef ZSLAB_CUDA_BENCH_UNIFORM_MODEL_H
#define ZSLAB_CUDA_BENCH_UNIFORM_MODEL_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cuda/bench/uniform_layer.h"
#include "cuda/logits.h"
#include "cuda/products.h"

namespace zs::bench {

struct ModelShape {
  const char* name;
  int32_t layers, hidden, heads, kv_heads, d, inner, vocabulary;

  int64_t projected() const { return (heads + int64_t{2} * kv_heads) * d; }
};

// bfloat16; one output for all that embeds, too.
class UniformWeights {
 public:
  struct Layer {
    cuda::Matrix qkv, attention_output, gate_up, down;
  };
  explicit UniformWeights(const ModelShape& shape);
  bool there() const { return arrays_.there(); }
  int64_t bytes() const { return bytes_; }

  const ModelShape shape;
  cuda::Matrix output;
  std::vector<Layer> layers;
  const float* norm = nullptr;

 private:
  cuda::Matrix matrix(int64_t outputs, int64_t k);
  cuda::Arrays arrays_;
  int64_t bytes_ = 0;
};

// What each kv head of each sequence holds, the new token with it.
struct Held {
  int32_t slots, merged;
  bool compressed;  // scores are kept, and at each step somebody leaves
};

class UniformStep {
 public:
  // `weights` stay there as long as it.
  UniformStep(const UniformWeights& weights, int batch, Held held);
  bool there() const;
  // Of weights, keys and values, each once.
  int64_t bytes() const { return weights_.bytes() + cache_bytes_; }
  std::string launch(gpu::Stream stream);
  const float* logits() const { return logits_; }  // [batch][vocabulary], in device memory

 private:
  std::string multiply(const cuda::Matrix& w, const void* x, cuda::Then then, void* y, int64_t stride,
                       gpu::Stream stream);
  std::string norm(const cuda::Matrix& w, gpu::Stream stream);
  std::string layer(size_t index, gpu::Stream stream);

  const UniformWeights& weights_;
  const int32_t batch_;
  int64_t cache_bytes_ = 0;
  cuda::Arrays arrays_;
  cuda::Products products_;
  std::vector<std::unique_ptr<UniformLayer>> layers_;
  float *residual_ = nullptr, *qkv_ = nullptr, *attended_ = nullptr, *scratch_ = nullptr, *logits_ = nullptr,
        *angles_ = nullptr;
  void *input_ = nullptr, *active_ = nullptr;  // of rows_storage
  int32_t *ids_ = nullptr, *positions_ = nullptr;
  cuda::LogitsSummary* chosen_ = nullptr;
};

}  // namespace zs::bench
#endif
