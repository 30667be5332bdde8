// The barrier of a whole grid, for kernels whose blocks wait for each other. Apart from gpu.h, as CUDA's own header of it takes a compiler longer
// than all the rest.
#ifndef ZSLAB_CUDA_GRID_BARRIER_H
#define ZSLAB_CUDA_GRID_BARRIER_H

#include "cuda/gpu.h"

#ifdef __CUDACC__
#include <cooperative_groups.h>

namespace zs::gpu {

// All threads of all blocks wait for each other, in a kernel that was launched by launch_together; what they wrote before is known to all after.
__device__ __forceinline__ void grid_barrier() { cooperative_groups::this_grid().sync(); }

}  // namespace zs::gpu
#endif

#endif
