// What the attention kernels of one instruction set share: the dot product of a key tile, and probabilities. Included only by them.
#ifndef ZSLAB_CPU_KERNELS_ATTENTION_PARTS_H
#define ZSLAB_CPU_KERNELS_ATTENTION_PARTS_H

#include <limits>

#include "core/kernels.h"
#include "cpu/lanes.h"

namespace zs {
namespace ZS_ISA {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int64_t kLine = 64;  // bytes of a cache line

// How each storage type is read: pairs of dims of a key tile; 16 dims of a value row, or 32 in an order of their own, which is as good to
// sum in and cheaper to read; in_order puts the sums right.
struct F32 {
  using Element = float;
  static void pair(const Element* tile, int32_t i, Lanes& even, Lanes& odd) {
    even = load(tile + (2 * i) * kLanes);
    odd = load(tile + (2 * i + 1) * kLanes);
  }
  static Lanes row(const Element* p) { return load(p); }
  static void two(const Element* p, Lanes& a, Lanes& b) {
    a = load(p);
    b = load(p + kLanes);
  }
  static void in_order(Lanes&, Lanes&) {}
};
struct F16 {
  using Element = uint16_t;
  static void pair(const Element* tile, int32_t i, Lanes& even, Lanes& odd) {
    even = load_f16(tile + (2 * i) * kLanes);
    odd = load_f16(tile + (2 * i + 1) * kLanes);
  }
  static Lanes row(const Element* p) { return load_f16(p); }
  static void two(const Element* p, Lanes& a, Lanes& b) {
    a = load_f16(p);
    b = load_f16(p + kLanes);
  }
  static void in_order(Lanes&, Lanes&) {}
};
struct BF16 {
  using Element = uint16_t;
  static void pair(const Element* tile, int32_t i, Lanes& even, Lanes& odd) {
    load_bf16_pairs(tile + i * 2 * kLanes, even, odd);
  }
  static Lanes row(const Element* p) { return load_bf16(p); }
  static void two(const Element* p, Lanes& a, Lanes& b) { load_bf16_pairs(p, a, b); }
  static void in_order(Lanes& a, Lanes& b) { interleave(a, b); }
};

// Calls f with the storage type of a chunk.
template <class F>
inline void with_storage(int32_t storage, F f) {
  if (storage == ZS_F16) return f(F16{});
  if (storage == ZS_BF16) return f(BF16{});
  f(F32{});
}

// dots[r][t] = q_r · keys of tile t, for R rows and T tiles at once. kFetch: while they are read as many bytes are fetched from `ahead` on,
// in order.
template <class Storage, int R, int T, bool kFetch = false>
inline void dots(const typename Storage::Element* keys, int32_t d, const float* const* q, Lanes (*result)[T],
                 const char* ahead = nullptr) {
  Lanes even[R][T], odd[R][T];
  ZS_UNROLL
  for (int r = 0; r < R; ++r) {
    ZS_UNROLL
    for (int t = 0; t < T; ++t) even[r][t] = odd[r][t] = zero();
  }
  const int64_t tile = static_cast<int64_t>(d) * kLanes;
  for (int32_t i = 0; i < d / 2; ++i) {
    Lanes a[T], b[T];
    ZS_UNROLL
    for (int t = 0; t < T; ++t) Storage::pair(keys + t * tile, i, a[t], b[t]);
    if (kFetch)
      for (size_t line = 0; line < T * sizeof(typename Storage::Element) / 2; ++line, ahead += kLine) prefetch(ahead);
    ZS_UNROLL
    for (int r = 0; r < R; ++r) {
      const Lanes x = all(q[r][2 * i]), y = all(q[r][2 * i + 1]);
      ZS_UNROLL
      for (int t = 0; t < T; ++t) {
        even[r][t] = fma(x, a[t], even[r][t]);
        odd[r][t] = fma(y, b[t], odd[r][t]);
      }
    }
  }
  ZS_UNROLL
  for (int r = 0; r < R; ++r) {
    ZS_UNROLL
    for (int t = 0; t < T; ++t) result[r][t] = even[r][t] + odd[r][t];
  }
}

// Lanes from `count` on become minus infinity.
inline Lanes only(Lanes x, int64_t count) {
  if (count >= kLanes) return x;
  return pick(count <= 0 ? 0u : (1u << count) - 1u, x, all(-kInfinity));
}

void decode(const DecodeTask& task);
void rows(const RowsTask& task);
void columns(const ColumnsTask& task);

}  // namespace ZS_ISA
}  // namespace zs
#endif
