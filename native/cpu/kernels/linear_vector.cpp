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
      // Fused by hand: GCC fuses these where it finds them side by side, also where it is told not to.
      x[2 * i] = std::fma(a, c, -(b * s));
      x[2 * i + 1] = std::fma(a, s, b * c);
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

// exp(x) for x <= 0 to the last bits, in operations that compilers make vectors of and that round alike everywhere.
inline double exp_double(double x) {
  const double clamped = x < -700 ? -700 : x;
  const double shifted = clamped * 1.4426950408889634 + 6755399441055744.0;  // 1.5 * 2^52: rounds to a whole number
  const double n = shifted - 6755399441055744.0;
  const double r = clamped - n * 0.693147180369123816490 - n * 1.90821492927058770002e-10;
  double p = 1.0 / 6227020800;
  constexpr double kTerms[] = {
      1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720,
      1.0 / 120,       1.0 / 24,       1.0 / 6,       0.5,          1,           1};
  for (double term : kTerms) p = p * r + term;
  int64_t bits;
  __builtin_memcpy(&bits, &shifted, 8);
  bits = static_cast<int64_t>(static_cast<uint64_t>(bits + 1023) << 52);  // 2^n
  double power;
  __builtin_memcpy(&power, &bits, 8);
  return p * power;
}

constexpr int kDoubles = 8;

double in_pairs(const double* sums) {
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

double sum_exp_double(const float* x, int64_t n, double highest) {
  double sums[kDoubles] = {};
  int64_t i = 0;
  for (; i + kDoubles <= n; i += kDoubles)
    for (int j = 0; j < kDoubles; ++j) sums[j] += exp_double(static_cast<double>(x[i + j]) - highest);
  for (; i < n; ++i) sums[0] += exp_double(static_cast<double>(x[i]) - highest);
  return in_pairs(sums);
}

double sum_weighted(const double* p, const float* x, int64_t n) {
  double sums[kDoubles] = {};
  int64_t i = 0;
  for (; i + kDoubles <= n; i += kDoubles)
    for (int j = 0; j < kDoubles; ++j) sums[j] += p[i + j] * static_cast<double>(x[i + j]);
  for (; i < n; ++i) sums[0] += p[i] * static_cast<double>(x[i]);
  return in_pairs(sums);
}

int64_t first_largest(const float* x, int64_t n) {
  Lanes tops = all(-INFINITY);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) tops = max(load(x + i), tops);
  if (i < n) tops = max(load_part(x + i, static_cast<int>(n - i), -INFINITY), tops);
  float each[kLanes], top = -INFINITY;
  store(each, tops);
  for (float one : each) top = one > top ? one : top;
  if (top == -INFINITY) return -1;
  for (i = 0; x[i] != top;) ++i;
  return i;
}

void sums_apart(const float* p, double highest_p, const float* q, double highest_q, int64_t n, double* sums) {
  double of_p[kDoubles] = {}, of_q[kDoubles] = {}, apart[kDoubles] = {};
  const auto add = [&](int j, int64_t i) {
    const double x = static_cast<double>(p[i]), y = static_cast<double>(q[i]), under = x - highest_p;
    const double weight = exp_double(under), off = weight * (x - y);
    of_p[j] += weight;
    of_q[j] += exp_double(y - highest_q);
    apart[j] += (under >= -700) & (x != y) ? off : 0;
  };
  int64_t i = 0;
  for (; i + kDoubles <= n; i += kDoubles)
    for (int j = 0; j < kDoubles; ++j) add(j, i + j);
  for (; i < n; ++i) add(0, i);
  sums[0] = in_pairs(of_p), sums[1] = in_pairs(of_q), sums[2] = in_pairs(apart);
}

float dot(const float* a, const float* b, int64_t n) {
  Lanes acc = zero();
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) acc = fma(load(a + i), load(b + i), acc);
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    acc = fma(load_part(a + i, rest, 0), load_part(b + i, rest, 0), acc);
  }
  return sum(acc);
}

double sum_exp_dots(const float* q, int64_t n, const float* rows, int64_t stride, const int32_t* at, int64_t count,
                    float scale, float highest) {
  double total = 0;
  for (int64_t from = 0; from < count; from += kLanes) {
    const int64_t most = count - from < kLanes ? count - from : kLanes;
    float logits[kLanes];
    for (int64_t i = 0; i < kLanes; ++i)
      logits[i] = i < most ? dot(q, rows + at[from + i] * stride, n) * scale - highest : 0;
    store(logits, exp_lanes(load(logits)));
    for (int64_t i = 0; i < most; ++i) total += static_cast<double>(logits[i]);
  }
  return total;
}

constexpr LinearKernels kTable = {
    {multiply_floats<Packing::kF32>, multiply_floats<Packing::kF16>, multiply_floats<Packing::kBf16>,
     multiply_fields<Packing::kQ4_0>, multiply_fields<Packing::kQ4_1>, multiply_fields<Packing::kQ5_0>,
     multiply_fields<Packing::kQ5_1>, multiply_fields<Packing::kQ8_0>, multiply_fields<Packing::kQ4_K>,
     multiply_fields<Packing::kQ5_K>, multiply_fields<Packing::kQ6_K>},
    {nullptr, nullptr, nullptr, prepare_fields<Packing::kQ4_0>, prepare_fields<Packing::kQ4_1>,
     prepare_fields<Packing::kQ5_0>, prepare_fields<Packing::kQ5_1>, nullptr, prepare_fields<Packing::kQ4_K>,
     prepare_fields<Packing::kQ5_K>, prepare_fields<Packing::kQ6_K>},
    {widen_floats<Packing::kF32>, widen_floats<Packing::kF16>, widen_floats<Packing::kBf16>,
     widen_fields<Packing::kQ4_0>, widen_fields<Packing::kQ4_1>, widen_fields<Packing::kQ5_0>,
     widen_fields<Packing::kQ5_1>, widen_fields<Packing::kQ8_0>, widen_fields<Packing::kQ4_K>,
     widen_fields<Packing::kQ5_K>, widen_fields<Packing::kQ6_K>},
    rms_norm,
    rope,
    swiglu,
    add,
    round_bf16,
    log_sum_exp,
    sum_exp_double,
    sum_weighted,
    first_largest,
    sums_apart,
    sum_exp_dots};

}  // namespace

const LinearKernels* linear_kernels_table() { return &kTable; }

}  // namespace ZS_ISA
}  // namespace zs
