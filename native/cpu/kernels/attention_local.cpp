// Attention with nothing removed, in parts that keep every probability: for what a policy's loss is measured by (core/local_rows.h).
#include "cpu/kernels/attention_blocks.h"

namespace zs {
namespace ZS_ISA {
namespace {

// A square of 16 vectors, turned in place: four perfect shuffles.
inline void transpose(Lanes* a) {
  for (int stage = 0; stage < 4; ++stage) {
    Lanes b[kLanes];
    for (int i = 0; i < kLanes / 2; ++i) {
      b[2 * i] = a[i];
      b[2 * i + 1] = a[i + kLanes / 2];
      interleave(b[2 * i], b[2 * i + 1]);
    }
    for (int i = 0; i < kLanes; ++i) a[i] = b[i];
  }
}

template <int R, int C>
void some_block(const float* values, int64_t padded, int64_t at, const int32_t* list, int32_t count,
                const float* const* e, float* const* out) {
  Lanes acc[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) acc[r][c] = load(out[r] + at + c * kLanes);
  for (int32_t i = 0; i < count; ++i) {
    const float* const row = values + list[i] * padded + at;
    Lanes v[C];
    for (int c = 0; c < C; ++c) v[c] = load(row + c * kLanes);
    for (int r = 0; r < R; ++r) {
      const Lanes p = all(e[r][list[i]]);
      for (int c = 0; c < C; ++c) acc[r][c] = fma(p, v[c], acc[r][c]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) store(out[r] + at + c * kLanes, acc[r][c]);
}

template <int R>
void some_rows(const float* values, int64_t padded, const int32_t* list, int32_t count, const float* e,
               int64_t e_stride, float* out, float* sum) {
  const float* of[R];
  float* to[R];
  for (int r = 0; r < R; ++r) {
    of[r] = e + r * e_stride;
    to[r] = out + r * padded;
    float all_of = 0;
    for (int32_t i = 0; i < count; ++i) all_of += of[r][list[i]];
    sum[r] += all_of;
  }
  constexpr int C = kRows == 4 ? 4 : 1;
  int64_t at = 0;
  for (; at + C * kLanes <= padded; at += C * kLanes) some_block<R, C>(values, padded, at, list, count, of, to);
  for (; at < padded; at += kLanes) some_block<R, 1>(values, padded, at, list, count, of, to);
}

// p / (1 - p) where p < 0.5, else 0.
Lanes odds(Lanes p) {
  const Lanes one = all(1.0f);
  if (!less(all(1.0f / 64), p)) return p * fma(p, fma(p, fma(p, fma(p, one, one), one), one), one);
  return pick(less(p, all(0.5f)), p / (one - p), zero());
}

// |out - value| of a tile: from products, but where little is left of these, from differences.
Lanes distance(const float* tile, int32_t d, const float* out, Lanes product, Lanes length, float own) {
  const Lanes both = length + all(own);
  Lanes square = both - (product + product);
  if (less(square, both * all(0.02f))) {
    square = zero();
    for (int32_t i = 0; i < d; ++i) {
      const Lanes off = load(tile + i * kLanes) - all(out[i]);
      square = fma(off, off, square);
    }
  }
  return root(square);
}

template <int R, int T>
void leave_tiles(const LeaveOutTask& task, int32_t first, int32_t t, const float* own) {
  const float* out[R];
  for (int r = 0; r < R; ++r) out[r] = task.out[first + r];
  Lanes product[R][T];
  const int64_t tile = static_cast<int64_t>(task.d) * kLanes;
  dots<F32, R, T>(task.tiles + t * tile, task.d, out, product);
  for (int i = 0; i < T; ++i) {
    const int64_t at = static_cast<int64_t>(t + i) * kLanes;
    const Lanes length = load(task.lengths + at);
    Lanes sum = first ? load(task.p + at) : zero(), change = first ? load(task.change + at) : zero();
    for (int r = 0; r < R; ++r) {
      const Lanes p = load(task.e + (first + r) * task.e_stride + at) * all(task.inverse[first + r]);
      sum += p;
      change =
          fma(odds(p), distance(task.tiles + (t + i) * tile, task.d, out[r], product[r][i], length, own[r]), change);
    }
    store(task.p + at, sum);
    store(task.change + at, change);
  }
}

template <int R>
void leave_rows(const LeaveOutTask& task, int32_t first) {
  float own[R];
  for (int r = 0; r < R; ++r) {
    const float* const out = task.out[first + r];
    own[r] = 0;
    for (int32_t i = 0; i < task.d; ++i) own[r] += out[i] * out[i];
  }
  const int32_t tiles = static_cast<int32_t>(round_up(task.slots, kLane) / kLane);
  int32_t t = 0;
  for (; t + kTiles <= tiles; t += kTiles) leave_tiles<R, kTiles>(task, first, t, own);
  for (; t < tiles; ++t) leave_tiles<R, 1>(task, first, t, own);
}

}  // namespace

void logits(const LogitsTask& task) {
  const int32_t tiles = static_cast<int32_t>(round_up(task.chunk.slots, kLane) / kLane);
  const float* const keys = float_keys(task.chunk, task.d, tiles, task.scratch);
  float* to[kRows];
  int32_t r = 0;
  for (; r + kRows <= task.rows; r += kRows) {
    for (int i = 0; i < kRows; ++i) to[i] = task.out + (r + i) * task.stride;
    logits_rows<kRows>(keys, task.d, tiles, task.q + r, task.scale, task.chunk.bias, task.visible + r, to);
  }
  for (; r < task.rows; ++r) {
    to[0] = task.out + r * task.stride;
    logits_rows<1>(keys, task.d, tiles, task.q + r, task.scale, task.chunk.bias, task.visible + r, to);
  }
  for (r = 0; r < task.rows; ++r) {
    Lanes top = all(task.highest[r]);
    for (int32_t t = 0; t < tiles; ++t) top = max(load(task.out + r * task.stride + t * kLanes), top);
    task.highest[r] = largest(top);
  }
}

float powers(float* e, int32_t slots, float highest) {
  Lanes total = zero();
  for (int32_t i = 0; i < slots; i += kLanes) {
    const Lanes x = exp_lanes(load(e + i) - all(highest));
    store(e + i, x);
    total += x;
  }
  return sum(total);
}

void unpack(const KeyChunk& chunk, int32_t d, float* keys, float* values) {
  const int64_t padded = round_up(d, kLane);
  with_storage(chunk.storage, [&](auto storage) {
    using Storage = decltype(storage);
    const auto* from = static_cast<const typename Storage::Element*>(chunk.keys);
    for (int32_t slot = 0; slot < chunk.slots; slot += kLanes, from += static_cast<int64_t>(d) * kLanes)
      for (int32_t at = 0; at < d; at += kLanes) {
        Lanes square[kLanes];
        const int32_t columns = d - at < kLanes ? d - at : kLanes;
        for (int32_t i = 0; i < kLanes; i += 2) {
          square[i] = i < columns ? Storage::even(from, (at + i) / 2) : zero();
          square[i + 1] = i < columns ? Storage::odd(from, (at + i) / 2) : zero();
        }
        transpose(square);
        for (int32_t i = 0; i < kLanes; ++i) store_part(keys + (slot + i) * d + at, square[i], columns);
      }
    const auto* rows = static_cast<const typename Storage::Element*>(chunk.values);
    for (int64_t i = 0; i < chunk.slots * padded; i += kLanes) store(values + i, Storage::row(rows + i));
  });
}

void tiles(const float* rows, int64_t padded, int32_t slots, int32_t d, float* to, float* lengths) {
  for (int32_t slot = 0; slot < slots; slot += kLanes, to += static_cast<int64_t>(d) * kLanes) {
    for (int32_t at = 0; at < d; at += kLanes) {
      Lanes square[kLanes];
      for (int32_t i = 0; i < kLanes; ++i) square[i] = load(rows + (slot + i) * padded + at);
      transpose(square);
      for (int32_t i = 0; i < kLanes && at + i < d; ++i) store(to + (at + i) * kLanes, square[i]);
    }
    Lanes square = zero();
    for (int32_t i = 0; i < d; ++i) square = fma(load(to + i * kLanes), load(to + i * kLanes), square);
    store(lengths + slot, square);
  }
}

void weigh(const float* values, int64_t padded, int32_t slots, const float* e, int64_t e_stride, int32_t rows,
           float* out) {
  const float ones[4] = {1, 1, 1, 1};
  const float* of[kRows];
  float* to[kRows];
  int32_t r = 0;
  for (; r + kRows <= rows; r += kRows) {
    for (int i = 0; i < kRows; ++i) of[i] = e + (r + i) * e_stride, to[i] = out + (r + i) * padded;
    values_rows<kRows>(values, padded, slots, of, ones, to);
  }
  for (; r < rows; ++r) {
    of[0] = e + r * e_stride, to[0] = out + r * padded;
    values_rows<1>(values, padded, slots, of, ones, to);
  }
}

void weigh_some(const float* values, int64_t padded, const int32_t* list, int32_t count, const float* e,
                int64_t e_stride, int32_t rows, float* out, float* sum) {
  int32_t r = 0;
  for (; r + 4 <= rows; r += 4)
    some_rows<4>(values, padded, list, count, e + r * e_stride, e_stride, out + r * padded, sum + r);
  e += r * e_stride, out += r * padded, sum += r;
  switch (rows - r) {
    case 3:
      return some_rows<3>(values, padded, list, count, e, e_stride, out, sum);
    case 2:
      return some_rows<2>(values, padded, list, count, e, e_stride, out, sum);
    case 1:
      return some_rows<1>(values, padded, list, count, e, e_stride, out, sum);
  }
}

float dot(const float* a, const float* b, int32_t slots) {
  Lanes total = zero();
  for (int32_t i = 0; i < slots; i += kLanes) total = fma(load(a + i), load(b + i), total);
  return sum(total);
}

void leave_out(const LeaveOutTask& task) {
  int32_t g = 0;
  for (; g + 4 <= task.group; g += 4) leave_rows<4>(task, g);
  switch (task.group - g) {
    case 3:
      return leave_rows<3>(task, g);
    case 2:
      return leave_rows<2>(task, g);
    case 1:
      return leave_rows<1>(task, g);
  }
}

void collect(const float* p, const float* change, int64_t slots, float row, float* const* sums, float* worst,
             float* worst_row) {
  for (int64_t i = 0; i < slots; i += kLanes) {
    const Lanes one = load(p + i), most = load(worst + i);
    store(sums[0] + i, load(sums[0] + i) + one);
    store(sums[1] + i, load(sums[1] + i) + load(change + i));
    const uint32_t above = less(most, one);
    if (!above) continue;
    store(worst + i, pick(above, one, most));
    store(worst_row + i, pick(above, all(row), load(worst_row + i)));
  }
}

}  // namespace ZS_ISA
}  // namespace zs
