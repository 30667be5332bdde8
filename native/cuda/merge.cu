// What the chunks of a kv head gave, put together in their order: the table's `merge`.
#include "cuda/decode_attention.h"
#include "cuda/exact.h"
#include "cuda/tuning.h"

namespace zs::cuda {
namespace {

__global__ void __launch_bounds__(kMergeThreads) merge_chunks(const MergeTask* tasks, int group, int d) {
  const MergeTask task = tasks[blockIdx.x];
  const int t = static_cast<int>(threadIdx.x), padded = static_cast<int>(round_up(d, kLane));
  gpu::Shared shared;
  auto* const inverse = shared.take<float>(group);
  if (t < group) {
    float top = minus_infinity(), total = 0;
    for (int c = 0; c < task.chunks; ++c) top = task.highest[c * group + t] > top ? task.highest[c * group + t] : top;
    for (int c = 0; c < task.chunks; ++c) {
      const float factor = exp_of(task.highest[c * group + t] - top);
      task.factor[c * group + t] = factor;
      total = total + task.sum[c * group + t] * factor;
    }
    inverse[t] = 1.0f / total;
  }
  __syncthreads();
  for (int i = t; i < group * d; i += kMergeThreads) {
    const int g = i / d, dim = i % d;
    float sum = 0;
    for (int c = 0; c < task.chunks; ++c)
      sum = fmaf(task.factor[c * group + g], task.partial[(static_cast<int64_t>(c) * group + g) * padded + dim], sum);
    task.out[g * task.out_stride + dim] = sum * inverse[g];
  }
  __syncthreads();
  for (int i = t; i < task.chunks * group; i += kMergeThreads) task.factor[i] = task.factor[i] * inverse[i % group];
}

}  // namespace

std::string merge(const MergeTask* tasks, int32_t count, int32_t group, int32_t d, gpu::Stream stream) {
  gpu::Shared shared = gpu::Shared::counting();
  shared.take<float>(static_cast<size_t>(group));
  return gpu::launch(merge_chunks, gpu::Grid{static_cast<unsigned>(count), 1, 1}, kMergeThreads, shared.bytes(), stream,
                     tasks, group, d);
}

}  // namespace zs::cuda
