// What the model runner computes outside attention, as one table of functions per instruction set.
//
// Order of sums of every output, whatever the function, instruction set or row count: of floats, even inputs in one chain of fused
// multiply-adds, odd inputs in another, then even + odd. Of fields (cpu/packing.h) the same over each 16 inputs; of inputs that share a scale
// these are added up, and minus bias times the inputs' sum to them; then total = scale * that + total and total = least * (the inputs' sum)
// + total, both fused. Inputs are multiplied by 2^-place beforehand, which is exact but for those below 2^-100.
#ifndef ZSLAB_CPU_LINEAR_H
#define ZSLAB_CPU_LINEAR_H

#include <cstdint>

#include "cpu/packing.h"
#include "zslab/zslab.h"

namespace zs {

constexpr int64_t kFewRows =
    24;  // most that read weights as they lie, with the same bits as row by row; more find them widened

// y[r * y_stride + j] = (W x_r)[j] for j < tiles * 16, x_r = x + r * x_stride; float32.
struct PackedProduct {
  const void* w;
  int64_t k, tiles;
  const float* x;  // as `prepare` made them, where the packing is prepared()
  int64_t x_stride, rows;
  float* y;
  int64_t y_stride;
};

// Floats of a prepared row of k: the inputs, and a sum of each 16.
constexpr int64_t prepared_row(int64_t k) { return k + k / 16; }

struct LinearKernels {
  void (*multiply[kPackings])(const PackedProduct& product);
  // A row of k inputs for products with such weights; nullptr where they are taken as they are.
  void (*prepare[kPackings])(const float* x, int64_t k, float* to);
  // `tiles` packed tiles as float32: to[tiles][k][16].
  void (*widen[kPackings])(const void* w, int64_t k, int64_t tiles, float* to);
  // y = x / sqrt(mean(x^2) + eps) * w; y may be x.
  void (*rms_norm)(const float* x, const float* w, int64_t n, float eps, float* y);
  // Rotates pairs (x[2i], x[2i + 1]) of each head by angles [pairs][2] = cos, sin; heads lie head_dim apart.
  void (*rope)(float* x, const float* angles, int64_t heads, int64_t head_dim, int64_t pairs);
  // Input: tiles in turn, 16 gate values then 16 up values; y[tiles * 16] = gate / (1 + exp(-gate)) * up.
  void (*swiglu)(const float* gate_up, int64_t tiles, float* y);
  void (*add)(float* x, const float* y, int64_t n);            // x += y
  void (*round_bf16)(const float* x, int64_t n, uint16_t* y);  // nearest even; NaN stays NaN
  // ln(sum exp(x)) with a double sum of float32 exponentials; -inf and NaN as the formula gives them.
  double (*log_sum_exp)(const float* x, int64_t n);
  // sum exp(x - highest), x <= highest, and sum p x: all in double, eight lanes of sums, then as a tree.
  double (*sum_exp_double)(const float* x, int64_t n, double highest);
  double (*sum_weighted)(const double* p, const float* x, int64_t n);
  // Index of the largest, the first of equals; -1 where none is above -inf. NaN is never it.
  int64_t (*first_largest)(const float* x, int64_t n);
  // Into sums, as sum_exp_double: those of exp(x - highest) of p and of q, and that of exp(p - highest_p) (p - q) where they differ, of p
  // not below highest_p - 700: what is as good as never given adds nothing, also where q has -inf.
  void (*sums_apart)(const float* p, double highest_p, const float* q, double highest_q, int64_t n, double* sums);
  // sum over `count` of exp(scale * (q · rows[at[i] * stride …]) - highest); q and each row [n].
  double (*sum_exp_dots)(const float* q, int64_t n, const float* rows, int64_t stride, const int32_t* at, int64_t count,
                         float scale, float highest);
};

// The table for one instruction set; nullptr where this build has none.
const LinearKernels* linear_kernels(zs_isa isa);

// Nearest even; NaN stays NaN.
inline uint16_t to_bf16(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
inline float from_bf16(uint16_t value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float result;
  __builtin_memcpy(&result, &bits, 4);
  return result;
}

}  // namespace zs
#endif
