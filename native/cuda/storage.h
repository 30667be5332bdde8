// How keys and values of each storage are read (core/kernels.h says how they lie), and what a float32 becomes in it.
#ifndef ZSLAB_CUDA_STORAGE_H
#define ZSLAB_CUDA_STORAGE_H

#include <string>

#include "core/kernels.h"
#include "cuda/exact.h"
#include "cuda/gpu.h"
#include "cuda/tuning.h"

namespace zs::cuda {

// Four floats that lie side by side, in one access.
struct Four {
  float x[4];
};
__device__ __forceinline__ Four four(const float* from) {
  const float4 v = gpu::load_wide<float4>(from);
  return {{v.x, v.y, v.z, v.w}};
}
__device__ __forceinline__ void put_four(float* to, const Four& from) {
  gpu::store_wide(to, float4{from.x[0], from.x[1], from.x[2], from.x[3]});
}

// keys: of slots lane … lane + 3 dims `dim`, an even one, and dim + 1. values: dims dim … dim + 3. Both are multiples of 4 but for the keys' dim.
struct F32 {
  using Element = float;
  __device__ static int key_at(int dim, int lane) { return dim * kLane + lane; }
  __device__ static float key(const Element* tile, int dim, int lane) { return tile[key_at(dim, lane)]; }
  __device__ static float value(const Element* row, int dim) { return row[dim]; }
  __device__ static Element narrow(float x) { return x; }
  __device__ __forceinline__ static void keys(const Element* tile, int dim, int lane, Four* even, Four* odd) {
    *even = four(tile + dim * kLane + lane);
    *odd = four(tile + (dim + 1) * kLane + lane);
  }
  __device__ __forceinline__ static Four values(const Element* row, int dim) { return four(row + dim); }
};
struct F16 {
  using Element = uint16_t;
  __device__ __forceinline__ static Four widen(const Element* from) {
    const uint2 v = gpu::load_wide<uint2>(from);
    return {{gpu::widen_f16(static_cast<uint16_t>(v.x)), gpu::widen_f16(static_cast<uint16_t>(v.x >> 16)),
             gpu::widen_f16(static_cast<uint16_t>(v.y)), gpu::widen_f16(static_cast<uint16_t>(v.y >> 16))}};
  }
  __device__ static int key_at(int dim, int lane) { return dim * kLane + lane; }
  __device__ static float key(const Element* tile, int dim, int lane) {
    return gpu::widen_f16(tile[key_at(dim, lane)]);
  }
  __device__ static float value(const Element* row, int dim) { return gpu::widen_f16(row[dim]); }
  __device__ static Element narrow(float x) { return f16_of(x); }
  __device__ __forceinline__ static void keys(const Element* tile, int dim, int lane, Four* even, Four* odd) {
    *even = widen(tile + dim * kLane + lane);
    *odd = widen(tile + (dim + 1) * kLane + lane);
  }
  __device__ __forceinline__ static Four values(const Element* row, int dim) { return widen(row + dim); }
};
struct BF16 {
  using Element = uint16_t;
  __device__ static float widen(uint16_t x) { return gpu::float_of(static_cast<uint32_t>(x) << 16); }
  __device__ static int key_at(int dim, int lane) { return (dim / 2 * kLane + lane) * 2 + dim % 2; }
  __device__ static float key(const Element* tile, int dim, int lane) { return widen(tile[key_at(dim, lane)]); }
  __device__ static float value(const Element* row, int dim) { return widen(row[dim]); }
  __device__ static Element narrow(float x) { return bf16_of(x); }
  __device__ __forceinline__ static float low(uint32_t pair) { return gpu::float_of(pair << 16); }
  __device__ __forceinline__ static float high(uint32_t pair) { return gpu::float_of(pair & 0xffff0000u); }
  __device__ __forceinline__ static void keys(const Element* tile, int dim, int lane, Four* even, Four* odd) {
    const uint4 v = gpu::load_wide<uint4>(tile + dim * kLane + lane * 2);
    *even = {{low(v.x), low(v.y), low(v.z), low(v.w)}};
    *odd = {{high(v.x), high(v.y), high(v.z), high(v.w)}};
  }
  __device__ __forceinline__ static Four values(const Element* row, int dim) {
    const uint2 v = gpu::load_wide<uint2>(row + dim);
    return {{low(v.x), high(v.x), low(v.y), high(v.y)}};
  }
};

// From device to shared memory by all `threads` of a block, in the background: rows as they lie, and key tiles kTileGap bytes apart.
template <int threads>
__device__ __forceinline__ void copy_rows(unsigned char* to, const unsigned char* from, int bytes) {
  for (int at = 16 * static_cast<int>(threadIdx.x); at < bytes; at += 16 * threads) gpu::cp_async16(to + at, from + at);
}
template <int threads>
__device__ __forceinline__ void copy_tiles(unsigned char* to, const unsigned char* from, int bytes, int tile_bytes) {
  for (int at = 16 * static_cast<int>(threadIdx.x); at < bytes; at += 16 * threads)
    gpu::cp_async16(to + at + at / tile_bytes * kTileGap, from + at);
}

// f(F32()), f(F16()) or f(BF16()), whichever `storage` is; `what` does not know others.
template <class F>
std::string of_storage(const char* what, int32_t storage, F f) {
  switch (storage) {
    case ZS_F32:
      return f(F32());
    case ZS_F16:
      return f(F16());
    case ZS_BF16:
      return f(BF16());
  }
  return what + (" on the GPU does not know storage " + std::to_string(storage));
}

}  // namespace zs::cuda
#endif
