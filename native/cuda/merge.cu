// Attention alone, where no upkeep follows.
#include "cuda/merge.cuh"
#include "cuda/tuning.h"

namespace zs::cuda {
namespace {

__global__ void __launch_bounds__(kMergeThreads) merge_chunks(const MergeTask* tasks, int group, int d) {
  gpu::Shared shared;
  merge_head<kMergeThreads>(tasks[blockIdx.x], group, d, shared.take<float>(group));
}

}  // namespace

std::string merge(const MergeTask* tasks, int32_t count, int32_t group, int32_t d, gpu::Stream stream) {
  gpu::Shared shared = gpu::Shared::counting();
  shared.take<float>(static_cast<size_t>(group));
  return gpu::launch(merge_chunks, gpu::Grid{static_cast<unsigned>(count), 1, 1}, kMergeThreads, shared.bytes(), stream,
                     tasks, group, d);
}

}  // namespace zs::cuda
