// What kernels of many query rows share. Rows of all heads of a group are taken together: query v is head v % group of row v / group. A block's
// queries lie in shared memory as [d][rows_pitch], so that what they share, keys, is read once for four of them.
#ifndef ZSLAB_CUDA_QUERY_ROWS_CUH
#define ZSLAB_CUDA_QUERY_ROWS_CUH

#include "cuda/exact.h"
#include "cuda/storage.h"
#include "cuda/tuning.h"

namespace zs::cuda {

// The first `count` queries, from `q` on, and zeros up to a multiple of four.
template <int queries>
__device__ __forceinline__ void fetch_queries(float* to, const float* q, int64_t q_head, int64_t q_row, int group,
                                              int count, int d) {
  const int t = static_cast<int>(threadIdx.x), whole = static_cast<int>(round_up(count, 4));
  for (int v = t / 8; v < whole; v += rows_threads(queries) / 8) {
    const float* const from = v < count ? q + v % group * q_head + v / group * q_row : nullptr;
    for (int dim = t % 8; dim < d; dim += 8) to[dim * rows_pitch(queries) + v] = from ? from[dim] : 0.0f;
  }
}

// Whether a chunk of a launch over `Storage` has float32 keys or values.
template <class Storage>
__device__ __forceinline__ bool float_values(const KeyChunk& chunk) {
  return sizeof(typename Storage::Element) == 4 || chunk.storage == ZS_F32;
}
template <class Storage>
__device__ __forceinline__ bool float_keys(const KeyChunk& chunk) {
  return float_values<Storage>(chunk) || chunk.float_keys;
}

// Query i times slot j.
struct Products {
  float x[4][4];
};

// Four queries, from `q` on, times the four slots of `keys` from `slot` on: two chains each, over even and over odd dims.
template <class Keys, int queries>
__device__ __forceinline__ Products products_of(const float* q, const void* keys, int slot, int d) {
  const auto* const tile = static_cast<const typename Keys::Element*>(keys) + slot / kLane * kLane * d;
  const int lane = slot % kLane;
  Products even, odd;
  ZS_UNROLL for (int i = 0; i < 4; ++i) ZS_UNROLL for (int j = 0; j < 4; ++j) even.x[i][j] = odd.x[i][j] = 0;
  for (int dim = 0; dim < d; dim += 2) {
    Four k[2];
    Keys::keys(tile, dim, lane, k, k + 1);
    const Four a = four(q + dim * rows_pitch(queries)), b = four(q + (dim + 1) * rows_pitch(queries));
    ZS_UNROLL for (int i = 0; i < 4; ++i) ZS_UNROLL for (int j = 0; j < 4; ++j) {
      even.x[i][j] = fmaf(a.x[i], k[0].x[j], even.x[i][j]);
      odd.x[i][j] = fmaf(b.x[i], k[1].x[j], odd.x[i][j]);
    }
  }
  ZS_UNROLL for (int i = 0; i < 4; ++i) ZS_UNROLL for (int j = 0; j < 4; ++j) even.x[i][j] = even.x[i][j] + odd.x[i][j];
  return even;
}

// A logit; minus infinity from slot `visible` on.
__device__ __forceinline__ float logit_of(float product, float scale, const float* bias, int slot, int visible) {
  if (slot >= visible) return minus_infinity();
  const float x = product * scale;
  return bias ? x + bias[slot] : x;
}

}  // namespace zs::cuda
#endif
