// Products with packed weights that are floats (layout: cpu/packing.h; order of sums: cpu/linear.h).
#include <algorithm>
#include <type_traits>

#include "cpu/kernels/fetch.h"
#include "cpu/kernels/linear_parts.h"
#include "cpu/trials.h"

namespace zs {
namespace ZS_ISA {
namespace {

// Bytes that a stream is fetched ahead: short rows never wake the hardware's own prefetcher.
constexpr int64_t kDistance = 8192;

template <Packing kPacking>
struct Floats {
  using W = uint16_t;
  // The two lanes of weights that belong to inputs 2p and 2p + 1 of one tile.
  static void pair(const W* w, int64_t p, Lanes& even, Lanes& odd) {
    if constexpr (kPacking == Packing::kBf16) {
      load_bf16_pairs(w + p * 32, even, odd);
    } else {
      even = load_f16(w + p * 32);
      odd = load_f16(w + p * 32 + 16);
    }
  }
};
template <>
struct Floats<Packing::kF32> {
  using W = float;
  static void pair(const W* w, int64_t p, Lanes& even, Lanes& odd) {
    even = load(w + p * 32);
    odd = load(w + p * 32 + 16);
  }
};

// One tile after the other, so that the weights are one stream; which way of fetching is quickest is tried on the machine itself. Tried and
// lost (Zen 4, one thread, bfloat16, GB/s of 31 where kStreamNear reads 28-30): two tiles side by side 19-25, four 19-24, kStream 19-25.
// An Intel with AVX-512 reads 77-81% of what a plain loop can with kStreamNear, 94-97% with kPagesNear.
template <class F, class W = typename F::W>
void one_row(const W* w, const float* x, int64_t k, int64_t tiles, float* y) {
  static Trials<kFetchWays> trials;
  thread_local typename Trials<kFetchWays>::Turn turn;
  Ahead ahead(w, trials.start(turn), kDistance);
  for (int64_t t = 0; t < tiles; ++t, w += k * kTile) {
    Lanes even = zero(), odd = zero();
    for (int64_t pair = 0; pair < k / 2; ++pair) {
      constexpr int64_t kPairs = 8 / sizeof(W);  // that take four lines
      if (pair % kPairs == 0) ahead.four();
      Lanes w0, w1;
      F::pair(w, pair, w0, w1);
      even = fma(w0, all(x[2 * pair]), even);
      odd = fma(w1, all(x[2 * pair + 1]), odd);
    }
    store(y + t * kTile, even + odd);
  }
  trials.end(turn, k * tiles);
}

// Rows and tiles held in registers at once: two accumulators each.
#if defined(ZS_LANES_AVX512)
constexpr int kRows = 6, kWide = 2;
#elif defined(ZS_LANES_AVX2)
constexpr int kRows = 3, kWide = 1;
#else
constexpr int kRows = 1, kWide = 1;
#endif

// What is fetched lies `after` bytes behind what is read. (A branch in the loop instead has GCC keep sums in memory: half the speed.)
template <class F, int kR, int kT, bool kFetches, class W = typename F::W>
void block(const W* w, const float* x, int64_t x_stride, int64_t k, float* y, int64_t y_stride, int64_t after) {
  Lanes even[kR][kT], odd[kR][kT];
  for (int r = 0; r < kR; ++r)
    for (int t = 0; t < kT; ++t) even[r][t] = odd[r][t] = zero();
  for (int64_t pair = 0; pair < k / 2; ++pair) {
    if constexpr (kFetches)
      for (int t = 0; t < kT; ++t) fetch_after(w + (t * k + 2 * pair) * kTile, after, 2 * kTile * sizeof(W));
    Lanes w0[kT], w1[kT];
    for (int t = 0; t < kT; ++t) F::pair(w + t * k * kTile, pair, w0[t], w1[t]);
    for (int r = 0; r < kR; ++r) {
      const Lanes x0 = all(x[r * x_stride + 2 * pair]), x1 = all(x[r * x_stride + 2 * pair + 1]);
      for (int t = 0; t < kT; ++t) {
        even[r][t] = fma(w0[t], x0, even[r][t]);
        odd[r][t] = fma(w1[t], x1, odd[r][t]);
      }
    }
  }
  for (int r = 0; r < kR; ++r)
    for (int t = 0; t < kT; ++t) store(y + r * y_stride + t * kTile, even[r][t] + odd[r][t]);
}

// Bytes from what the first rows read of kT tiles to what they fetch; 0 = nothing. Many rows find their weights in the cache, and two tiles of
// float32 side by side are best left to the CPU's own fetching (Intel, AVX-512: 10-12 GB/s a thread, not 8-10).
template <class F, int kT>
int64_t fetched_after(const PackedProduct& p) {
  constexpr int64_t kSize = sizeof(typename F::W);
  return p.rows > kFewRows || (kWide > 1 && kSize > 2) ? 0 : std::min(kT * p.k * kTile * kSize, kMostAfter);
}

template <class F, int kR, int kT>
int64_t rows_from(const PackedProduct& p, int64_t tile, int64_t row) {
  const auto* w = static_cast<const typename F::W*>(p.w) + tile * p.k * kTile;
  const int64_t after = fetched_after<F, kT>(p);
  const auto one = [&](auto fetches) {
    block<F, kR, kT, fetches>(w, p.x + row * p.x_stride, p.x_stride, p.k, p.y + row * p.y_stride + tile * kTile,
                              p.y_stride, after);
    row += kR;
  };
  if (row == 0 && after && kR <= p.rows) one(std::true_type());
  while (row + kR <= p.rows) one(std::false_type());
  return row;
}

template <class F, int kT>
void strip(const PackedProduct& p, int64_t tile) {
  int64_t row = rows_from<F, kRows, kT>(p, tile, 0);
  if constexpr (kRows > 4) row = rows_from<F, 4, kT>(p, tile, row);
  if constexpr (kRows > 2) row = rows_from<F, 2, kT>(p, tile, row);
  rows_from<F, 1, kT>(p, tile, row);
}

// Where few rows are in registers, two-byte weights are widened once for as many rows, a piece of a tile that stays in the first-level cache.
constexpr bool kWidensOnce = kRows <= 3;
constexpr int64_t kPairs = 64;

template <int kR>
void add_piece(const float* wide, int64_t pairs, const float* x, int64_t x_stride, Lanes* even, Lanes* odd) {
  Lanes e[kR], o[kR];
  ZS_UNROLL for (int r = 0; r < kR; ++r) e[r] = even[r], o[r] = odd[r];
  for (int64_t pair = 0; pair < pairs; ++pair) {
    Lanes w0, w1;
    Floats<Packing::kF32>::pair(wide, pair, w0, w1);
    ZS_UNROLL for (int r = 0; r < kR; ++r) {
      e[r] = fma(w0, all(x[r * x_stride + 2 * pair]), e[r]);
      o[r] = fma(w1, all(x[r * x_stride + 2 * pair + 1]), o[r]);
    }
  }
  ZS_UNROLL for (int r = 0; r < kR; ++r) even[r] = e[r], odd[r] = o[r];
}

// Up to kFewRows rows of one tile.
template <class F>
void many_rows(const PackedProduct& p, int64_t tile, int64_t row, int64_t rows) {
  const auto* w = static_cast<const typename F::W*>(p.w) + tile * p.k * kTile;
  const int64_t after = fetched_after<F, 1>(p);
  alignas(64) float wide[kPairs * 2 * kLanes];
  Lanes even[kFewRows], odd[kFewRows];
  for (int64_t r = 0; r < rows; ++r) even[r] = odd[r] = zero();
  for (int64_t from = 0; from < p.k / 2; from += kPairs) {
    const int64_t pairs = std::min(kPairs, p.k / 2 - from);
    for (int64_t pair = 0; pair < pairs; ++pair) {
      Lanes w0, w1;
      if (!row) fetch_after(w + (from + pair) * 2 * kTile, after, 2 * kTile * sizeof *w);
      F::pair(w, from + pair, w0, w1);
      store(wide + pair * 2 * kLanes, w0);
      store(wide + pair * 2 * kLanes + kLanes, w1);
    }
    const float* x = p.x + row * p.x_stride + 2 * from;
    int64_t r = 0;
    for (; r + kRows <= rows; r += kRows)
      add_piece<kRows>(wide, pairs, x + r * p.x_stride, p.x_stride, even + r, odd + r);
    for (; r < rows; ++r) add_piece<1>(wide, pairs, x + r * p.x_stride, p.x_stride, even + r, odd + r);
  }
  for (int64_t r = 0; r < rows; ++r) store(p.y + (row + r) * p.y_stride + tile * kTile, even[r] + odd[r]);
}

}  // namespace

template <Packing kPacking>
void multiply_floats(const PackedProduct& p) {
  using F = Floats<kPacking>;
  if (p.rows == 1) return one_row<F>(static_cast<const typename F::W*>(p.w), p.x, p.k, p.tiles, p.y);
  int64_t t = 0;
  if constexpr (kWidensOnce && kPacking != Packing::kF32)
    if (p.rows > kRows) {
      for (; t < p.tiles; ++t)
        for (int64_t row = 0; row < p.rows; row += kFewRows) many_rows<F>(p, t, row, std::min(kFewRows, p.rows - row));
      return;
    }
  for (; t + kWide <= p.tiles; t += kWide) strip<F, kWide>(p, t);
  for (; t < p.tiles; ++t) strip<F, 1>(p, t);
}

template <Packing kPacking>
void widen_floats(const void* w, int64_t k, int64_t tiles, float* to) {
  using F = Floats<kPacking>;
  for (int64_t pair = 0; pair < tiles * k / 2; ++pair) {
    Lanes even, odd;
    F::pair(static_cast<const typename F::W*>(w), pair, even, odd);
    store(to + pair * 2 * kLanes, even);
    store(to + pair * 2 * kLanes + kLanes, odd);
  }
}

#define ZS_FLOATS(packing)                                               \
  template void multiply_floats<Packing::packing>(const PackedProduct&); \
  template void widen_floats<Packing::packing>(const void*, int64_t, int64_t, float*);
ZS_FLOATS(kF32)
ZS_FLOATS(kF16)
ZS_FLOATS(kBf16)

}  // namespace ZS_ISA
}  // namespace zs
