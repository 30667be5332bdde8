// A model's weights in memory: every matrix once, packed as the kernels read it (cpu/packing.h), and the norms as they are.
#ifndef ZSLAB_MODEL_WEIGHTS_H
#define ZSLAB_MODEL_WEIGHTS_H

#include <algorithm>
#include <vector>

#include "core/engine.h"
#include "cpu/packing.h"
#include "model/packed_file.h"
#include "model/tensors.h"

namespace zs {

// Tiles that are packed alike, one after another.
struct Run {
  Packing packing;
  int64_t tile, tiles;  // of the matrix: the first, how many
  const uint8_t* data;

  const uint8_t* at(int64_t i, int64_t k) const { return data + (i - tile) * tile_bytes(packing, k); }
};

struct Matrix {
  int64_t k = 0, tiles = 0;  // padded inputs; tiles of 16 outputs
  std::vector<Run> runs;     // all tiles, in order

  int64_t outputs() const { return tiles * kTile; }  // padded
  int64_t bytes() const;
  // Whether all tiles are packed so.
  bool is(Packing packing) const { return runs.size() == 1 && runs[0].packing == packing; }
  void row(int64_t output, int64_t inputs, float* to) const;  // the first `inputs` weights of an output

  // f(run, first tile, tiles) for what of each run is in [tile, tile + count).
  template <class F>
  void each_run(int64_t tile, int64_t count, F f) const {
    for (const Run& run : runs) {
      const int64_t from = std::max(tile, run.tile), to = std::min(tile + count, run.tile + run.tiles);
      if (from < to) f(run, from, to - from);
    }
  }
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
  PackedMemory memory;

  // f(matrix) for each once.
  template <class F>
  void each_matrix(F f) const {
    f(embedding);
    if (output.runs[0].data != embedding.runs[0].data) f(output);
    for (const LayerWeights& layer : layers) f(layer.qkv), f(layer.attention_output), f(layer.gate_up), f(layer.down);
  }
};

// Reads and packs everything, or maps what was packed before (config.packed). Errors: ZS_IO, ZS_ABORTED; std::bad_alloc.
Weights load_weights(zs_engine& engine, const zs_model_config& config, const Tensors& tensors, zs_call* call);

}  // namespace zs
#endif
