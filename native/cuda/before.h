// What follows a decode step in a cache that compresses: scores, who leaves, and into whom it merges. Bits, victims and targets are those of
// native/cpu: scores, smallest and similarity of the table in core/kernels.h, and target_of of policies/zsmerge.h.
#ifndef ZSLAB_CUDA_BEFORE_H
#define ZSLAB_CUDA_BEFORE_H

#include <string>

#include "core/kernels.h"
#include "cuda/gpu.h"

namespace zs::cuda::before {

struct UpkeepChunk {
  KeyChunk chunk;
  const float* e;       // of decode: head g at e + g * e_stride
  const float* factor;  // of merge: [group]
  float* score;         // [slots]
  int64_t e_stride;
};

// Of one kv head. All that it points at lies in device memory; tiles of keys are whole (KeyChunk::last = kLane).
struct UpkeepTask {
  const UpkeepChunk* chunks;  // all of the head; merged slots, float32, are the first `merged` of them
  int32_t count, merged;
  int32_t from, to;  // slots that may leave, counted over all chunks; none where from = to
  // Out. The slot with the least score, the lowest of equals (`from` where none is a number), its score, the merged slot whose key is
  // most like its own, the lowest of equals, and how much. -1 = none.
  int32_t *victim, *target;
  float *least, *similarity;
};

struct UpkeepShape {
  int32_t storage;     // zs_storage of what may leave
  int32_t similarity;  // zs_similarity
  int32_t group, d;
  float decay;
};

// One launch for all heads of `tasks`, in device memory. → what was wrong; empty = launched.
std::string upkeep(const UpkeepTask* tasks, int32_t count, const UpkeepShape& shape, gpu::Stream stream);

}  // namespace zs::cuda::before
#endif
