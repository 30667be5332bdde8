// Fields of packed weights as lanes of floats (layout: cpu/packing.h). Included only by native/cpu/kernels/*.cpp.
#ifndef ZSLAB_CPU_KERNELS_FIELDS_H
#define ZSLAB_CPU_KERNELS_FIELDS_H

#include "cpu/lanes.h"
#include "cpu/packing.h"

namespace zs {
namespace ZS_ISA {

#if defined(ZS_LANES_AVX512)
// (words at p >> kShift, their upper bits from the words behind them where kOver) & mask, as floats.
template <int kShift, bool kOver>
ZS_INLINE Lanes masked(const uint8_t* p, uint32_t mask) {
  __m512i words = _mm512_loadu_si512(p);
  if constexpr (kShift > 0) words = _mm512_srli_epi32(words, kShift);
  if constexpr (kOver) words = _mm512_or_si512(words, _mm512_slli_epi32(_mm512_loadu_si512(p + 64), 32 - kShift));
  if (mask != ~0u) words = _mm512_and_si512(words, _mm512_set1_epi32(static_cast<int>(mask)));
  return {_mm512_cvtepi32_ps(words)};
}
#elif defined(ZS_LANES_AVX2)
template <int kShift, bool kOver>
ZS_INLINE __m256 masked_half(const uint8_t* p, uint32_t mask) {
  __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  if constexpr (kShift > 0) words = _mm256_srli_epi32(words, kShift);
  if constexpr (kOver) {
    const __m256i next = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 64));
    words = _mm256_or_si256(words, _mm256_slli_epi32(next, 32 - kShift));
  }
  if (mask != ~0u) words = _mm256_and_si256(words, _mm256_set1_epi32(static_cast<int>(mask)));
  return _mm256_cvtepi32_ps(words);
}
template <int kShift, bool kOver>
ZS_INLINE Lanes masked(const uint8_t* p, uint32_t mask) {
  return {masked_half<kShift, kOver>(p, mask), masked_half<kShift, kOver>(p + 32, mask)};
}
#else
template <int kShift, bool kOver>
__attribute__((noinline)) Lanes masked(const uint8_t* p, uint32_t mask) {
  Lanes to;
  for (int i = 0; i < kLanes; ++i) {
    uint32_t word;
    std::memcpy(&word, p + 4 * i, 4);
    word >>= kShift;
    if constexpr (kOver) {
      uint32_t next;
      std::memcpy(&next, p + 64 + 4 * i, 4);
      word |= next << (32 - kShift);
    }
    to.x[i] = static_cast<float>(static_cast<int32_t>(word & mask));
  }
  return to;
}
#endif

// Sixteen signed bytes.
inline Lanes load_bytes(const uint8_t* p) {
#if defined(ZS_LANES_AVX512)
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
#elif defined(ZS_LANES_AVX2)
  const auto half = [](const uint8_t* from) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
  };
  return {half(p), half(p + 8)};
#else
  Lanes to;
  for (int i = 0; i < kLanes; ++i) to.x[i] = static_cast<float>(static_cast<int8_t>(p[i]));
  return to;
#endif
}

// Field kAt times 2^field_place.
template <int kBits, int kAt>
ZS_INLINE Lanes field(const uint8_t* fields) {
  if constexpr (kBits == 8) {
    return load_bytes(fields + kAt * kLanes);
  } else {
    constexpr int kShift = kAt * kBits % 32;
    constexpr bool kOver = kShift + kBits > 32, kEnds = kShift + kBits == 32;
    constexpr uint32_t kMask = kEnds ? ~0u : ((1u << kBits) - 1) << field_place(kBits, kAt);
    return masked < kOver || kEnds ? kShift : 0, kOver > (fields + kAt * kBits / 32 * 64, kMask);
  }
}
constexpr float power(int n) { return n == 0 ? 1.0f : 0.5f * power(n - 1); }
// Field kAt alone.
template <int kBits, int kAt>
ZS_INLINE Lanes field_alone(const uint8_t* fields) {
  constexpr int kPlace = kBits == 8 ? 0 : field_place(kBits, kAt);
  const Lanes value = field<kBits, kAt>(fields);
  if constexpr (kPlace == 0) return value;
  return value * all(power(kPlace));
}

}  // namespace ZS_ISA
}  // namespace zs
#endif
