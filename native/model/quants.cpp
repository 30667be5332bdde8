#include "model/quants.h"

#include <cstring>
#include <iterator>

#include "core/half.h"
#include "zslab/model.h"

// Blocks as ggml lays them out (ggml-common.h); in the order of its float32 operations, products before sums.
namespace zs {
namespace {

constexpr int kBlock = 32, kSuper = 256;  // values

uint16_t word(const uint8_t* from) {
  uint16_t bits;
  std::memcpy(&bits, from, 2);
  return bits;
}
float half(const uint8_t* from) { return of_f16(word(from)); }

void f32(const uint8_t* from, int64_t count, float* to) { std::memcpy(to, from, static_cast<size_t>(count) * 4); }
void f16(const uint8_t* from, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = half(from + 2 * i);
}
void bf16(const uint8_t* from, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = of_bf16(word(from + 2 * i));
}

// 32 levels of 4 bits, the lower half's in low nibbles; `fifth`: 32 bits that go above them, or none.
struct Levels {
  const uint8_t* nibbles;
  uint32_t fifth;
  int low(int i) const { return (nibbles[i] & 15) | static_cast<int>(fifth >> i & 1) << 4; }
  int high(int i) const { return nibbles[i] >> 4 | static_cast<int>(fifth >> (i + kBlock / 2) & 1) << 4; }
};
uint32_t fifth_bits(const uint8_t* from) {
  uint32_t bits;
  std::memcpy(&bits, from, 4);
  return bits;
}

// scale × (level − zero)
void around(float scale, const Levels& levels, int zero, float* to) {
  for (int i = 0; i < kBlock / 2; ++i) {
    to[i] = scale * static_cast<float>(levels.low(i) - zero);
    to[i + kBlock / 2] = scale * static_cast<float>(levels.high(i) - zero);
  }
}
// scale × level + least
void above(float scale, float least, const Levels& levels, float* to) {
  for (int i = 0; i < kBlock / 2; ++i) {
    to[i] = scale * static_cast<float>(levels.low(i)) + least;
    to[i + kBlock / 2] = scale * static_cast<float>(levels.high(i)) + least;
  }
}

void q4_0(const uint8_t* block, float* to) { around(half(block), {block + 2, 0}, 8, to); }
void q4_1(const uint8_t* block, float* to) { above(half(block), half(block + 2), {block + 4, 0}, to); }
void q5_0(const uint8_t* block, float* to) { around(half(block), {block + 6, fifth_bits(block + 2)}, 16, to); }
void q5_1(const uint8_t* block, float* to) {
  above(half(block), half(block + 2), {block + 8, fifth_bits(block + 4)}, to);
}
void q8_0(const uint8_t* block, float* to) {
  const float scale = half(block);
  for (int i = 0; i < kBlock; ++i) to[i] = scale * static_cast<float>(static_cast<int8_t>(block[2 + i]));
}

// Scale and minimum of sub-block `i` of 8, 6 bits each in 12 bytes: the first four as they are, the others' upper two bits above them.
struct ScaleMin {
  float scale, least;
};
ScaleMin scale_min(const uint8_t* packed, int i) {
  const int low = i & 3;
  const int scale = i < 4 ? packed[low] & 63 : (packed[low + 8] & 15) | (packed[low] >> 6) << 4;
  const int least = i < 4 ? packed[low + 4] & 63 : packed[low + 8] >> 4 | (packed[low + 4] >> 6) << 4;
  return {static_cast<float>(scale), static_cast<float>(least)};
}

// 8 sub-blocks of 32: scale × level − minimum; two of them share 32 bytes of nibbles, bit `i` of `fifth[j]` belongs to value j of the i-th.
void k_block(const uint8_t* block, const uint8_t* fifth, const uint8_t* nibbles, float* to) {
  const float scale = half(block), least = half(block + 2);
  for (int i = 0; i < kSuper / kBlock; ++i, to += kBlock) {
    const ScaleMin own = scale_min(block + 4, i);
    const float d = scale * own.scale, m = least * own.least;
    const uint8_t* pair = nibbles + i / 2 * kBlock;
    for (int j = 0; j < kBlock; ++j) {
      const int level = (pair[j] >> (i % 2 * 4) & 15) | (fifth ? (fifth[j] >> i & 1) << 4 : 0);
      to[j] = d * static_cast<float>(level) - m;
    }
  }
}
void q4_k(const uint8_t* block, float* to) { k_block(block, nullptr, block + 16, to); }
void q5_k(const uint8_t* block, float* to) { k_block(block, block + 16, block + 48, to); }

// 16 sub-blocks of 16: scale × (level − 32). 128 values share 64 bytes of low nibbles and 32 bytes of upper two bits.
void q6_k(const uint8_t* block, float* to) {
  constexpr int kSub = 16;
  const float scale = half(block + 208);
  for (int sub = 0; sub < kSuper / kSub; ++sub, to += kSub) {
    const int part = sub / 8, quarter = sub / 2 % 4, from = sub % 2 * kSub;
    const uint8_t* low = block + part * 64 + quarter % 2 * 32 + from;
    const uint8_t* high = block + 128 + part * 32 + from;
    const float d = scale * static_cast<float>(static_cast<int8_t>(block[192 + sub]));
    for (int j = 0; j < kSub; ++j) {
      const int level = (low[j] >> (quarter / 2 * 4) & 15) | (high[j] >> (2 * quarter) & 3) << 4;
      to[j] = d * static_cast<float>(level - 32);
    }
  }
}

template <int kValues, int kBytes, void (*kOne)(const uint8_t*, float*)>
void each(const uint8_t* from, int64_t count, float* to) {
  for (int64_t i = 0; i < count; i += kValues, from += kBytes) kOne(from, to + i);
}

struct Known {
  int32_t number;
  BlockType type;
  void (*widen)(const uint8_t*, int64_t, float*);
};
template <int kValues, int kBytes, void (*kOne)(const uint8_t*, float*)>
constexpr Known of_blocks(int32_t number, const char* name) {
  return {number, {name, kValues, kBytes}, each<kValues, kBytes, kOne>};
}
constexpr Known kKnown[] = {
    {ZS_T_F32, {"F32", 1, 4}, f32},
    {ZS_T_F16, {"F16", 1, 2}, f16},
    of_blocks<kBlock, 18, q4_0>(ZS_T_Q4_0, "Q4_0"),
    of_blocks<kBlock, 20, q4_1>(ZS_T_Q4_1, "Q4_1"),
    of_blocks<kBlock, 22, q5_0>(ZS_T_Q5_0, "Q5_0"),
    of_blocks<kBlock, 24, q5_1>(ZS_T_Q5_1, "Q5_1"),
    of_blocks<kBlock, 34, q8_0>(ZS_T_Q8_0, "Q8_0"),
    of_blocks<kSuper, 144, q4_k>(ZS_T_Q4_K, "Q4_K"),
    of_blocks<kSuper, 176, q5_k>(ZS_T_Q5_K, "Q5_K"),
    of_blocks<kSuper, 210, q6_k>(ZS_T_Q6_K, "Q6_K"),
    {ZS_T_BF16, {"BF16", 1, 2}, bf16},
};

const Known* known(int32_t number) {
  for (const Known& one : kKnown)
    if (one.number == number) return &one;
  return nullptr;
}

}  // namespace

const BlockType* block_type(int32_t type) {
  const Known* found = known(type);
  return found ? &found->type : nullptr;
}

std::string block_type_names() {
  std::string names;
  for (const Known& one : kKnown) {
    if (!names.empty()) names += &one == std::end(kKnown) - 1 ? " and " : ", ";
    names += std::string(one.type.name) + " (" + std::to_string(one.number) + ")";
  }
  return names;
}

void dequantize(int32_t type, const uint8_t* from, int64_t count, float* to) { known(type)->widen(from, count, to); }

}  // namespace zs
