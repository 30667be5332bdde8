// One query row of each head of a group against one chunk of slots: every key and value is read once for all heads of a batch.
// The chunk is one stream of bytes, keys then values then mostly the next chunk's keys, read strictly in order: where a line is soon
// worked off, the CPU's own prefetching follows best, and ours would only be in its way; where it is not, we fetch, as much as is read.
// Tried and lost (Zen 4, one thread, GB/s of 31): ours always 20-28 (27-34 where the CPU's is used), the CPU's always 14-23 (23-28 where
// ours is), two tiles of keys side by side 16-24, rows of values by halves without ours 16-18, ours into the first-level cache 14-24.
#include "cpu/kernels/attention_parts.h"

namespace zs {
namespace ZS_ISA {
namespace {

#if defined(ZS_LANES_AVX512)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 8;  // of 16 lanes
#endif

// Vectors of dims summed side by side at most. Without fetching, whole rows of values: eight.
constexpr int widest(int heads, bool fetch) {
  if (kRegisters < 32) return heads > 2 ? 1 : heads == 2 ? 2 : 4;
  return fetch ? 4 : 8;
}
// Whether a line keeps G heads busy for more than four fused multiply-adds.
template <class Storage, int G>
constexpr bool slow() {
  return G * kLine / static_cast<int64_t>(kLanes * sizeof(typename Storage::Element)) > 4;
}
// Slots whose values stay in the first-level cache while one part of their dims or heads is summed after another.
constexpr int32_t value_slots(bool fetch) { return fetch ? 64 : 16; }
// Bytes between what is read and what is fetched: four tiles.
template <class Storage>
int64_t distance(int32_t d) {
  return 4 * static_cast<int64_t>(d) * kLanes * static_cast<int64_t>(sizeof(typename Storage::Element));
}

// Logits of G heads into e; highest[g] = the largest.
template <class Storage, int G, bool kFetch>
void logits(const DecodeTask& task, const float* const* q, float* const* e, float* highest) {
  const auto* keys = static_cast<const typename Storage::Element*>(task.chunk.keys);
  const int64_t tile = static_cast<int64_t>(task.d) * kLanes;
  const Lanes scale = all(task.scale);
  Lanes top[G];
  for (int g = 0; g < G; ++g) top[g] = all(-kInfinity);
  for (int32_t slot = 0; slot < task.chunk.slots; slot += kLanes, keys += tile) {
    Lanes dot[G][1];
    dots<Storage, G, 1, kFetch>(keys, task.d, q, dot, reinterpret_cast<const char*>(keys) + distance<Storage>(task.d));
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
// `ahead` goes on by as many lines as are read.
template <class Storage, int R, int C, bool kFetch>
void values(const typename Storage::Element* row, int64_t padded, int32_t from, int32_t to, const float* const* e,
            float* const* out, int64_t at, const char*& ahead) {
  Lanes acc[R][C];
  ZS_UNROLL
  for (int r = 0; r < R; ++r) {
    ZS_UNROLL
    for (int c = 0; c < C; ++c) acc[r][c] = load(out[r] + at + c * kLanes);
  }
  row += from * padded + at;
  for (int32_t slot = from; slot < to; ++slot, row += padded) {
    if (kFetch) {
      constexpr int64_t kRead = static_cast<int64_t>(C * kLanes * sizeof *row);
      for (int64_t line = 0; line < kRead; line += kLine) prefetch(ahead + line);
      ahead += kRead;
    }
    Lanes v[C];
    if (C == 1) v[0] = Storage::row(row);
    ZS_UNROLL
    for (int c = 0; c + 1 < C; c += 2) Storage::two(row + c * kLanes, v[c], v[c + 1]);
    ZS_UNROLL
    for (int r = 0; r < R; ++r) {
      const Lanes p = all(e[r][slot]);
      ZS_UNROLL
      for (int c = 0; c < C; ++c) acc[r][c] = fma(p, v[c], acc[r][c]);
    }
  }
  ZS_UNROLL
  for (int r = 0; r < R; ++r) {
    ZS_UNROLL
    for (int c = 0; c < C; ++c) store(out[r] + at + c * kLanes, acc[r][c]);
  }
}

// The same for G heads and all dims from `at` on: C vectors at a time, then fewer.
template <class Storage, int G, int C, bool kFetch>
void all_values(const typename Storage::Element* rows, int64_t padded, int32_t from, int32_t to, const float* const* e,
                float* const* out, int64_t at, const char*& ahead) {
  constexpr int R = C == 8 && G > 2 ? 2 : G;  // heads whose sums find room in registers
  for (; at + C * kLanes <= padded; at += C * kLanes) {
    values<Storage, R, C, kFetch>(rows, padded, from, to, e, out, at, ahead);
    if constexpr (R < G) values<Storage, G - R, C, kFetch>(rows, padded, from, to, e + R, out + R, at, ahead);
  }
  if constexpr (C > 1) all_values<Storage, G, C / 2, kFetch>(rows, padded, from, to, e, out, at, ahead);
}

template <class Storage, int G, bool kFetch>
void heads(const DecodeTask& task, int32_t first) {
  const int64_t padded = round_up(task.d, kLane);
  const float* q[G];
  float *e[G], *out[G];
  for (int g = 0; g < G; ++g) {
    q[g] = task.q + (first + g) * task.q_stride;
    e[g] = task.e + (first + g) * task.e_stride;
    out[g] = task.out + (first + g) * padded;
  }
  logits<Storage, G, kFetch>(task, q, e, task.highest + first);
  const int64_t slots = round_up(task.chunk.slots, kLane);
  for (int g = 0; g < G; ++g) {
    const Lanes highest = all(task.highest[first + g]);
    Lanes total = zero();
    for (int64_t i = 0; i < slots; i += kLanes) {
      const Lanes x = exp_lanes(load(e[g] + i) - highest);
      store(e[g] + i, x);
      total += x;
    }
    task.sum[first + g] = sum(total);
  }
  for (int g = 0; g < G; ++g)
    for (int64_t at = 0; at < padded; at += kLanes) store(out[g] + at, zero());
  constexpr int C = widest(G, kFetch), kAtOnce = C == 8 && G > 2 ? 4 : C;  // vectors of dims of all G heads
  const auto* rows = static_cast<const typename Storage::Element*>(task.chunk.values);
  const char* ahead = static_cast<const char*>(task.chunk.values) + distance<Storage>(task.d);
  const int32_t step = padded <= kAtOnce * kLanes ? kChunk : value_slots(kFetch);
  for (int32_t from = 0; from < task.chunk.slots; from += step) {
    const int32_t to = from + step < task.chunk.slots ? from + step : task.chunk.slots;
    all_values<Storage, G, C, kFetch>(rows, padded, from, to, e, out, 0, ahead);
  }
  if constexpr (C > 1)
    for (int g = 0; g < G; ++g)
      for (int64_t at = 0; at + 2 * kLanes <= padded; at += 2 * kLanes) {
        Lanes a = load(out[g] + at), b = load(out[g] + at + kLanes);
        Storage::in_order(a, b);
        store(out[g] + at, a);
        store(out[g] + at + kLanes, b);
      }
}

template <class Storage, int G>
void heads(const DecodeTask& task, int32_t first) {
  if constexpr (kRegisters == 32 && !slow<Storage, G>())
    if (round_up(task.d, kLane) <= widest(G, false) * kLanes) return heads<Storage, G, false>(task, first);
  heads<Storage, G, true>(task, first);
}

template <class Storage>
void all_heads(const DecodeTask& task) {
  int32_t g = 0;
  for (; g + 4 <= task.group; g += 4) heads<Storage, 4>(task, g);
  switch (task.group - g) {
    case 3:
      return heads<Storage, 3>(task, g);
    case 2:
      return heads<Storage, 2>(task, g);
    case 1:
      return heads<Storage, 1>(task, g);
  }
}

}  // namespace

void decode(const DecodeTask& task) {
  with_storage(task.chunk.storage, [&](auto storage) { all_heads<decltype(storage)>(task); });
}

}  // namespace ZS_ISA
}  // namespace zs
