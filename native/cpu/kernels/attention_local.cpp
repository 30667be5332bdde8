// Attention with nothing removed, sixteen query rows at a time, a lane each, for what a policy's loss is measured by (core/local_rows.cpp).
#include <type_traits>

#include "cpu/kernels/attention_parts.h"

namespace zs {
namespace ZS_ISA {
namespace {

// Slots at once beside so many heads: as many sums as there are registers for.
template <int G>
constexpr int kSlots = kRegisters == 32 ? (G <= 3 ? 8 : 4)
                                        : (G == 1   ? 4
                                           : G <= 3 ? 2
                                                    : 1);
// Likewise dims.
template <int G>
constexpr int kDims = kRegisters == 32 ? (G == 1   ? 16
                                          : G <= 3 ? 8
                                                   : 4)
                                       : kSlots<G>;

// Calls f<how many heads>(first) for parts of a group.
template <class F>
void each_part(int32_t group, F f) {
  int32_t g = 0;
  for (; g + 4 <= group; g += 4) f(std::integral_constant<int, 4>{}, g);
  if (group - g == 3) return f(std::integral_constant<int, 3>{}, g);
  if (group - g == 2) return f(std::integral_constant<int, 2>{}, g);
  if (group - g == 1) return f(std::integral_constant<int, 1>{}, g);
}

template <int G, int S, int kStride>
void products_block(const float* const* from, const float* x, int32_t d, Lanes scale, float* out, int64_t out_slot) {
  Lanes acc[S][G];
  ZS_UNROLL
  for (int s = 0; s < S; ++s) {
    ZS_UNROLL
    for (int g = 0; g < G; ++g) acc[s][g] = zero();
  }
  for (int32_t i = 0; i < d; ++i) {
    Lanes q[G];
    ZS_UNROLL
    for (int g = 0; g < G; ++g) q[g] = load(x + (static_cast<int64_t>(g) * d + i) * kLanes);
    ZS_UNROLL
    for (int s = 0; s < S; ++s) {
      const Lanes one = all(from[s][i * kStride]);
      ZS_UNROLL
      for (int g = 0; g < G; ++g) acc[s][g] = fma(one, q[g], acc[s][g]);
    }
  }
  for (int s = 0; s < S; ++s)
    for (int g = 0; g < G; ++g) store(out + s * out_slot + g * kLanes, acc[s][g] * scale);
}

template <int kStride>
void products_of(const ProductsTask& task) {
  each_part(task.group, [&](auto heads, int32_t g) {
    constexpr int G = decltype(heads)::value, S = kSlots<G>;
    const float* const x = task.x + static_cast<int64_t>(g) * task.d * kLanes;
    const int64_t out_slot = static_cast<int64_t>(task.group) * kLanes;
    for (int32_t j = 0; j < task.count; j += S)
      products_block<G, S, kStride>(task.from + j, x, task.d, all(task.scale), task.out + j * out_slot + g * kLanes,
                                    out_slot);
  });
}

inline Lanes masked(uint32_t rows, const float* p) { return rows == 0xffffu ? load(p) : pick(rows, load(p), zero()); }

template <int G, int D>
void weigh_dims(const WeighTask& task, const float* e, int32_t at, float* out) {
  const int64_t e_slot = static_cast<int64_t>(task.group) * kLanes;
  Lanes acc[G][D];
  for (int g = 0; g < G; ++g)
    for (int i = 0; i < D; ++i) acc[g][i] = zero();
  for (int32_t j = 0; j < task.count; ++j) {
    const int32_t slot = task.list[j];
    const uint32_t rows = task.rows[slot];
    const float* const value = task.values + slot * task.padded + at;
    Lanes p[G];
    ZS_UNROLL
    for (int g = 0; g < G; ++g) p[g] = masked(rows, e + slot * e_slot + g * kLanes);
    ZS_UNROLL
    for (int i = 0; i < D; ++i) {
      const Lanes one = all(value[i]);
      ZS_UNROLL
      for (int g = 0; g < G; ++g) acc[g][i] = fma(one, p[g], acc[g][i]);
    }
  }
  for (int g = 0; g < G; ++g)
    for (int i = 0; i < D; ++i) {
      float* const to = out + (g * task.padded + i) * kLanes;
      store(to, load(to) + acc[g][i]);
    }
}

// p / (1 - p) where p < 0.5, else 0.
Lanes odds(Lanes p) {
  const Lanes one = all(1.0f);
  if (!less(all(1.0f / 64), p)) return p * fma(p, fma(p, fma(p, fma(p, one, one), one), one), one);
  return pick(less(p, all(0.5f)), p / (one - p), zero());
}

// |out - value|: from products, but where little is left of these, from differences.
Lanes distance(const LeaveOutTask& task, int32_t slot, int32_t g, uint32_t rows, Lanes product) {
  const Lanes both = all(task.squares[slot]) + load(task.own + g * kLanes);
  Lanes square = both - (product + product);
  if (less(square, both * all(0.02f)) & rows) {
    square = zero();
    const float* const out = task.out + static_cast<int64_t>(g) * task.d * kLanes;
    for (int32_t i = 0; i < task.d; ++i) {
      const Lanes off = load(out + i * kLanes) - all(task.values[slot * task.padded + i]);
      square = fma(off, off, square);
    }
  }
  return root(max(square, zero()));
}

}  // namespace

void products(const ProductsTask& task) {
  if (task.stride == 1) return products_of<1>(task);
  products_of<kLanes>(task);
}

void powers(float* e, int32_t slots, int32_t group, const uint16_t* rows, float* highest, float* factor) {
  for (int32_t g = 0; g < group; ++g) {
    const Lanes before = load(highest + g * kLanes);
    const int64_t step = static_cast<int64_t>(group) * kLanes;
    float* const own = e + g * kLanes;
    Lanes top = before;
    for (int32_t slot = 0; slot < slots; ++slot) {
      const Lanes x = load(own + slot * step);
      top = max(rows[slot] == 0xffffu ? x : pick(rows[slot], x, before), top);
    }
    for (int32_t slot = 0; slot < slots; ++slot) store(own + slot * step, exp_lanes(load(own + slot * step) - top));
    store(factor + g * kLanes, exp_lanes(before - top));
    store(highest + g * kLanes, top);
  }
}

void times(float* values, int64_t count, const float* factor) {
  const Lanes by = load(factor);
  for (int64_t i = 0; i < count; ++i) store(values + i * kLanes, load(values + i * kLanes) * by);
}

void squares(const float* values, int64_t padded, int32_t slots, float* out) {
  for (int32_t slot = 0; slot < slots; ++slot, values += padded) {
    Lanes square = zero();
    for (int64_t i = 0; i < padded; i += kLanes) square = fma(load(values + i), load(values + i), square);
    out[slot] = sum(square);
  }
}

void weigh(const WeighTask& task) {
  each_part(task.group, [&](auto heads, int32_t first) {
    constexpr int G = decltype(heads)::value;
    const float* const e = task.e + first * kLanes;
    float* const out = task.out + static_cast<int64_t>(first) * task.padded * kLanes;
    int32_t at = 0;
    for (; at < task.d; at += kDims<G>) weigh_dims<G, kDims<G>>(task, e, at, out + at * kLanes);
    for (int g = 0; g < G; ++g) {
      Lanes total = zero();
      for (int32_t j = 0; j < task.count; ++j) {
        const int32_t slot = task.list[j];
        total += masked(task.rows[slot], e + (static_cast<int64_t>(slot) * task.group + g) * kLanes);
      }
      store(task.sum + (first + g) * kLanes, total);
    }
  });
}

void leave_out(const LeaveOutTask& task) {
  for (int32_t j = 0; j < task.count; ++j) {
    const int32_t slot = task.list[j];
    const uint32_t rows = task.rows[j];
    Lanes of_all = zero(), change = zero();
    uint32_t light = 0xffffu;
    for (int32_t g = 0; g < task.group; ++g) {
      const Lanes p =
          load(task.e + (static_cast<int64_t>(slot) * task.group + g) * kLanes) * load(task.factor + g * kLanes);
      const Lanes product = load(task.products + (static_cast<int64_t>(j) * task.group + g) * kLanes);
      of_all += p;
      light &= less(p, all(0.5f));
      change = fma(odds(p), distance(task, slot, g, rows, product), change);
    }
    const Lanes seen = pick(rows, of_all, zero());
    task.p[j] = sum(seen);
    task.change[j] = sum(pick(rows, change, zero()));
    task.most[j] = largest(seen);
    task.most_rows[j] = static_cast<uint16_t>(~less(seen, all(task.most[j])) & rows);
    task.heavy[j] = static_cast<uint16_t>(~light & rows);
  }
}

}  // namespace ZS_ISA
}  // namespace zs
