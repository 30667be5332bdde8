// New tokens' keys and values into slots of a cache: what Pages::write of core/pages.h does, with its bits.
#ifndef ZSLAB_CUDA_APPEND_H
#define ZSLAB_CUDA_APPEND_H

#include <string>

#include "core/kernels.h"
#include "cuda/gpu.h"

namespace zs::cuda {

// Of one token and one kv head. All that it points at lies in device memory: rows at multiples of 8 bytes, chunks of 16.
struct AppendTask {
  const float *key, *value;  // [d], after rotation
  void *keys, *values;       // of the chunk, whose tiles of keys are whole (KeyChunk::last = kLane)
  int32_t slot;              // in the chunk
  // What else is known of it from then on: its score and position, and in `counts` the chunk's slots; nullptr = nobody keeps it.
  float* score = nullptr;
  int32_t* position = nullptr;
  int32_t* counts[2] = {};
  float given = 0;  // the score
  int32_t at = 0;   // the position
};

struct AppendShape {
  int32_t storage;  // zs_storage of the chunks
  int32_t d;
};

// Work list in device memory; no two of its tasks have the same slot of the same chunk. Only these slots change, and behind a value's d dims
// zeros are written up to whole rows. → what was wrong; empty = launched.
std::string append(const AppendTask* tasks, int32_t count, const AppendShape& shape, gpu::Stream stream);

}  // namespace zs::cuda
#endif
