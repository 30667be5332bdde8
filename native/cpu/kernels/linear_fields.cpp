// Products with packed weights that are fields times scales: widened in registers, a block's scale and least value taken out of its sum
// (layout: cpu/packing.h; order of sums: cpu/linear.h).
#include <algorithm>
#include <utility>

#include "cpu/kernels/fetch.h"
#include "cpu/kernels/fields.h"
#include "cpu/kernels/linear_parts.h"
#include "cpu/trials.h"

namespace zs {
namespace ZS_ISA {
namespace {

// Bytes that a stream is fetched ahead.
constexpr int64_t kDistance = 8192;
// Inputs of a chain of even and one of odd ones.
constexpr int kHalf = 16;

inline const uint16_t* halves(const uint8_t* p) { return reinterpret_cast<const uint16_t*>(p); }

// f(integral constant) for 0 … kCount - 1, unrolled.
template <int... kAt, class F>
ZS_INLINE void each(std::integer_sequence<int, kAt...>, F f) {
  (f(std::integral_constant<int, kAt>()), ...);
}
template <int kCount, class F>
ZS_INLINE void each(F f) {
  each(std::make_integer_sequence<int, kCount>(), f);
}

template <Packing kPacking>
struct Block {
  static constexpr Fields kFields = fields_of(kPacking);
  static constexpr int kEach = static_cast<int>(kFields.each), kParts = static_cast<int>(kFields.inputs / kFields.each);
  static constexpr int64_t kHeadBytes = head_bytes(kPacking), kFieldBytes = field_bytes(kPacking);

  // Of each part, the inputs that share a scale.
  Lanes scale[kParts], least[kFields.has_least ? kParts : 1];

  ZS_INLINE explicit Block(const uint8_t* head) {
    const Lanes whole = load_f16(halves(head));
    if constexpr (kParts == 1) {
      scale[0] = whole;
      if constexpr (kFields.has_least) least[0] = load_f16(halves(head + kHalves));
    } else if constexpr (kFields.has_least) {
      const Lanes below = zero() - load_f16(halves(head + kHalves));
      each<kParts>([&](auto i) {
        scale[i] = field_alone<6, i>(head + 2 * kHalves) * whole;
        least[i] = field_alone<6, kParts + i>(head + 2 * kHalves) * below;
      });
    } else {
      for (int i = 0; i < kParts; ++i) scale[i] = load_bytes(head + kHalves + i * kTile) * whole;
    }
  }
};

// Adds what the inputs that share a scale give to kR rows; weights(at) are their fields. `sums` are the inputs' sums, a row `stride` away.
template <Packing kPacking, int kR, class Weights>
ZS_INLINE void add_part(Weights weights, const float* x, const float* sums, int64_t stride, Lanes scale, Lanes least,
                        Lanes* total) {
  using B = Block<kPacking>;
  Lanes sum[kR];
  each<B::kEach / kHalf>([&](auto half) {
    Lanes even[kR], odd[kR];
    ZS_UNROLL for (int r = 0; r < kR; ++r) even[r] = odd[r] = zero();
    each<kHalf / 2>([&](auto pair) {
      constexpr int kAt = half * kHalf + 2 * pair;
      const Lanes w0 = weights(std::integral_constant<int, kAt>()),
                  w1 = weights(std::integral_constant<int, kAt + 1>());
      ZS_UNROLL for (int r = 0; r < kR; ++r) {
        even[r] = fma(w0, all(x[r * stride + kAt]), even[r]);
        odd[r] = fma(w1, all(x[r * stride + kAt + 1]), odd[r]);
      }
    });
    ZS_UNROLL for (int r = 0; r < kR; ++r) sum[r] = half ? sum[r] + (even[r] + odd[r]) : even[r] + odd[r];
  });
  ZS_UNROLL for (int r = 0; r < kR; ++r) {
    if constexpr (B::kFields.bias != 0) sum[r] = sum[r] + all(sums[r * stride]);
    total[r] = fma(scale, sum[r], total[r]);
    if constexpr (B::kFields.has_least) total[r] = fma(least, all(sums[r * stride]), total[r]);
  }
}

// f(fields, block, part, inputs before) for each part of a tile, after fetched(bytes) of what is read next.
template <Packing kPacking, class Fetched, class F>
ZS_INLINE void each_part(const uint8_t* w, int64_t k, Fetched fetched, F f) {
  using B = Block<kPacking>;
  for (int64_t i = 0; i < k; i += B::kFields.inputs) {
    const B block(w);
    fetched(B::kHeadBytes);
    w += B::kHeadBytes;
    for (int part = 0; part < B::kParts; ++part, w += B::kFieldBytes) {
      fetched(B::kFieldBytes);
      f(w, block, part, i + part * B::kEach);
    }
  }
}

// kR rows of one tile.
template <Packing kPacking, int kR, class Fetched>
ZS_INLINE void tile_rows(const uint8_t* w, const PackedProduct& p, int64_t row, float* y, Fetched fetched) {
  using B = Block<kPacking>;
  const float* const x = p.x + row * p.x_stride;
  Lanes total[kR];
  for (int r = 0; r < kR; ++r) total[r] = zero();
  each_part<kPacking>(w, p.k, fetched, [&](const uint8_t* fields, const B& block, int part, int64_t at) {
    add_part<kPacking, kR>([&](auto i) { return field<B::kFields.bits, i>(fields); }, x + at, x + p.k + at / B::kEach,
                           p.x_stride, block.scale[part], block.least[B::kFields.has_least ? part : 0], total);
  });
  for (int r = 0; r < kR; ++r) store(y + r * p.y_stride, total[r]);
}

template <Packing kPacking>
void one_row(const PackedProduct& p) {
  static Trials<kFetchWays> trials;
  thread_local typename Trials<kFetchWays>::Turn turn;
  Ahead ahead(p.w, trials.start(turn), kDistance);
  const int64_t bytes = tile_bytes(kPacking, p.k);
  int64_t read = 0;
  for (int64_t t = 0; t < p.tiles; ++t)
    tile_rows<kPacking, 1>(static_cast<const uint8_t*>(p.w) + t * bytes, p, 0, p.y + t * kTile, [&](int64_t more) {
      for (read += more; read >= 4 * kLine; read -= 4 * kLine) ahead.four();
    });
  trials.end(turn, p.k * p.tiles);
}

// Rows held in registers at once: two accumulators each, and a sum.
#if defined(ZS_LANES_AVX512)
constexpr int kRows = 8;
#elif defined(ZS_LANES_AVX2)
constexpr int kRows = 3;
#else
constexpr int kRows = 1;
#endif
// Where these are few, fields of a part are widened once for as many rows, into the first-level cache.
constexpr bool kWidensOnce = kRows <= 3;

// For the first rows of a tile: fetches the tile after it.
auto next_tile(const uint8_t* w, int64_t bytes, bool first) {
  return [at = w, after = first ? std::min(bytes, kMostAfter) : 0](int64_t more) mutable {
    if (after) fetch_after(at, after, more);
    at += more;
  };
}

template <Packing kPacking, int kR>
int64_t rows_from(const PackedProduct& p, const uint8_t* w, int64_t tile, int64_t row) {
  for (; row + kR <= p.rows; row += kR)
    tile_rows<kPacking, kR>(w, p, row, p.y + row * p.y_stride + tile * kTile,
                            next_tile(w, tile_bytes(kPacking, p.k), row == 0));
  return row;
}

// Up to kFewRows rows of one tile.
template <Packing kPacking>
void many_rows(const PackedProduct& p, const uint8_t* w, int64_t row, int64_t rows, float* y) {
  using B = Block<kPacking>;
  alignas(64) float wide[B::kEach * kLanes];
  Lanes total[kFewRows];
  for (int64_t r = 0; r < rows; ++r) total[r] = zero();
  each_part<kPacking>(w, p.k, next_tile(w, tile_bytes(kPacking, p.k), row == 0),
                      [&](const uint8_t* fields, const B& block, int part, int64_t at) {
                        each<B::kEach>([&](auto i) { store(wide + i * kLanes, field<B::kFields.bits, i>(fields)); });
                        const auto add = [&](auto count, int64_t r) {
                          const float* const x = p.x + (row + r) * p.x_stride;
                          add_part<kPacking, count>([&](auto i) { return load(wide + i * kLanes); }, x + at,
                                                    x + p.k + at / B::kEach, p.x_stride, block.scale[part],
                                                    block.least[B::kFields.has_least ? part : 0], total + r);
                        };
                        int64_t r = 0;
                        for (; r + kRows <= rows; r += kRows) add(std::integral_constant<int, kRows>(), r);
                        for (; r < rows; ++r) add(std::integral_constant<int, 1>(), r);
                      });
  for (int64_t r = 0; r < rows; ++r) store(y + r * p.y_stride, total[r]);
}

}  // namespace

template <Packing kPacking>
void multiply_fields(const PackedProduct& p) {
  if (p.rows == 1) return one_row<kPacking>(p);
  const int64_t bytes = tile_bytes(kPacking, p.k);
  for (int64_t t = 0; t < p.tiles; ++t) {
    const uint8_t* w = static_cast<const uint8_t*>(p.w) + t * bytes;
    int64_t row = 0;
    if constexpr (kWidensOnce)
      for (; row + kRows < p.rows; row += std::min(kFewRows, p.rows - row))
        many_rows<kPacking>(p, w, row, std::min(kFewRows, p.rows - row), p.y + row * p.y_stride + t * kTile);
    row = rows_from<kPacking, kRows>(p, w, t, row);
    if constexpr (kRows > 4) row = rows_from<kPacking, 4>(p, w, t, row);
    if constexpr (kRows > 2) row = rows_from<kPacking, 2>(p, w, t, row);
    rows_from<kPacking, 1>(p, w, t, row);
  }
}

template <Packing kPacking>
void prepare_fields(const float* x, int64_t k, float* to) {
  constexpr Fields kFields = fields_of(kPacking);
  constexpr int kEach = static_cast<int>(kFields.each);
  float* sums = to + k;
  for (int64_t i = 0; i < k; i += kEach) {
    Lanes sum_of = load(x + i);
    if constexpr (kEach > kLanes) sum_of += load(x + i + kLanes);
    *sums++ = sum(sum_of) * (kFields.bias ? -static_cast<float>(kFields.bias) : 1.0f);
    each<kEach>([&](auto at) { to[i + at] = x[i + at] * power(field_place(kFields.bits, at)); });
  }
}

template <Packing kPacking>
void widen_fields(const void* from, int64_t k, int64_t tiles, float* to) {
  using B = Block<kPacking>;
  const uint8_t* w = static_cast<const uint8_t*>(from);
  for (int64_t i = 0; i < tiles * k; i += B::kFields.inputs) {
    const B block(w);
    w += B::kHeadBytes;
    for (int part = 0; part < B::kParts; ++part, w += B::kFieldBytes, to += B::kEach * kLanes)
      each<B::kEach>([&](auto at) {
        Lanes value = field_alone<B::kFields.bits, at>(w);
        if constexpr (B::kFields.bias != 0) value = value - all(B::kFields.bias);
        value = value * block.scale[part];
        if constexpr (B::kFields.has_least) value += block.least[part];
        store(to + at * kLanes, value);
      });
  }
}

#define ZS_FIELDS(packing)                                                       \
  template void multiply_fields<Packing::packing>(const PackedProduct&);         \
  template void prepare_fields<Packing::packing>(const float*, int64_t, float*); \
  template void widen_fields<Packing::packing>(const void*, int64_t, int64_t, float*);
ZS_FIELDS(kQ4_0)
ZS_FIELDS(kQ4_1)
ZS_FIELDS(kQ5_0)
ZS_FIELDS(kQ5_1)
ZS_FIELDS(kQ8_0)
ZS_FIELDS(kQ4_K)
ZS_FIELDS(kQ5_K)
ZS_FIELDS(kQ6_K)

}  // namespace ZS_ISA
}  // namespace zs
