// Attention of the rows of prompts and turns. Bits are those of native/cpu: rows of the table in core/kernels.h.
#ifndef ZSLAB_CUDA_PREFILL_ATTENTION_H
#define ZSLAB_CUDA_PREFILL_ATTENTION_H

#include <string>

#include "core/kernels.h"
#include "cuda/gpu.h"

namespace zs::cuda {

// Of all chunks of a launch.
struct PrefillShape {
  int32_t storage;  // zs_storage
  bool floats;      // of some chunks keys, or keys and values, are float32, whatever `storage`: KeyChunk says of which
  int32_t group, d;
};
// Rows that a task can have.
int32_t prefill_rows(int32_t group, int32_t d);
// Work list in device memory, as are all that its tasks point at: blocks of at most prefill_rows(group, d) rows of any heads and sequences.
// Tiles of keys are whole (KeyChunk::last is kLane); `moment`, `scratch` and `abort` are nullptr. Rows whose queries are not finite get
// not-a-number as outputs and `inverse`, as the core gives them; their `highest` means nothing.
// → what was wrong; empty = launched.
std::string prefill(const RowsTask* tasks, int32_t count, const PrefillShape& shape, gpu::Stream stream);

}  // namespace zs::cuda
#endif
