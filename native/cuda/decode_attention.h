// One token's attention: chunks first, each by a block of its own, then what the chunks of a head gave is put together. Bits are those of
// native/cpu: decode and merge of the table in core/kernels.h.
#ifndef ZSLAB_CUDA_DECODE_ATTENTION_H
#define ZSLAB_CUDA_DECODE_ATTENTION_H

#include <string>

#include "core/kernels.h"
#include "cuda/gpu.h"

namespace zs::cuda {

// Of all chunks of a launch.
struct DecodeShape {
  int32_t storage;  // zs_storage
  bool float_keys;  // keys are float32, whatever the values' storage
  int32_t group, d;
};
// Work list in device memory, as are all that its tasks point at: chunks of any heads and sequences, each with as many slots as it has.
// Tiles of keys are whole (KeyChunk::last is kLane): a narrower one is spread before.
// → what was wrong; empty = launched.
std::string decode(const DecodeTask* tasks, int32_t count, const DecodeShape& shape, gpu::Stream stream);

// The chunks of one kv head. A query that is not finite makes its output and factors not-a-number, as core/step.cpp does.
struct MergeTask {
  const float *highest, *sum;  // [chunks][group]
  const float* partial;        // [chunks][group][padded]
  int32_t chunks;
  float* factor;  // out [chunks][group]: what turns a chunk's e into probabilities
  float* out;     // out: head g at out + g * out_stride
  int64_t out_stride;
  const float* q;  // that of decode: head g at q + g * q_stride; nullptr = all are finite
  int64_t q_stride;
};
std::string merge(const MergeTask* tasks, int32_t count, int32_t group, int32_t d, gpu::Stream stream);

}  // namespace zs::cuda
#endif
