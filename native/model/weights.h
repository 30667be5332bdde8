// A model's weights in memory: every matrix once, packed as the kernels read it (cpu/linear.h), and the norms as they are.
#ifndef ZSLAB_MODEL_WEIGHTS_H
#define ZSLAB_MODEL_WEIGHTS_H

#include <memory>
#include <vector>

#include "core/buffer.h"
#include "core/engine.h"
#include "model/tensors.h"

namespace zs {

struct Matrix {
  void* data = nullptr;
  int64_t k = 0, tiles = 0;  // padded inputs; tiles of 16 outputs
  bool bf16 = false;

  int64_t outputs() const { return tiles * kTile; }  // padded
  int64_t tile_bytes() const { return k * kTile * (bf16 ? 2 : 4); }
  const void* tile(int64_t i) const { return static_cast<const char*>(data) + i * tile_bytes(); }
  void row(int64_t output, int64_t inputs, float* to) const;  // the first `inputs` weights of an output
  void unpack(int64_t output, void* to) const;                // all k weights of an output, as they are
};

struct LayerWeights {
  float *attention_norm = nullptr, *feed_forward_norm = nullptr;
  Matrix qkv;  // rows of query, key, value in turn
  Matrix attention_output;
  Matrix gate_up;  // tiles in turn: 16 gate rows, 16 up rows
  Matrix down;
};

struct Weights {
  Matrix embedding, output;  // one and the same where the output is tied
  float* output_norm = nullptr;
  std::vector<LayerWeights> layers;
  int64_t bytes = 0;

  std::unique_ptr<void, Freed> memory;
};

// Reads, dequantises and packs everything. Errors: ZS_IO, ZS_ABORTED; std::bad_alloc.
Weights load_weights(zs_engine& engine, const zs_model_config& config, const Tensors& tensors, zs_call* call);

}  // namespace zs
#endif
