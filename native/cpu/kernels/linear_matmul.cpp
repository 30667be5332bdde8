// Matrix-vector and portable matrix-matrix products over packed weights (layout and order of sums: cpu/linear.h).
#include <algorithm>

#include "cpu/kernels/fetch.h"
#include "cpu/kernels/linear_parts.h"
#include "cpu/trials.h"

namespace zs {
namespace ZS_ISA {
namespace {

// Bytes that a stream is fetched ahead: short rows never wake the hardware's own prefetcher.
constexpr int64_t kDistance = 8192;

// The two lanes of weights that belong to inputs 2p and 2p + 1 of one tile.
inline void load_pair(const uint16_t* w, int64_t pair, Lanes& even, Lanes& odd) {
  load_bf16_pairs(w + pair * 32, even, odd);
}
inline void load_pair(const float* w, int64_t pair, Lanes& even, Lanes& odd) {
  even = load(w + pair * 32);
  odd = load(w + pair * 32 + 16);
}

// One tile after the other, so that the weights are one stream; which way of fetching is quickest is tried on the machine itself. Tried and
// lost (Zen 4, one thread, bfloat16, GB/s of 31 where kStreamNear reads 28-30): two tiles side by side 19-25, four 19-24, kStream 19-25.
// An Intel with AVX-512 reads 77-81% of what a plain loop can with kStreamNear, 94-97% with kPagesNear.
template <class W>
void gemv(const W* w, const float* x, int64_t k, int64_t tiles, float* y) {
  static Trials<kFetchWays> trials;
  thread_local typename Trials<kFetchWays>::Turn turn;
  Ahead ahead(w, trials.start(turn), kDistance);
  for (int64_t t = 0; t < tiles; ++t, w += k * kTile) {
    Lanes even = zero(), odd = zero();
    for (int64_t pair = 0; pair < k / 2; ++pair) {
      constexpr int64_t kPairs = 8 / sizeof(W);  // that take four lines
      if (pair % kPairs == 0) ahead.four();
      Lanes w0, w1;
      load_pair(w, pair, w0, w1);
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

template <int kR, int kT, class W>
void block(const W* w, const float* x, int64_t x_stride, int64_t k, float* y, int64_t y_stride) {
  Lanes even[kR][kT], odd[kR][kT];
  for (int r = 0; r < kR; ++r)
    for (int t = 0; t < kT; ++t) even[r][t] = odd[r][t] = zero();
  for (int64_t pair = 0; pair < k / 2; ++pair) {
    Lanes w0[kT], w1[kT];
    for (int t = 0; t < kT; ++t) load_pair(w + t * k * kTile, pair, w0[t], w1[t]);
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

template <int kT, class W>
void strip(const W* w, const float* x, int64_t x_stride, int64_t rows, int64_t k, float* y, int64_t y_stride) {
  int64_t r = 0;
  for (; r + kRows <= rows; r += kRows) block<kRows, kT>(w, x + r * x_stride, x_stride, k, y + r * y_stride, y_stride);
  for (; r < rows; ++r) block<1, kT>(w, x + r * x_stride, x_stride, k, y + r * y_stride, y_stride);
}

template <class W>
void gemm(const W* w, const float* x, int64_t x_stride, int64_t rows, int64_t k, int64_t tiles, float* y,
          int64_t y_stride) {
  int64_t t = 0;
  for (; t + kWide <= tiles; t += kWide) strip<kWide>(w + t * k * kTile, x, x_stride, rows, k, y + t * kTile, y_stride);
  for (; t < tiles; ++t) strip<1>(w + t * k * kTile, x, x_stride, rows, k, y + t * kTile, y_stride);
}

}  // namespace

void gemv_bf16(const uint16_t* w, const float* x, int64_t k, int64_t tiles, float* y) { gemv(w, x, k, tiles, y); }
void gemv_f32(const float* w, const float* x, int64_t k, int64_t tiles, float* y) { gemv(w, x, k, tiles, y); }
void gemm_bf16(const uint16_t* w, const float* x, int64_t x_stride, int64_t rows, int64_t k, int64_t tiles, float* y,
               int64_t y_stride) {
  gemm(w, x, x_stride, rows, k, tiles, y, y_stride);
}
void gemm_f32(const float* w, const float* x, int64_t x_stride, int64_t rows, int64_t k, int64_t tiles, float* y,
              int64_t y_stride) {
  gemm(w, x, x_stride, rows, k, tiles, y, y_stride);
}
void widen_bf16(const uint16_t* w, int64_t k, int64_t tiles, float* to) {
  for (int64_t at = 0; at < tiles * k * kTile; at += 2 * kLanes) {
    store(to + at, load_bf16_even(w + at));
    store(to + at + kLanes, load_bf16_odd(w + at));
  }
}

}  // namespace ZS_ISA
}  // namespace zs
