// A layer's step over caches of which nothing is known but their sizes, in device memory: new tokens, attention, upkeep. A launch leaves
// all as it found it: where somebody leaves, the next token takes the place; else each token is written over the last one.
#ifndef ZSLAB_CUDA_BENCH_UNIFORM_LAYER_H
#define ZSLAB_CUDA_BENCH_UNIFORM_LAYER_H

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/append.h"
#include "cuda/test/arrays.h"
#include "cuda/upkeep.h"

namespace zs::bench {

struct LayerShape {
  int32_t storage;  // zs_storage
  int sequences, kv_heads, group, d;
  std::vector<int32_t> slots;  // of each head of all sequences, the new token's with them, or one for all
  int32_t merged;              // of a head's slots, float32
  bool scores, leaves;         // are kept; somebody leaves at each step

  int64_t heads() const { return static_cast<int64_t>(sequences) * kv_heads; }
  int64_t query_heads() const { return heads() * group; }
  int32_t slots_of(int64_t head) const { return slots[slots.size() == 1 ? 0 : static_cast<size_t>(head)]; }
  // Of keys and values, each once: what a step cannot do without.
  int64_t cache_bytes() const;
  int64_t segment_bytes(int32_t slots, int32_t of) const;
};

// Rows of the layer's tokens, in device memory: sequence s's heads at data + s * stride, d apart.
struct LayerRows {
  float *q, *k, *v, *out;
  int64_t stride, out_stride;
};

struct LayerLists;

class UniformLayer {
 public:
  UniformLayer(const LayerShape& shape, const LayerRows& rows);
  // Whether there was room for all of it.
  bool there() const { return arrays_.there(); }
  // Attention alone, put together; then what a policy does, too.
  std::string attend(gpu::Stream stream) const;
  std::string step(gpu::Stream stream) const;

 private:
  void add_head(int64_t head, const LayerRows& rows, LayerLists& lists);
  std::string attention(gpu::Stream stream) const;
  std::string upkeep(bool all, gpu::Stream stream) const;

  const LayerShape shape_;
  cuda::Arrays arrays_;
  cuda::AppendTask* appends_ = nullptr;
  DecodeTask* decode_ = nullptr;  // those over merged slots first
  int32_t apart_ = 0, count_ = 0;
  cuda::UpkeepTask* upkeep_ = nullptr;
};

}  // namespace zs::bench
#endif
