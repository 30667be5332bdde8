// What rows of a prompt or turn give to each slot. Bits are those of native/cpu: columns of the table in core/kernels.h.
#ifndef ZSLAB_CUDA_COLUMN_SUMS_H
#define ZSLAB_CUDA_COLUMN_SUMS_H

#include <string>

#include "core/kernels.h"
#include "cuda/gpu.h"

namespace zs::cuda {

// Of all tasks of a launch.
struct ColumnsShape {
  int32_t storage;  // zs_storage
  bool floats;      // of some chunks keys are float32, whatever `storage`: KeyChunk says of which
  int32_t group, d;
  int32_t fades;  // the most that a task has
};
// Work list in device memory, as are all that its tasks point at, fades too: chunks of any heads and sequences. Tiles of keys are whole
// (KeyChunk::last is kLane); `scratch` and `abort` are nullptr; chunks have no values.
// → what was wrong; empty = launched.
std::string columns(const ColumnsTask* tasks, int32_t count, const ColumnsShape& shape, gpu::Stream stream);

}  // namespace zs::cuda
#endif
