// What a row is multiplied by to have a mean square of one.
#ifndef ZSLAB_CUDA_RMS_NORM_CUH
#define ZSLAB_CUDA_RMS_NORM_CUH

#include "cuda/exact.h"

namespace zs::cuda {

// By the first warp of a block, whose thread 0 puts it there. The sum of squares has 32 chains, as on the CPU: a warp's lanes.
__device__ __forceinline__ void norm_scale(const float* row, int n, float eps, float* scale) {
  constexpr int kWarp = 32;
  const int t = static_cast<int>(threadIdx.x);
  if (t >= kWarp) return;
  float sum = 0;
  for (int i = t; i < n; i += kWarp) sum = fmaf(row[i], row[i], sum);
  sum = sum_of_16(sum + __shfl_down_sync(0xffffffffu, sum, 16));
  if (t == 0) *scale = 1.0f / sqrtf(sum / static_cast<float>(n) + eps);
}

}  // namespace zs::cuda
#endif
