// float32 to and from the two-byte storage types, round to nearest even; the same bits as the hardware's conversions.
#ifndef ZSLAB_CORE_HALF_H
#define ZSLAB_CORE_HALF_H

#include <cstdint>
#include <cstring>

namespace zs {

inline uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}
inline float of_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline uint16_t bf16_of(float value) {
  const uint32_t bits = bits_of(value), rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  return static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? bits >> 16 | 0x40u : rounded);
}
inline float of_bf16(uint16_t half) { return of_bits(static_cast<uint32_t>(half) << 16); }

inline uint16_t f16_of(float value) {
  const uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);   // NaN
  if (size >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // 65520 and above
  if (size < 0x38800000u)  // below 2^-14: adding 0.5 leaves multiples of 2^-24 in the low bits, rounded
    return static_cast<uint16_t>(sign | (bits_of(of_bits(size) + 0.5f) - 0x3f000000u));
  return static_cast<uint16_t>(sign | ((size - 0x38000000u + 0xfffu + (size >> 13 & 1u)) >> 13));
}
// Without a branch, so that a loop over it becomes vectors.
inline float of_f16(uint16_t half) {
  const int32_t size = half & 0x7fff;
  const auto where = [](bool holds, uint32_t bits) { return (0u - static_cast<uint32_t>(holds)) & bits; };
  const uint32_t below = bits_of(static_cast<float>(size) * 5.9604644775390625e-8f),  // 2^-14
      normal = (static_cast<uint32_t>(size) << 13) + (112u << 23), infinite = 0x7f800000u, quiet = 0x400000u;
  return of_bits(static_cast<uint32_t>(half & 0x8000u) << 16 | where(size < 0x400, below) |
                 where(size >= 0x400, normal) | where(size >= 0x7c00, infinite) | where(size > 0x7c00, quiet));
}

}  // namespace zs
#endif
