// Random blocks of every tensor type, with the values that they stand for: scales are powers of two, so that those are exact.
#ifndef ZSLAB_TEST_TINY_BLOCKS_H
#define ZSLAB_TEST_TINY_BLOCKS_H

#include <algorithm>
#include <cmath>
#include <vector>

#include "test/check.h"
#include "zslab/model.h"

namespace test {

constexpr int kBlockTypes[] = {ZS_T_F32,  ZS_T_F16,  ZS_T_BF16, ZS_T_Q4_0, ZS_T_Q4_1, ZS_T_Q5_0,
                               ZS_T_Q5_1, ZS_T_Q8_0, ZS_T_Q4_K, ZS_T_Q5_K, ZS_T_Q6_K};

// How many of kBlockTypes have whole blocks in rows of `inputs`: of single values, of 32, of 256.
inline int types_for(int64_t inputs) { return inputs % 256 == 0 ? 11 : inputs % 32 == 0 ? 8 : 3; }

// Adds to both ends. Values are about as large as 0.1, F32 as 0.9 / sqrt(inputs).
class BlockWriter {
 public:
  BlockWriter(Random& random, std::vector<uint8_t>& bytes, std::vector<float>& values)
      : random_(random), bytes_(bytes), values_(values) {}

  void rows(int type, int64_t inputs, int64_t count) {
    const size_t end = values_.size() + static_cast<size_t>(inputs * count);
    while (values_.size() < end) block(type, 1.5f / std::sqrt(static_cast<float>(inputs)));
  }

 private:
  void block(int type, float most) {
    switch (type) {
      case ZS_T_F32:
        return single(most);
      case ZS_T_F16:
        return two_bytes(10, 15);
      case ZS_T_BF16:
        return two_bytes(7, 127);
      case ZS_T_Q4_0:
        return levels(4, false);
      case ZS_T_Q4_1:
        return levels(4, true);
      case ZS_T_Q5_0:
        return levels(5, false);
      case ZS_T_Q5_1:
        return levels(5, true);
      case ZS_T_Q8_0:
        return bytes();
      case ZS_T_Q4_K:
        return with_minima(4);
      case ZS_T_Q5_K:
        return with_minima(5);
      default:
        return six_bits();
    }
  }

  void push(const void* data, size_t size) {
    const uint8_t* from = static_cast<const uint8_t*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
  }
  void push_half(int exponent, bool negative = false) {
    const uint16_t half = static_cast<uint16_t>(negative << 15 | (exponent + 15) << 10);
    push(&half, 2);
  }
  void value(int whole, int exponent) { values_.push_back(std::ldexp(static_cast<float>(whole), exponent)); }
  static void set(uint8_t& byte, int bits) { byte = static_cast<uint8_t>(byte | bits); }

  void single(float most) {
    values_.push_back(most * random_.element());
    push(&values_.back(), 4);
  }
  void two_bytes(int mantissa_bits, int bias) {
    const int exponent = random_.upto(-6, -3), mantissa = random_.upto(0, (1 << mantissa_bits) - 1);
    const bool negative = random_.one_in(2);
    const uint16_t word = static_cast<uint16_t>(negative << 15 | (exponent + bias) << mantissa_bits | mantissa);
    push(&word, 2);
    const int whole = (1 << mantissa_bits) + mantissa;
    value(negative ? -whole : whole, exponent - mantissa_bits);
  }
  // 32 levels around their middle: by definition, or by a least value of as many steps below zero.
  void levels(int bits, bool least) {
    const int exponent = random_.upto(-7, -6) - (bits - 4), middle = 1 << (bits - 1);
    push_half(exponent);
    if (least) push_half(exponent + bits - 1, true);
    uint8_t nibbles[16] = {}, fifth[4] = {};
    for (int i = 0; i < 32; ++i) {
      const int level = random_.upto(0, 2 * middle - 1);
      value(level - middle, exponent);
      set(nibbles[i % 16], (level & 15) << i / 16 * 4);
      set(fifth[i / 8], level >> 4 << i % 8);
    }
    if (bits == 5) push(fifth, sizeof fifth);
    push(nibbles, sizeof nibbles);
  }
  void bytes() {
    const int exponent = random_.upto(-11, -9);
    push_half(exponent);
    for (int i = 0; i < 32; ++i) {
      const int8_t level = static_cast<int8_t>(random_.upto(-128, 127));
      push(&level, 1);
      value(level, exponent);
    }
  }
  // 8 × 32 levels, around their middle or a scale's one beside it.
  void with_minima(int bits) {
    const int exponent = random_.upto(-12, -11) - (bits - 4), middle = 1 << (bits - 1);
    push_half(exponent), push_half(exponent + bits - 1);
    uint8_t packed[12] = {}, nibbles[128] = {}, fifth[32] = {};
    for (int sub = 0; sub < 8; ++sub) {
      const int scale = random_.upto(0, 63), least = std::min(63, std::max(0, scale + random_.upto(-1, 1)));
      if (sub < 4) {
        set(packed[sub], scale), set(packed[sub + 4], least);
      } else {
        set(packed[sub + 4], (scale & 15) | (least & 15) << 4);
        set(packed[sub - 4], scale >> 4 << 6), set(packed[sub], least >> 4 << 6);
      }
      for (int i = 0; i < 32; ++i) {
        const int level = random_.upto(0, 2 * middle - 1);
        value(scale * level - least * middle, exponent);
        set(nibbles[sub / 2 * 32 + i], (level & 15) << sub % 2 * 4);
        set(fifth[i], level >> 4 << sub);
      }
    }
    push(packed, sizeof packed);
    if (bits == 5) push(fifth, sizeof fifth);
    push(nibbles, sizeof nibbles);
  }
  // 16 × 16 levels of 6 bits.
  void six_bits() {
    const int exponent = random_.upto(-14, -13);
    uint8_t low[128] = {}, high[64] = {};
    int8_t scales[16];
    for (int i = 0; i < 256; ++i) {
      if (i % 16 == 0) scales[i / 16] = static_cast<int8_t>(random_.upto(-128, 127));
      const int half = i / 128, quarter = i / 32 % 4, level = random_.upto(0, 63);
      value(scales[i / 16] * (level - 32), exponent);
      set(low[half * 64 + quarter % 2 * 32 + i % 32], (level & 15) << quarter / 2 * 4);
      set(high[half * 32 + i % 32], level >> 4 << quarter * 2);
    }
    push(low, sizeof low), push(high, sizeof high), push(scales, sizeof scales);
    push_half(exponent);
  }

  Random& random_;
  std::vector<uint8_t>& bytes_;
  std::vector<float>& values_;
};

}  // namespace test
#endif
