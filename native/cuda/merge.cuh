// What the chunks of a kv head gave, put together by a block: the table's `merge`.
#ifndef ZSLAB_CUDA_MERGE_CUH
#define ZSLAB_CUDA_MERGE_CUH

#include "cuda/decode_attention.h"
#include "cuda/exact.h"

namespace zs::cuda {

// A warp a query head for the factors, then all `threads` for the output. inverse [group] lies in shared memory. A barrier has to follow
// before anybody reads `factor` or `out`.
template <int threads>
__device__ __forceinline__ void merge_head(const MergeTask& task, int group, int d, float* inverse) {
  constexpr int kWarp = 32;
  const int t = static_cast<int>(threadIdx.x), lane = t % kWarp, padded = static_cast<int>(round_up(d, kLane));
  for (int g = t / kWarp; g < group; g += threads / kWarp) {
    bool finite = true;
    if (task.q)
      for (int i = lane; i < d; i += kWarp) finite = finite && task.q[g * task.q_stride + i] * 0.0f == 0.0f;
    float top = minus_infinity();
    for (int c = lane; c < task.chunks; c += kWarp) top = greater_of(task.highest[c * group + g], top);
    ZS_UNROLL for (int half = kWarp / 2; half; half /= 2) top =
        greater_of(top, __shfl_xor_sync(0xffffffffu, top, half));
    for (int c = lane; c < task.chunks; c += kWarp)
      task.factor[c * group + g] = exp_of(task.highest[c * group + g] - top);
    __syncwarp();
    const bool all_finite = __ballot_sync(0xffffffffu, !finite) == 0;
    if (lane == 0) {
      float total = 0;
      for (int c = 0; c < task.chunks; ++c) total = total + task.sum[c * group + g] * task.factor[c * group + g];
      inverse[g] = all_finite ? 1.0f / total : not_a_number();
    }
  }
  __syncthreads();
  for (int i = t; i < group * d; i += threads) {
    const int g = i / d, dim = i % d;
    float sum = 0;
    for (int c = 0; c < task.chunks; ++c)
      sum = fmaf(task.factor[c * group + g], task.partial[(static_cast<int64_t>(c) * group + g) * padded + dim], sum);
    task.out[g * task.out_stride + dim] = sum * inverse[g];
  }
  __syncthreads();
  for (int i = t; i < task.chunks * group; i += threads) task.factor[i] = task.factor[i] * inverse[i % group];
}

}  // namespace zs::cuda
#endif
