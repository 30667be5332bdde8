// Who is kept at the end of a prompt: of a range of slots the best by score. The order is that of regions::Higher of policies/regions.h, the
// same whatever the order of threads.
#ifndef ZSLAB_CUDA_SELECT_H
#define ZSLAB_CUDA_SELECT_H

#include <string>

#include "cuda/gpu.h"
#include "cuda/tuning.h"

namespace zs::cuda {

// Of one kv head, or of several whose scores were summed. All that it points at lies in device memory.
struct SelectTask {
  const float* scores;  // [to] at least
  int32_t from, to;     // slots to choose among
  int32_t count;        // how many; at most to - from
  // Out. The best, in order: descending scores, equal ones by slot; not-a-number is minus infinity. And the others, ascending.
  int32_t *best, *rest;  // [count], [to - from - count]
  uint32_t* scratch;     // select_scratch(count) words
};
inline int64_t select_scratch(int64_t count) { return count <= kSelectSorted ? 0 : count; }

// One launch for all of `tasks`, in device memory. → what was wrong; empty = launched.
std::string select(const SelectTask* tasks, int32_t count, gpu::Stream stream);

}  // namespace zs::cuda
#endif
