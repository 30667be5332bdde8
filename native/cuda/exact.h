// Arithmetic whose every bit is that of native/cpu: the same steps in the same order, fused only where `fmaf` is written, and comparisons
// that give a NaN's turn to the same operand.
#ifndef ZSLAB_CUDA_EXACT_H
#define ZSLAB_CUDA_EXACT_H

#include "cuda/gpu.h"

namespace zs::cuda {

__device__ __forceinline__ float infinity() { return gpu::float_of(0x7f800000u); }
__device__ __forceinline__ float minus_infinity() { return gpu::float_of(0xff800000u); }
__device__ __forceinline__ float not_a_number() { return gpu::float_of(0x7fc00000u); }
__device__ __forceinline__ float greater_of(float a, float b) { return a > b ? a : b; }
__device__ __forceinline__ float smaller_of(float a, float b) { return a < b ? a : b; }

// exp_lanes of native/cpu/lanes.h.
__device__ __forceinline__ float exp_of(float x) {
  const float clamped = greater_of(smaller_of(x, 88.3f), -87.3f), magic = 12582912.0f;
  const float shifted = fmaf(clamped, 1.44269504088896341f, magic), n = shifted - magic;
  float r = fmaf(n, -0.693145751953125f, clamped);
  r = fmaf(n, -1.42860682030941723e-6f, r);
  float p = 1.9875691500e-4f;
  p = fmaf(p, r, 1.3981999507e-3f);
  p = fmaf(p, r, 8.3334519073e-3f);
  p = fmaf(p, r, 4.1665795894e-2f);
  p = fmaf(p, r, 1.6666665459e-1f);
  p = fmaf(p, r, 5.0000001201e-1f);
  p = fmaf(p, r * r, r + 1.0f);
  return x < -87.3f ? 0.0f : p * gpu::float_of((gpu::bits_of(shifted) + 127u) << 23);
}

// core/half.h: to nearest even.
__device__ __forceinline__ uint16_t bf16_of(float value) {
  const uint32_t bits = gpu::bits_of(value), rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  return static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? bits >> 16 | 0x40u : rounded);
}
__device__ __forceinline__ uint16_t f16_of(float value) {
  const uint32_t bits = gpu::bits_of(value), sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
  const uint32_t small = gpu::bits_of(gpu::float_of(size) + 0.5f) - 0x3f000000u,
                 normal = (size - 0x38000000u + 0xfffu + (size >> 13 & 1u)) >> 13;
  return static_cast<uint16_t>(sign | (size > 0x7f800000u    ? 0x7e00u
                                       : size >= 0x477ff000u ? 0x7c00u
                                       : size < 0x38800000u  ? small
                                                             : normal));
}

// Over 16 neighbouring lanes of a full warp, the first of which gets the result: the trees `sum` and `largest` of native/cpu/lanes.h.
__device__ __forceinline__ float sum_of_16(float x) {
  ZS_UNROLL for (int half = 8; half; half /= 2) x = x + __shfl_down_sync(0xffffffffu, x, half, 16);
  return x;
}
__device__ __forceinline__ float largest_of_16(float x) {
  ZS_UNROLL for (int half = 8; half; half /= 2) x = greater_of(x, __shfl_down_sync(0xffffffffu, x, half, 16));
  return x;
}

// swiglu of native/cpu.
__device__ __forceinline__ float swiglu_of(float gate, float up) { return gate / (1.0f + exp_of(0.0f - gate)) * up; }

// A pair by an angle: cosine, sine.
__device__ __forceinline__ float2 turned(float2 pair, float2 angle) {
  return {fmaf(pair.x, angle.x, -(pair.y * angle.y)), fmaf(pair.x, angle.y, pair.y * angle.x)};
}

}  // namespace zs::cuda
#endif
