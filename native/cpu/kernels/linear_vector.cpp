// Row operations of the model runner: norm, rotation, activation, sums, rounding; and the table that holds them all.
#include <cmath>

#include "cpu/kernels/linear_parts.h"

namespace zs {
namespace ZS_ISA {
namespace {

void rms_norm(const float* x, const float* w, int64_t n, float eps, float* y) {
  Lanes squares[2] = {zero(), zero()};
  int64_t i = 0;
  for (; i + 32 <= n; i += 32)
    for (int half = 0; half < 2; ++half) {
      const Lanes v = load(x + i + half * kLanes);
      squares[half] = fma(v, v, squares[half]);
    }
  for (int half = 0; i < n; i += kLanes, half = 1) {
    const Lanes v = n - i >= kLanes ? load(x + i) : load_part(x + i, static_cast<int>(n - i), 0);
    squares[half] = fma(v, v, squares[half]);
  }
  const float mean = sum(squares[0] + squares[1]) / static_cast<float>(n);
  const Lanes scale = all(1.0f / std::sqrt(mean + eps));
  for (i = 0; i + kLanes <= n; i += kLanes) store(y + i, load(x + i) * scale * load(w + i));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    store_part(y + i, load_part(x + i, rest, 0) * scale * load_part(w + i, rest, 0), rest);
  }
}

void rope(float* x, const float* angles, int64_t heads, int64_t head_dim, int64_t pairs) {
  for (int64_t h = 0; h < heads; ++h, x += head_dim)
    for (int64_t i = 0; i < pairs; ++i) {
      const float a = x[2 * i], b = x[2 * i + 1], c = angles[2 * i], s = angles[2 * i + 1];
      x[2 * i] = a * c - b * s;
      x[2 * i + 1] = a * s + b * c;
    }
}

void swiglu(const float* gate_up, int64_t tiles, float* y) {
  for (int64_t t = 0; t < tiles; ++t, gate_up += 2 * kLanes, y += kLanes) {
    const Lanes gate = load(gate_up), up = load(gate_up + kLanes);
    store(y, gate / (all(1.0f) + exp_lanes(zero() - gate)) * up);
  }
}

void add(float* x, const float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] += y[i];
}

void round_bf16(const float* x, int64_t n, uint16_t* y) {
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t bits = float_to_bits(x[i]);
    const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16, quiet = bits >> 16 | 0x40u;
    y[i] = static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
  }
}

double log_sum_exp(const float* x, int64_t n) {
  float highest = x[0];
  for (int64_t i = 1; i < n; ++i) highest = x[i] > highest ? x[i] : highest;
  double total[kLanes] = {};
  for (int64_t i = 0; i < n; i += kLanes) {
    const int count = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    float e[kLanes];
    store(e, exp_lanes((count == kLanes ? load(x + i) : load_part(x + i, count, highest)) - all(highest)));
    for (int lane = 0; lane < count; ++lane) total[lane] += static_cast<double>(e[lane]);
  }
  for (int half = kLanes / 2; half; half /= 2)
    for (int i = 0; i < half; ++i) total[i] += total[i + half];
  return static_cast<double>(highest) + std::log(total[0]);
}

constexpr LinearKernels kTable = {gemv_bf16, gemv_f32, gemm_bf16, gemm_f32,   widen_bf16, rms_norm,
                                  rope,      swiglu,   add,       round_bf16, log_sum_exp};

}  // namespace

const LinearKernels* linear_kernels_table() { return &kTable; }

}  // namespace ZS_ISA
}  // namespace zs
