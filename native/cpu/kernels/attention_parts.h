// What the attention kernels of one instruction set share: the dot product of a key tile, and probabilities. Included only by them.
#ifndef ZSLAB_CPU_KERNELS_ATTENTION_PARTS_H
#define ZSLAB_CPU_KERNELS_ATTENTION_PARTS_H

#include <limits>
#include <type_traits>

#include "core/kernels.h"
#include "cpu/kernels/fetch.h"
#include "cpu/lanes.h"

namespace zs {
namespace ZS_ISA {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

#if defined(ZS_LANES_AVX512)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 8;  // of 16 lanes
#endif

// Slots side by side in a key tile, known as the kernel is compiled: all but a narrower last one's, which are an int32_t.
using Whole = std::integral_constant<int32_t, kLanes>;

// How each storage type is read: dims 2i and 2i + 1 of a key tile; 16 dims of a value row; and the c-th 16 of a row in an order of its own,
// which is as good to sum in and cheaper to read: in_order puts the sums of two of them right.
struct F32 {
  using Element = float;
  template <class Width = Whole>
  static Lanes even(const Element* tile, int32_t i, Width width = {}) {
    return load(tile + (2 * i) * width);
  }
  template <class Width = Whole>
  static Lanes odd(const Element* tile, int32_t i, Width width = {}) {
    return load(tile + (2 * i + 1) * width);
  }
  static Lanes row(const Element* p) { return load(p); }
  static Lanes part(const Element* p, int c) { return load(p + c * kLanes); }
  static void in_order(Lanes&, Lanes&) {}
};
struct F16 {
  using Element = uint16_t;
  static Lanes even(const Element* tile, int32_t i, Whole = {}) { return load_f16(tile + (2 * i) * kLanes); }
  static Lanes odd(const Element* tile, int32_t i, Whole = {}) { return load_f16(tile + (2 * i + 1) * kLanes); }
  static Lanes row(const Element* p) { return load_f16(p); }
  static Lanes part(const Element* p, int c) { return load_f16(p + c * kLanes); }
  static void in_order(Lanes&, Lanes&) {}
};
struct BF16 {
  using Element = uint16_t;
  static Lanes even(const Element* tile, int32_t i, Whole = {}) { return load_bf16_even(tile + (2 * i) * kLanes); }
  static Lanes odd(const Element* tile, int32_t i, Whole = {}) { return load_bf16_odd(tile + (2 * i) * kLanes); }
  static Lanes row(const Element* p) { return load_bf16(p); }
  static Lanes part(const Element* p, int c) { return c % 2 ? odd(p, c / 2) : even(p, c / 2); }
  static void in_order(Lanes& a, Lanes& b) { interleave(a, b); }
};

// Calls f with the storage type of a chunk.
template <class F>
inline void with_storage(int32_t storage, F f) {
  if (storage == ZS_F16) return f(F16{});
  if (storage == ZS_BF16) return f(BF16{});
  f(F32{});
}

// acc[r][t] += q_r[i] * keys of dim i of tile t, which `key` reads.
template <int R, int T, class Key>
inline void add_dim(Lanes (*acc)[T], const float* const* q, int32_t i, Key key) {
  Lanes k[T];
  ZS_UNROLL
  for (int t = 0; t < T; ++t) k[t] = key(t);
  ZS_UNROLL
  for (int r = 0; r < R; ++r) {
    const Lanes x = all(q[r][i]);
    ZS_UNROLL
    for (int t = 0; t < T; ++t) acc[r][t] = fma(x, k[t], acc[r][t]);
  }
}

// result[r][t] = q_r · keys of tile t, for R rows and T tiles at once. With `ahead`, as many bytes are fetched as are read.
template <class Storage, int R, int T, class Width = Whole>
inline void dots(const typename Storage::Element* keys, int32_t d, const float* const* q, Lanes (*result)[T],
                 Ahead* ahead = nullptr, Width width = {}) {
  Lanes even[R][T], odd[R][T];
  ZS_UNROLL
  for (int r = 0; r < R; ++r) {
    ZS_UNROLL
    for (int t = 0; t < T; ++t) even[r][t] = odd[r][t] = zero();
  }
  const int64_t tile = static_cast<int64_t>(d) * kLanes;
  constexpr int kPairs = 4 * kLine / static_cast<int>(T * 2 * kLanes * sizeof *keys);  // that take four lines
  const auto add_even = [&](int32_t i) {
    add_dim<R, T>(even, q, 2 * i, [&](int t) { return Storage::even(keys + t * tile, i, width); });
  };
  const auto add_odd = [&](int32_t i) {
    add_dim<R, T>(odd, q, 2 * i + 1, [&](int t) { return Storage::odd(keys + t * tile, i, width); });
  };
  if (2 * R * T < kRegisters) {
    // One after the other: the sums of three heads leave no registers for both.
    for (int32_t i = 0; i < d / 2; ++i) {
      if (ahead && i % kPairs == 0) ahead->four();
      add_even(i);
      add_odd(i);
    }
  } else {  // no registers for both sums: the tile, which is in the first-level cache by then, twice
    for (int32_t i = 0; i < d / 2; ++i) {
      if (ahead && i % (2 * kPairs) == 0) ahead->four();
      add_even(i);
    }
    for (int32_t i = 0; i < d / 2; ++i) {
      if (ahead && i % (2 * kPairs) == 0) ahead->four();
      add_odd(i);
    }
  }
  ZS_UNROLL
  for (int r = 0; r < R; ++r) {
    ZS_UNROLL
    for (int t = 0; t < T; ++t) result[r][t] = even[r][t] + odd[r][t];
  }
}

// Slots from `slot` on lie in a tile that is narrower than others.
inline bool is_narrow(const KeyChunk& chunk, int32_t slot) {
  return chunk.last < kLanes && chunk.slots - slot < kLanes;
}

// Lanes from `count` on become minus infinity.
inline Lanes only(Lanes x, int64_t count) {
  if (count >= kLanes) return x;
  return pick(count <= 0 ? 0u : (1u << count) - 1u, x, all(-kInfinity));
}

void decode(const DecodeTask& task);
void rows(const RowsTask& task);
void columns(const ColumnsTask& task);
void turn(const TurnTask& task);
const float* float_keys(const KeyChunk& chunk, int32_t d, int32_t tiles, float* into);
const float* float_values(const KeyChunk& chunk, int64_t padded, int64_t slots, float* into);
void products(const ProductsTask& task);
void powers(float* e, int32_t slots, int32_t group, const uint16_t* rows, float* highest, float* factor);
void times(float* values, int64_t count, const float* factor);
void squares(const float* values, int64_t padded, int32_t slots, float* out);
void weigh(const WeighTask& task);
void leave_out(const LeaveOutTask& task);
void probabilities(const ProbabilitiesTask& task);

}  // namespace ZS_ISA
}  // namespace zs
#endif
