// Sixteen float lanes, the unit that every kernel is written in. Each instruction set has its own Lanes with the same operations;
// since every operation is one correctly rounded IEEE step in a fixed order, kernels give the same bits on all of them.
// Included only by native/cpu/kernels/*.cpp, which are compiled once per set with ZS_ISA and ZS_LANES_<SET> defined.
#ifndef ZSLAB_CPU_LANES_H
#define ZSLAB_CPU_LANES_H

#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(ZS_LANES_AVX2) || defined(ZS_LANES_AVX512)
#include <immintrin.h>
#endif

namespace zs {
namespace ZS_ISA {

constexpr int kLanes = 16;

// Before a loop over an array of lanes: unrolled at once, or GCC keeps the array in memory besides.
#define ZS_UNROLL _Pragma("GCC unroll 8")

// Before what consists of fetches alone: GCC takes a call of it for one without effect, and drops it.
#define ZS_INLINE inline __attribute__((always_inline))

inline float bits_to_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}
inline uint32_t float_to_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

#if defined(ZS_LANES_AVX512)

struct Lanes {
  __m512 v;
};
inline Lanes zero() { return {_mm512_setzero_ps()}; }
inline Lanes all(float x) { return {_mm512_set1_ps(x)}; }
inline Lanes load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline void store(float* p, Lanes a) { _mm512_storeu_ps(p, a.v); }
inline Lanes fma(Lanes a, Lanes b, Lanes c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Lanes operator+(Lanes a, Lanes b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Lanes operator-(Lanes a, Lanes b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Lanes operator*(Lanes a, Lanes b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Lanes operator/(Lanes a, Lanes b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Lanes max(Lanes a, Lanes b) { return {_mm512_max_ps(a.v, b.v)}; }  // b where either is NaN
inline Lanes min(Lanes a, Lanes b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Lanes root(Lanes a) { return {_mm512_sqrt_ps(a.v)}; }
// bit i set = a[i] < b[i]
inline uint32_t less(Lanes a, Lanes b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ); }
inline Lanes pick(uint32_t mask, Lanes yes, Lanes no) {
  return {_mm512_mask_blend_ps(static_cast<__mmask16>(mask), no.v, yes.v)};
}
// y, but 0 where x < least.
inline Lanes zero_below(Lanes x, float least, Lanes y) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.v, _mm512_set1_ps(least), _CMP_NLT_UQ), y.v)};
}
// 2^n for the integer that `shifted` carries in its low mantissa bits (see exp_lanes).
inline Lanes exponent_of(Lanes shifted) {
  return {_mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_add_epi32(_mm512_castps_si512(shifted.v), _mm512_set1_epi32(127)), 23))};
}
inline Lanes load_f16(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline Lanes load_bf16(const uint16_t* p) {
  return {_mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16))};
}
// Even and odd elements of 32 consecutive bf16.
inline Lanes load_bf16_even(const uint16_t* p) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16))};
}
inline Lanes load_bf16_odd(const uint16_t* p) {
  const __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  return {_mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), high))};
}
// Even and odd elements back in order: the first 16, then the others.
inline void interleave(Lanes& a, Lanes& b) {
  const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m512 even = a.v;
  a.v = _mm512_permutex2var_ps(even, low, b.v);
  b.v = _mm512_permutex2var_ps(even, _mm512_add_epi32(low, _mm512_set1_epi32(8)), b.v);
}
// Fixed tree: lane i with i+8, then +4, +2, +1.
inline float sum(Lanes a) {
  const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_shuffle_ps(d, d, 1)));
}
inline float largest(Lanes a) {
  const __m256 h = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(d, _mm_shuffle_ps(d, d, 1)));
}

#elif defined(ZS_LANES_AVX2)

struct Lanes {
  __m256 a, b;
};
inline Lanes zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline Lanes all(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline Lanes load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline void store(float* p, Lanes x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
inline Lanes fma(Lanes x, Lanes y, Lanes z) { return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
inline Lanes operator+(Lanes x, Lanes y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
inline Lanes operator-(Lanes x, Lanes y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
inline Lanes operator*(Lanes x, Lanes y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
inline Lanes operator/(Lanes x, Lanes y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
inline Lanes max(Lanes x, Lanes y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
inline Lanes min(Lanes x, Lanes y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
inline Lanes root(Lanes x) { return {_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)}; }
inline uint32_t less(Lanes x, Lanes y) {
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ))) |
         static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ))) << 8;
}
inline Lanes pick(uint32_t mask, Lanes yes, Lanes no) {
  const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i low = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(static_cast<int>(mask & 255)), bit), bit);
  const __m256i high =
      _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(static_cast<int>(mask >> 8 & 255)), bit), bit);
  return {_mm256_blendv_ps(no.a, yes.a, _mm256_castsi256_ps(low)),
          _mm256_blendv_ps(no.b, yes.b, _mm256_castsi256_ps(high))};
}
inline __m256 zero_below_half(__m256 x, __m256 least, __m256 y) {
  return _mm256_andnot_ps(_mm256_cmp_ps(x, least, _CMP_LT_OQ), y);
}
inline Lanes zero_below(Lanes x, float least, Lanes y) {
  const __m256 bound = _mm256_set1_ps(least);
  return {zero_below_half(x.a, bound, y.a), zero_below_half(x.b, bound, y.b)};
}
inline __m256 exponent_half(__m256 shifted) {
  return _mm256_castsi256_ps(
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_castps_si256(shifted), _mm256_set1_epi32(127)), 23));
}
inline Lanes exponent_of(Lanes shifted) { return {exponent_half(shifted.a), exponent_half(shifted.b)}; }
inline Lanes load_f16(const uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
          _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}
// By shuffles within 128 bits where a shift would do: shifts and multiply-adds want the same ports.
inline __m256 widen_bf16(const uint16_t* p) {
  const __m256i both = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m256i up = _mm256_setr_epi8(-1, -1, 0, 1, -1, -1, 2, 3, -1, -1, 4, 5, -1, -1, 6, 7,  //
                                      -1, -1, 8, 9, -1, -1, 10, 11, -1, -1, 12, 13, -1, -1, 14, 15);
  return _mm256_castsi256_ps(_mm256_shuffle_epi8(both, up));
}
inline Lanes load_bf16(const uint16_t* p) { return {widen_bf16(p), widen_bf16(p + 8)}; }
inline __m256 even_bf16(const uint16_t* p) {
  const __m256i up = _mm256_setr_epi8(-1, -1, 0, 1, -1, -1, 4, 5, -1, -1, 8, 9, -1, -1, 12, 13,  //
                                      -1, -1, 0, 1, -1, -1, 4, 5, -1, -1, 8, 9, -1, -1, 12, 13);
  return _mm256_castsi256_ps(_mm256_shuffle_epi8(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), up));
}
inline __m256 odd_bf16(const uint16_t* p) {
  const __m256i high = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
  return _mm256_castsi256_ps(_mm256_and_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), high));
}
inline Lanes load_bf16_even(const uint16_t* p) { return {even_bf16(p), even_bf16(p + 16)}; }
inline Lanes load_bf16_odd(const uint16_t* p) { return {odd_bf16(p), odd_bf16(p + 16)}; }
inline Lanes interleave_half(__m256 a, __m256 b) {
  const __m256 low = _mm256_unpacklo_ps(a, b), high = _mm256_unpackhi_ps(a, b);
  return {_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31)};
}
inline void interleave(Lanes& x, Lanes& y) {
  const Lanes even = x;
  x = interleave_half(even.a, y.a);
  y = interleave_half(even.b, y.b);
}
inline float sum(Lanes x) {
  const __m256 h = _mm256_add_ps(x.a, x.b);
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_shuffle_ps(d, d, 1)));
}
inline float largest(Lanes x) {
  const __m256 h = _mm256_max_ps(x.a, x.b);
  const __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(d, _mm_shuffle_ps(d, d, 1)));
}

#else  // generic: plain C++, fused multiply-add from the C library (slow without hardware for it)

struct Lanes {
  float x[kLanes];
};
#define ZS_EACH(expression)                               \
  Lanes r;                                                \
  for (int i = 0; i < kLanes; ++i) r.x[i] = (expression); \
  return r
inline Lanes zero() { return Lanes{}; }
inline Lanes all(float value) { ZS_EACH(value); }
inline Lanes load(const float* p) { ZS_EACH(p[i]); }
inline void store(float* p, Lanes a) { std::memcpy(p, a.x, sizeof a.x); }
// Calls of the C library all the same: in place, compilers take half a minute for unrolled kernels.
__attribute__((noinline)) inline Lanes fma(Lanes a, Lanes b, Lanes c) { ZS_EACH(std::fma(a.x[i], b.x[i], c.x[i])); }
inline Lanes operator+(Lanes a, Lanes b) { ZS_EACH(a.x[i] + b.x[i]); }
inline Lanes operator-(Lanes a, Lanes b) { ZS_EACH(a.x[i] - b.x[i]); }
inline Lanes operator*(Lanes a, Lanes b) { ZS_EACH(a.x[i] * b.x[i]); }
inline Lanes operator/(Lanes a, Lanes b) { ZS_EACH(a.x[i] / b.x[i]); }
inline Lanes max(Lanes a, Lanes b) { ZS_EACH(a.x[i] > b.x[i] ? a.x[i] : b.x[i]); }
inline Lanes min(Lanes a, Lanes b) { ZS_EACH(a.x[i] < b.x[i] ? a.x[i] : b.x[i]); }
inline Lanes root(Lanes a) { ZS_EACH(std::sqrt(a.x[i])); }
inline uint32_t less(Lanes a, Lanes b) {
  uint32_t mask = 0;
  for (int i = 0; i < kLanes; ++i) mask |= static_cast<uint32_t>(a.x[i] < b.x[i]) << i;
  return mask;
}
inline Lanes pick(uint32_t mask, Lanes yes, Lanes no) { ZS_EACH(mask >> i & 1 ? yes.x[i] : no.x[i]); }
inline Lanes zero_below(Lanes x, float least, Lanes y) { ZS_EACH(x.x[i] < least ? 0.0f : y.x[i]); }
inline Lanes exponent_of(Lanes shifted) { ZS_EACH(bits_to_float((float_to_bits(shifted.x[i]) + 127u) << 23)); }
inline float widen_f16(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
  if (exponent == 31)
    return bits_to_float(sign | 0x7f800000u | mantissa << 13 | (mantissa ? 0x400000u : 0));  // NaNs turn quiet
  if (exponent) return bits_to_float(sign | (exponent + 112) << 23 | mantissa << 13);
  return bits_to_float(sign | float_to_bits(static_cast<float>(mantissa) * 5.9604644775390625e-8f));
}
inline Lanes load_f16(const uint16_t* p) { ZS_EACH(widen_f16(p[i])); }
inline Lanes load_bf16(const uint16_t* p) { ZS_EACH(bits_to_float(static_cast<uint32_t>(p[i]) << 16)); }
inline Lanes load_bf16_even(const uint16_t* p) { ZS_EACH(bits_to_float(static_cast<uint32_t>(p[2 * i]) << 16)); }
inline Lanes load_bf16_odd(const uint16_t* p) { ZS_EACH(bits_to_float(static_cast<uint32_t>(p[2 * i + 1]) << 16)); }
inline void interleave(Lanes& a, Lanes& b) {
  float x[2 * kLanes];
  for (int i = 0; i < kLanes; ++i) x[2 * i] = a.x[i], x[2 * i + 1] = b.x[i];
  a = load(x);
  b = load(x + kLanes);
}
inline float sum(Lanes a) {
  for (int half = 8; half; half /= 2)
    for (int i = 0; i < half; ++i) a.x[i] = a.x[i] + a.x[i + half];
  return a.x[0];
}
inline float largest(Lanes a) {
  for (int half = 8; half; half /= 2)
    for (int i = 0; i < half; ++i) a.x[i] = a.x[i] > a.x[i + half] ? a.x[i] : a.x[i + half];
  return a.x[0];
}
#undef ZS_EACH

#endif

inline Lanes& operator+=(Lanes& a, Lanes b) { return a = a + b; }
inline void load_bf16_pairs(const uint16_t* p, Lanes& even, Lanes& odd) {
  even = load_bf16_even(p);
  odd = load_bf16_odd(p);
}
// Into the second-level cache: its queue of misses is twice as long as the first's, and does not hold up what is computed meanwhile.
ZS_INLINE void prefetch(const void* p) { __builtin_prefetch(p, 0, 2); }
// Into the first-level cache: better where hardly anything is computed meanwhile.
ZS_INLINE void prefetch_near(const void* p) { __builtin_prefetch(p, 0, 3); }

// First `count` lanes of p, `rest` elsewhere; reads nothing beyond p[count - 1].
inline Lanes load_part(const float* p, int count, float rest) {
  float x[kLanes];
  for (int i = 0; i < kLanes; ++i) x[i] = i < count ? p[i] : rest;
  return load(x);
}
inline void store_part(float* p, Lanes a, int count) {
  float x[kLanes];
  store(x, a);
  std::memcpy(p, x, sizeof(float) * static_cast<size_t>(count));
}

// exp(x), error < 1 ulp + rounding for -87.3 <= x <= 88.3; 0 below, exp(88.3) above. Two-step reduction by ln 2, degree 7.
inline Lanes exp_lanes(Lanes x) {
  const Lanes clamped = max(min(x, all(88.3f)), all(-87.3f));
  const Lanes magic = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number held in the low bits
  const Lanes shifted = fma(clamped, all(1.44269504088896341f), magic);
  const Lanes n = shifted - magic;
  Lanes r = fma(n, all(-0.693145751953125f), clamped);
  r = fma(n, all(-1.42860682030941723e-6f), r);
  Lanes p = all(1.9875691500e-4f);
  p = fma(p, r, all(1.3981999507e-3f));
  p = fma(p, r, all(8.3334519073e-3f));
  p = fma(p, r, all(4.1665795894e-2f));
  p = fma(p, r, all(1.6666665459e-1f));
  p = fma(p, r, all(5.0000001201e-1f));
  p = fma(p, r * r, r + all(1.0f));
  // `shifted` bits are 0x4b400000 + n: adding 127 and shifting by 23 leaves n + 127 in the exponent field.
  return zero_below(x, -87.3f, p * exponent_of(shifted));
}
// The same steps for one value.
inline float exp_one(float x) {
  float lane[kLanes];
  store(lane, exp_lanes(all(x)));
  return lane[0];
}

}  // namespace ZS_ISA
}  // namespace zs
#endif
