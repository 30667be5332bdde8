// One query row of each head of a group against one chunk of slots: every key and value is read once for all heads of a batch.
// The chunk is one stream of bytes, keys then values then mostly the next chunk's keys, fetched in that order a fixed way ahead.
// Tried and lost (Zen 4, one thread, bfloat16, headDim 64, GB/s of 32): fetching into the first-level cache 15-20 (25 as it is), 4 KB
// ahead 18, tile by tile instead of in order 19, long rows of values by halves over the whole chunk instead of 32 slots 12-15 of 20.
#include "cpu/kernels/attention_parts.h"

namespace zs {
namespace ZS_ISA {
namespace {

#if defined(ZS_LANES_AVX512)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 8;  // of 16 lanes
#endif
constexpr int32_t kValueSlots =
    32;  // slots whose values stay in the first-level cache while vector after vector of dims is summed

// Tiles read side by side: enough chains to hide the latency of a fused multiply-add, two accumulators each.
constexpr int tiles_at_once(int heads) { return kRegisters < 32 ? (heads == 1 ? 2 : 1) : heads == 1 ? 4 : 2; }
// Vectors of dims summed side by side, one accumulator each.
constexpr int vectors_at_once(int heads) { return kRegisters < 32 ? (heads > 2 ? 1 : heads == 2 ? 2 : 4) : 4; }

// Bytes between what is read and what is fetched: two runs of tiles.
template <class Storage, int G>
int64_t distance(int32_t d) {
  return 2 * tiles_at_once(G) * static_cast<int64_t>(d) * kLanes *
         static_cast<int64_t>(sizeof(typename Storage::Element));
}

// Logits of G heads into e; highest[g] = the largest.
template <class Storage, int G>
void logits(const DecodeTask& task, const float* const* q, float* const* e, float* highest) {
  constexpr int T = tiles_at_once(G);
  const auto* keys = static_cast<const typename Storage::Element*>(task.chunk.keys);
  const int64_t tile = static_cast<int64_t>(task.d) * kLanes;
  const int32_t slots = task.chunk.slots, tiles = static_cast<int32_t>(round_up(slots, kLane) / kLane);
  const char* const ahead = static_cast<const char*>(task.chunk.keys) + distance<Storage, G>(task.d);
  const int64_t tile_bytes = tile * static_cast<int64_t>(sizeof *keys);
  const Lanes scale = all(task.scale);
  Lanes top[G];
  for (int g = 0; g < G; ++g) top[g] = all(-kInfinity);
  const auto finish = [&](int32_t t, int g, Lanes dot) {
    Lanes x = dot * scale;
    if (task.chunk.bias) x = x + load(task.chunk.bias + t * kLanes);
    x = only(x, slots - static_cast<int64_t>(t) * kLanes);
    store(e[g] + t * kLanes, x);
    top[g] = max(top[g], x);
  };
  int32_t t = 0;
  for (; t + T <= tiles; t += T) {
    Lanes result[G][T];
    dots<Storage, G, T, true>(keys + t * tile, task.d, q, result, ahead + t * tile_bytes);
    for (int g = 0; g < G; ++g)
      for (int i = 0; i < T; ++i) finish(t + i, g, result[g][i]);
  }
  for (; t < tiles; ++t) {
    Lanes result[G][1];
    dots<Storage, G, 1, true>(keys + t * tile, task.d, q, result, ahead + t * tile_bytes);
    for (int g = 0; g < G; ++g) finish(t, g, result[g][0]);
  }
  for (int g = 0; g < G; ++g) highest[g] = largest(top[g]);
}

// out[g] += e[g][slot] * value row, for G heads, slots [from, to) and C vectors of dims from `at` on.
template <class Storage, int G, int C>
void values(const typename Storage::Element* row, int64_t padded, int32_t from, int32_t to, const float* const* e,
            float* const* out, int64_t at, int64_t ahead) {
  Lanes acc[G][C];
  for (int g = 0; g < G; ++g)
    for (int c = 0; c < C; ++c) acc[g][c] = load(out[g] + at + c * kLanes);
  row += from * padded + at;
  for (int32_t slot = from; slot < to; ++slot, row += padded) {
    for (int c = 0; c < C; c += static_cast<int>(kLine / (kLanes * static_cast<int64_t>(sizeof *row))))
      prefetch(reinterpret_cast<const char*>(row + c * kLanes) + ahead);
    Lanes v[C];
    for (int c = 0; c < C; ++c) v[c] = Storage::row(row + c * kLanes);
    for (int g = 0; g < G; ++g) {
      const Lanes p = all(e[g][slot]);
      for (int c = 0; c < C; ++c) acc[g][c] = fma(p, v[c], acc[g][c]);
    }
  }
  for (int g = 0; g < G; ++g)
    for (int c = 0; c < C; ++c) store(out[g] + at + c * kLanes, acc[g][c]);
}

template <class Storage, int G>
void heads(const DecodeTask& task, int32_t first) {
  const int64_t padded = round_up(task.d, kLane);
  const float* q[G];
  float *e[G], *out[G];
  for (int g = 0; g < G; ++g) {
    q[g] = task.q + (first + g) * task.q_stride;
    e[g] = task.e + (first + g) * task.e_stride;
    out[g] = task.out + (first + g) * padded;
  }
  logits<Storage, G>(task, q, e, task.highest + first);
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
  constexpr int C = vectors_at_once(G);
  const auto* rows = static_cast<const typename Storage::Element*>(task.chunk.values);
  const int64_t ahead = distance<Storage, G>(task.d);
  for (int32_t from = 0; from < task.chunk.slots; from += kValueSlots) {
    const int32_t to = from + kValueSlots < task.chunk.slots ? from + kValueSlots : task.chunk.slots;
    int64_t at = 0;
    for (; at + C * kLanes <= padded; at += C * kLanes)
      values<Storage, G, C>(rows, padded, from, to, e, out, at, ahead);
    for (; at < padded; at += kLanes) values<Storage, G, 1>(rows, padded, from, to, e, out, at, ahead);
  }
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
