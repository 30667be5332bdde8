// How packed weights lie in memory. A matrix of `outputs` rows and `inputs` columns is held in tiles of 16 outputs; `k` is inputs rounded up
// to 32, the rest zero. A tile is k / inputs blocks, one after another; the 16 outputs' values of an input are side by side ("lanes").
//
//   kF32   [k][16]                       kF16   [k][16]                       kBf16  [k / 2][16][2], whose pairs are two inputs
//   kQ4_0  scale                          + 32 fields of 4 bits                kQ5_0  the same of 5 bits
//   kQ4_1  scale, least                   + 32 fields of 4 bits                kQ5_1  of 5 bits
//   kQ8_0  scale                          + [32][16] signed bytes
//   kQ4_K  scale, least, 16 fields of 6 bits: factors of eight scales, then of eight least values; then 8 times 32 fields of 4 bits
//   kQ5_K  the same with fields of 5 bits
//   kQ6_K  scale, [16][16] signed bytes: factors of it; then 16 times 16 fields of 6 bits
//
// Scales and least values are float16 [16]. n fields of b bits are [n * b / 32][16] words of 32 bits: of each lane, bits b i and on of all
// its words are field i. Everything takes exactly the bytes that it has in a GGUF file. A weight is (field - bias) * scale + least, where a
// scale with a factor is their product, and a least value with one minus theirs.
#ifndef ZSLAB_CPU_PACKING_H
#define ZSLAB_CPU_PACKING_H

#include <cstdint>

namespace zs {

constexpr int64_t kTile = 16;       // outputs of one packed tile
constexpr int64_t kInputStep = 32;  // inputs are padded to a multiple of this

enum class Packing : int32_t { kF32, kF16, kBf16, kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0, kQ4_K, kQ5_K, kQ6_K };
constexpr int kPackings = 11;

struct Fields {
  int bits = 0;  // of a field; 0 = floats
  int bias = 0;
  bool has_least = false;
  int64_t each = 32;    // inputs that share a scale
  int64_t inputs = 32;  // of a block
};

constexpr Fields fields_of(Packing packing) {
  switch (packing) {
    case Packing::kQ4_0:
      return {4, 8, false, 32, 32};
    case Packing::kQ4_1:
      return {4, 0, true, 32, 32};
    case Packing::kQ5_0:
      return {5, 16, false, 32, 32};
    case Packing::kQ5_1:
      return {5, 0, true, 32, 32};
    case Packing::kQ8_0:
      return {8, 0, false, 32, 32};
    case Packing::kQ4_K:
      return {4, 0, true, 32, 256};
    case Packing::kQ5_K:
      return {5, 0, true, 32, 256};
    case Packing::kQ6_K:
      return {6, 32, false, 16, 256};
    default:
      return {};
  }
}
// Whether products want their inputs prepared: turned as fields lie in their words, and summed where weights have a bias or least values.
constexpr bool prepared(Packing packing) {
  const Fields f = fields_of(packing);
  return f.bits && f.bits < 8;
}
// Field `at` is masked where it lies rather than shifted down, so that it counts 2^place too much: 0 where it ends a word or goes over its
// end, and has to be shifted anyway.
constexpr int field_place(int bits, int at) {
  const int shift = at * bits % 32;
  return shift + bits < 32 ? shift : 0;
}

constexpr int64_t kHalves = 2 * kTile;  // bytes of a float16 of each lane

// Bytes before a block's fields, and of the fields that share a scale.
constexpr int64_t head_bytes(Packing packing) {
  const Fields f = fields_of(packing);
  if (packing == Packing::kQ6_K) return kHalves + 16 * kTile;
  return kHalves * (f.has_least ? 2 : 1) + (f.inputs > f.each ? 16 * 6 / 8 * kTile : 0);
}
constexpr int64_t field_bytes(Packing packing) {
  const Fields f = fields_of(packing);
  return f.each * f.bits / 8 * kTile;
}

// Of a tile of k inputs.
constexpr int64_t tile_bytes(Packing packing, int64_t k) {
  const Fields f = fields_of(packing);
  if (f.bits == 0) return k * kTile * (packing == Packing::kF32 ? 4 : 2);
  return k / f.inputs * (head_bytes(packing) + f.inputs / f.each * field_bytes(packing));
}

}  // namespace zs
#endif
