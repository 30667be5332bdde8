#include "model/packed.h"

#include <algorithm>
#include <cstring>

#include "core/half.h"
#include "cpu/linear.h"
#include "model/quants.h"
#include "zslab/model.h"

namespace zs {
namespace {

// Of each packing: what it holds as it is.
constexpr int32_t kTypes[kPackings] = {ZS_T_F32,  ZS_T_F16,  ZS_T_BF16, ZS_T_Q4_0, ZS_T_Q4_1, ZS_T_Q5_0,
                                       ZS_T_Q5_1, ZS_T_Q8_0, ZS_T_Q4_K, ZS_T_Q5_K, ZS_T_Q6_K};

// One row's part of a block: as many values as its scales go for.
struct RowBlock {
  uint16_t scale = 0, least = 0;
  uint8_t scales[16] = {}, leasts[8] = {};  // factors; signed bytes or 6 bits
  uint8_t fields[256];                      // from 0, or signed bytes
};

uint16_t half_at(const uint8_t* p) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return bits;
}

// Sixteen bytes of two fields each: the lower half's bits are the first 16 fields.
void nibbles(const uint8_t* p, int64_t count, uint8_t* fields) {
  for (int64_t i = 0; i < count; ++i) fields[i] = p[i] & 15, fields[count + i] = p[i] >> 4;
}
void fifth_bits(const uint8_t* p, uint8_t* fields) {
  uint32_t bits;
  std::memcpy(&bits, p, 4);
  for (int i = 0; i < 32; ++i) fields[i] = static_cast<uint8_t>(fields[i] | (bits >> i & 1) << 4);
}
// Eight scales and eight least values of 6 bits in 12 bytes.
void six_bits(const uint8_t* p, RowBlock& to) {
  for (int i = 0; i < 4; ++i) {
    to.scales[i] = p[i] & 63, to.leasts[i] = p[i + 4] & 63;
    to.scales[i + 4] = static_cast<uint8_t>((p[i + 8] & 15) | p[i] >> 6 << 4);
    to.leasts[i + 4] = static_cast<uint8_t>(p[i + 8] >> 4 | p[i + 4] >> 6 << 4);
  }
}

// The block of GGUF at p.
RowBlock block_at(Packing packing, const uint8_t* p) {
  RowBlock b;
  switch (packing) {
    case Packing::kQ4_0:
    case Packing::kQ5_0:
      b.scale = half_at(p);
      p += 2;
      break;
    case Packing::kQ6_K:
      b.scale = half_at(p + 208);
      break;
    case Packing::kQ8_0:
      b.scale = half_at(p);
      std::memcpy(b.fields, p + 2, 32);
      return b;
    default:
      b.scale = half_at(p), b.least = half_at(p + 2);
      p += 4;
  }
  switch (packing) {
    case Packing::kQ4_0:
    case Packing::kQ4_1:
      nibbles(p, 16, b.fields);
      break;
    case Packing::kQ5_0:
    case Packing::kQ5_1:
      nibbles(p + 4, 16, b.fields);
      fifth_bits(p, b.fields);
      break;
    case Packing::kQ4_K:
    case Packing::kQ5_K: {
      six_bits(p, b);
      p += 12;
      const uint8_t* fifth = p;
      if (packing == Packing::kQ5_K) p += 32;
      for (int i = 0; i < 4; ++i) nibbles(p + 32 * i, 32, b.fields + 64 * i);
      for (int i = 0; i < 256 && packing == Packing::kQ5_K; ++i)
        b.fields[i] = static_cast<uint8_t>(b.fields[i] | (fifth[i % 32] >> i / 32 & 1) << 4);
      break;
    }
    default:  // kQ6_K: two halves of 128, each 64 bytes of lower and 32 of upper bits
      for (int i = 0; i < 256; ++i) {
        const int half = i / 128, quarter = i % 128 / 32, at = i % 32;
        const uint8_t low = p[64 * half + quarter % 2 * 32 + at], high = p[128 + 32 * half + at];
        b.fields[i] = static_cast<uint8_t>((quarter < 2 ? low & 15 : low >> 4) | (high >> 2 * quarter & 3) << 4);
      }
      std::memcpy(b.scales, p + 192, 16);
  }
  return b;
}

void put_half(uint8_t* lanes, int64_t lane, uint16_t bits) { std::memcpy(lanes + 2 * lane, &bits, 2); }

// Field `at` of a lane.
void put_field(uint8_t* words, int bits, int at, int64_t lane, uint32_t value) {
  const int shift = at * bits % 32;
  uint8_t* word = words + at * bits / 32 * 64 + 4 * lane;
  uint64_t both = 0;
  const bool over = shift + bits > 32;
  std::memcpy(&both, word, 4);
  if (over) {
    uint32_t next;
    std::memcpy(&next, word + 64, 4);
    both |= static_cast<uint64_t>(next) << 32;
  }
  both |= static_cast<uint64_t>(value) << shift;
  std::memcpy(word, &both, 4);
  if (over) {
    const uint32_t next = static_cast<uint32_t>(both >> 32);
    std::memcpy(word + 64, &next, 4);
  }
}
uint32_t get_field(const uint8_t* words, int bits, int at, int64_t lane) {
  const int shift = at * bits % 32;
  const uint8_t* word = words + at * bits / 32 * 64 + 4 * lane;
  uint32_t value, next = 0;
  std::memcpy(&value, word, 4);
  value >>= shift;
  if (shift + bits > 32) {
    std::memcpy(&next, word + 64, 4);
    value |= next << (32 - shift);
  }
  return value & ((1u << bits) - 1);
}

// Into zeroed bytes.
void put_block(Packing packing, const RowBlock& b, int64_t lane, uint8_t* to) {
  const Fields f = fields_of(packing);
  const int parts = static_cast<int>(f.inputs / f.each);
  put_half(to, lane, b.scale);
  if (f.has_least) put_half(to + kHalves, lane, b.least);
  for (int i = 0; parts > 1 && i < parts; ++i) {
    if (f.has_least) {
      put_field(to + 2 * kHalves, 6, i, lane, b.scales[i]);
      put_field(to + 2 * kHalves, 6, parts + i, lane, b.leasts[i]);
    } else {
      to[kHalves + i * kTile + lane] = b.scales[i];
    }
  }
  uint8_t* fields = to + head_bytes(packing);
  for (int i = 0; i < f.inputs; ++i) {
    const int each = static_cast<int>(f.each);
    uint8_t* part = fields + i / each * field_bytes(packing);
    if (f.bits == 8)
      part[i % each * kTile + lane] = b.fields[i];
    else
      put_field(part, f.bits, i % each, lane, b.fields[i]);
  }
}

void unpack_block(Packing packing, const uint8_t* from, int64_t lane, float* to) {
  const Fields f = fields_of(packing);
  const int parts = static_cast<int>(f.inputs / f.each), each = static_cast<int>(f.each);
  const float whole = of_f16(half_at(from + 2 * lane)),
              below = f.has_least ? of_f16(half_at(from + kHalves + 2 * lane)) : 0;
  const uint8_t* fields = from + head_bytes(packing);
  for (int part = 0; part < parts; ++part, fields += field_bytes(packing)) {
    float scale = whole, least = below;
    if (parts > 1 && f.has_least) {
      scale *= static_cast<float>(get_field(from + 2 * kHalves, 6, part, lane));
      least *= -static_cast<float>(get_field(from + 2 * kHalves, 6, parts + part, lane));
    } else if (parts > 1) {
      scale *= static_cast<float>(static_cast<int8_t>(from[kHalves + part * kTile + lane]));
    }
    for (int i = 0; i < each; ++i) {
      const int field = f.bits == 8 ? static_cast<int8_t>(fields[i * kTile + lane])
                                    : static_cast<int>(get_field(fields, f.bits, i, lane)) - f.bias;
      const float value = static_cast<float>(field) * scale;
      *to++ = f.has_least ? value + least : value;
    }
  }
}

// Of sixteen rows of floats.
template <class T, class F>
void spread(const float* rows, int64_t k, bool pairs, T* to, F convert) {
  for (int64_t i = 0; i < k; ++i)
    for (int64_t r = 0; r < kTile; ++r)
      to[pairs ? i / 2 * 2 * kTile + 2 * r + i % 2 : i * kTile + r] = convert(rows[r * k + i]);
}

}  // namespace

Packing packing_of(int32_t type) {
  const int32_t* const found = std::find(kTypes, kTypes + kPackings, type);
  return found == kTypes + kPackings ? Packing::kF32 : static_cast<Packing>(found - kTypes);
}

const char* packing_name(Packing packing) { return block_type(kTypes[static_cast<int>(packing)])->name; }

void pack_tile(Packing packing, int64_t k, const uint8_t* const from[kTile], const Tensor* const of[kTile], float* rows,
               uint8_t* tile) {
  const Fields f = fields_of(packing);
  if (f.bits) {
    std::memset(tile, 0, static_cast<size_t>(tile_bytes(packing, k)));
    const int64_t block = tile_bytes(packing, f.inputs);
    for (int64_t lane = 0; lane < kTile; ++lane)
      for (int64_t i = 0; from[lane] && i < of[lane]->inputs / f.inputs; ++i)
        put_block(packing, block_at(packing, from[lane] + i * block / kTile), lane, tile + i * block);
    return;
  }
  for (int64_t r = 0; r < kTile; ++r) {
    const int64_t there = from[r] ? of[r]->inputs : 0;
    if (there) dequantize(of[r]->type, from[r], there, rows + r * k);
    std::fill(rows + r * k + there, rows + (r + 1) * k, 0.0f);
  }
  if (packing == Packing::kF32)
    spread(rows, k, false, reinterpret_cast<float*>(tile), [](float x) { return x; });
  else
    spread(rows, k, packing == Packing::kBf16, reinterpret_cast<uint16_t*>(tile),
           packing == Packing::kBf16 ? bf16_of : f16_of);
}

void unpack_lane(Packing packing, const uint8_t* tile, int64_t lane, int64_t inputs, float* to) {
  const Fields f = fields_of(packing);
  if (f.bits) {
    for (int64_t i = 0; i < inputs; i += f.inputs, tile += tile_bytes(packing, f.inputs))
      unpack_block(packing, tile, lane, to + i);
  } else if (packing == Packing::kF32) {
    for (int64_t i = 0; i < inputs; ++i) std::memcpy(to + i, tile + 4 * (i * kTile + lane), 4);
  } else {
    for (int64_t i = 0; i < inputs; ++i) {
      const bool pairs = packing == Packing::kBf16;
      const uint16_t bits = half_at(tile + 2 * (pairs ? i / 2 * 2 * kTile + 2 * lane + i % 2 : i * kTile + lane));
      to[i] = pairs ? of_bf16(bits) : of_f16(bits);
    }
  }
}

}  // namespace zs
