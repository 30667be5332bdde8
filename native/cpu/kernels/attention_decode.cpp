// One query row of each head of a group against one chunk of slots: every key and value is read once for all heads of a batch.
// The chunk is one stream of bytes, keys then values then mostly the next chunk's keys, read strictly in order; lines are fetched as many
// as are read, and a few more during the exponentials. Which way of fetching is quickest is tried on the machine itself: of what a plain
// loop can read, one thread, kOwn reads 40-63% on an Intel with AVX-512 (80% and more of float32 on an AMD Zen 4), kStream 69-84%, kPages
// 86-95%, kPagesNear 87-108%.
#include "cpu/kernels/attention_parts.h"
#include "cpu/trials.h"

namespace zs {
namespace ZS_ISA {
namespace {

// Vectors of dims summed side by side at most. Whole rows of values are best to the CPU's own fetching; where widening costs, once for
// all heads comes first.
template <class Storage>
constexpr int widest(int heads) {
  if (kRegisters < 32) return heads > 3 ? 1 : heads > 1 ? 2 : 4;
  return heads <= 2 || sizeof(typename Storage::Element) == 4 ? 8 : 4;
}
// Bytes of values that stay in the first-level cache while one part of their dims or heads is summed after another.
constexpr int64_t kValueBytes = 8192;

// Logits of G heads into e; highest[g] = the largest.
template <class Storage, int G>
void logits(const DecodeTask& task, const float* const* q, float* const* e, float* highest, Ahead& ahead) {
  const auto* keys = static_cast<const typename Storage::Element*>(task.chunk.keys);
  const int64_t tile = static_cast<int64_t>(task.d) * kLanes;
  const Lanes scale = all(task.scale);
  Lanes top[G];
  for (int g = 0; g < G; ++g) top[g] = all(-kInfinity);
  for (int32_t slot = 0; slot < task.chunk.slots; slot += kLanes, keys += tile) {
    Lanes dot[G][1];
    if constexpr (std::is_same_v<Storage, F32>) {
      if (is_narrow(task.chunk, slot))
        dots<F32, G, 1>(keys, task.d, q, dot, nullptr, task.chunk.last);
      else
        dots<F32, G, 1>(keys, task.d, q, dot, &ahead);
    } else {
      dots<Storage, G, 1>(keys, task.d, q, dot, &ahead);
    }
    for (int g = 0; g < G; ++g) {
      Lanes x = dot[g][0] * scale;
      if (task.chunk.bias) x = x + load(task.chunk.bias + slot);
      x = only(x, task.chunk.slots - slot);
      store(e[g] + slot, x);
      top[g] = max(top[g], x);
    }
  }
  for (int g = 0; g < G; ++g) highest[g] = largest(top[g]);
}

// out[r] += e[r][slot] * value row, for R heads, slots [from, to) and C vectors of dims from `at` on, in the storage's own order.
template <class Storage, int R, int C>
void values(const typename Storage::Element* row, int64_t padded, int32_t from, int32_t to, const float* const* e,
            float* const* out, int64_t at, Ahead* ahead) {
  Lanes acc[R][C];
  ZS_UNROLL
  for (int r = 0; r < R; ++r) {
    ZS_UNROLL
    for (int c = 0; c < C; ++c) acc[r][c] = load(out[r] + at + c * kLanes);
  }
  constexpr int kRead = static_cast<int>(C * kLanes * sizeof *row / kLine);  // lines of a slot; 0 = a half
  row += from * padded + at;
  for (int32_t slot = from; slot < to; ++slot, row += padded) {
    if (ahead) {
      if (kRead >= 4)
        for (int lines = 0; lines < kRead; lines += 4) ahead->four();
      else if (slot % (kRead ? 4 / kRead : 8) == 0)
        ahead->four();
    }
    Lanes p[R];
    ZS_UNROLL
    for (int r = 0; r < R; ++r) p[r] = all(e[r][slot]);
    ZS_UNROLL
    for (int c = 0; c < C; ++c) {
      const Lanes v = C == 1 ? Storage::row(row) : Storage::part(row, c);
      ZS_UNROLL
      for (int r = 0; r < R; ++r) acc[r][c] = fma(p[r], v, acc[r][c]);
    }
  }
  ZS_UNROLL
  for (int r = 0; r < R; ++r) {
    ZS_UNROLL
    for (int c = 0; c < C; ++c) store(out[r] + at + c * kLanes, acc[r][c]);
  }
}

// The same for G heads and all dims from `at` on: C vectors at a time, then fewer.
template <class Storage, int G, int C>
void all_values(const typename Storage::Element* rows, int64_t padded, int32_t from, int32_t to, const float* const* e,
                float* const* out, int64_t at, Ahead& ahead) {
  constexpr int R = C == 8 && G > 2 ? 2 : G;  // heads whose sums find room in registers
  for (; at + C * kLanes <= padded; at += C * kLanes) {
    values<Storage, R, C>(rows, padded, from, to, e, out, at, &ahead);
    if constexpr (R < G) values<Storage, G - R, C>(rows, padded, from, to, e + R, out + R, at, nullptr);
  }
  if constexpr (C > 1) all_values<Storage, G, C / 2>(rows, padded, from, to, e, out, at, ahead);
}

// Slots of one turn over the parts of dims and heads: all where there is one part.
template <class Storage, int G>
int32_t value_slots(int64_t padded) {
  constexpr int C = widest<Storage>(G), kAtOnce = C == 8 && G > 2 ? 4 : C;
  if (padded <= kAtOnce * kLanes) return kChunk;
  const int64_t row = padded * static_cast<int64_t>(sizeof(typename Storage::Element));
  return static_cast<int32_t>(round_up(kValueBytes / row + 1, 8));
}

template <class Keys, class Values, int G>
void heads(const DecodeTask& task, int32_t first, int way) {
  const int64_t padded = round_up(task.d, kLane);
  const float* q[G];
  float *e[G], *out[G];
  for (int g = 0; g < G; ++g) {
    q[g] = task.q + (first + g) * task.q_stride;
    e[g] = task.e + (first + g) * task.e_stride;
    out[g] = task.out + (first + g) * padded;
  }
  constexpr int64_t kElement = sizeof(typename Keys::Element);
  Ahead ahead(task.chunk.keys, way, 4 * kLanes * kElement * task.d);  // four tiles
  logits<Keys, G>(task, q, e, task.highest + first, ahead);
  const int64_t slots = round_up(task.chunk.slots, kLane);
  for (int g = 0; g < G; ++g) {
    const Lanes highest = all(task.highest[first + g]);
    Lanes total = zero();
    for (int64_t i = 0; i < slots; i += kLanes) {
      if (i % (4 * kLanes) == 0) ahead.four();
      const Lanes x = exp_lanes(load(e[g] + i) - highest);
      store(e[g] + i, x);
      total += x;
    }
    task.sum[first + g] = sum(total);
  }
  for (int g = 0; g < G; ++g)
    for (int64_t at = 0; at < padded; at += kLanes) store(out[g] + at, zero());
  constexpr int C = widest<Values>(G);
  const auto* rows = static_cast<const typename Values::Element*>(task.chunk.values);
  const int32_t step = value_slots<Values, G>(padded);
  for (int32_t from = 0; from < task.chunk.slots; from += step) {
    const int32_t to = from + step < task.chunk.slots ? from + step : task.chunk.slots;
    all_values<Values, G, C>(rows, padded, from, to, e, out, 0, ahead);
  }
  if constexpr (C > 1)
    for (int g = 0; g < G; ++g)
      for (int64_t at = 0; at + 2 * kLanes <= padded; at += 2 * kLanes) {
        Lanes a = load(out[g] + at), b = load(out[g] + at + kLanes);
        Values::in_order(a, b);
        store(out[g] + at, a);
        store(out[g] + at + kLanes, b);
      }
}

// The same, by the way of fetching that is quickest for these storages and so many heads. Not for batches after a group's first, which find
// the chunk in the cache, nor for short chunks, of which hardly anything would be fetched but what comes after them.
template <class Keys, class Values, int G>
void tried(const DecodeTask& task, int32_t first) {
  if (first || task.chunk.slots < kChunk / 4) return heads<Keys, Values, G>(task, first, kOwn);
  static Trials<kFetchWays> trials;
  thread_local typename Trials<kFetchWays>::Turn turn;
  const int way = trials.start(turn);
  heads<Keys, Values, G>(task, first, way);
  trials.end(turn, task.chunk.slots);
}

template <class Keys, class Values>
void all_heads(const DecodeTask& task) {
  int32_t g = 0;
  for (; g + 4 <= task.group; g += 4) tried<Keys, Values, 4>(task, g);
  switch (task.group - g) {
    case 3:
      return tried<Keys, Values, 3>(task, g);
    case 2:
      return tried<Keys, Values, 2>(task, g);
    case 1:
      return tried<Keys, Values, 1>(task, g);
  }
}

}  // namespace

void decode(const DecodeTask& task) {
  with_storage(task.chunk.storage, [&](auto storage) {
    using Storage = decltype(storage);
    if (task.chunk.float_keys)
      all_heads<F32, Storage>(task);
    else
      all_heads<Storage, Storage>(task);
  });
}

}  // namespace ZS_ISA
}  // namespace zs
