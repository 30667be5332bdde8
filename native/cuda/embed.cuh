#ifndef ZSLAB_CUDA_EMBED_CUH
#define ZSLAB_CUDA_EMBED_CUH

#include "cuda/rows.h"
#include "cuda/storage.h"

namespace zs::cuda {

// Value i of a row.
template <class Storage>
__device__ __forceinline__ void embed_value(const Embed& e, int64_t row, int i) {
  const auto* const from = static_cast<const typename Storage::Element*>(e.weights) + e.ids[row] * e.weights_stride;
  e.x[row * e.x_stride + i] = i < e.n ? Storage::value(from, i) : 0;
}

}  // namespace zs::cuda
#endif
