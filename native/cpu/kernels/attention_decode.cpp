// One query row of each head of a group against one chunk of slots: every key and value is read once for all heads of a batch.
#include "cpu/kernels/attention_parts.h"

namespace zs {
namespace ZS_ISA {
namespace {

// Logits of G heads into e; highest[g] = the largest.
template <class Storage, int G>
void logits(const DecodeTask &task, const float *const *q, float *const *e, float *highest) {
  constexpr int T = G == 1 ? 4 : 2;  // enough independent chains to hide the latency of a fused multiply-add
  const auto *keys = static_cast<const typename Storage::Element *>(task.chunk.keys);
  const int64_t tile = static_cast<int64_t>(task.d) * kLanes;
  const int32_t slots = task.chunk.slots, tiles = static_cast<int32_t>(round_up(slots, kLane) / kLane);
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
    dots<Storage, G, T>(keys + t * tile, task.d, q, result);
    for (int g = 0; g < G; ++g)
      for (int i = 0; i < T; ++i) finish(t + i, g, result[g][i]);
  }
  for (; t < tiles; ++t) {
    Lanes result[G][1];
    dots<Storage, G, 1>(keys + t * tile, task.d, q, result);
    for (int g = 0; g < G; ++g) finish(t, g, result[g][0]);
  }
  for (int g = 0; g < G; ++g) highest[g] = largest(top[g]);
}

// out[g] = sum of e[g][slot] * value rows, for G heads and C vectors of dims at once.
template <class Storage, int G, int C>
void values(const DecodeTask &task, const float *const *e, float *const *out, int64_t at) {
  const int64_t padded = round_up(task.d, kLane);
  const auto *row = static_cast<const typename Storage::Element *>(task.chunk.values) + at;
  Lanes acc[G][C];
  for (int g = 0; g < G; ++g)
    for (int c = 0; c < C; ++c) acc[g][c] = zero();
  for (int32_t slot = 0; slot < task.chunk.slots; ++slot, row += padded) {
    for (int c = 0; c < C; c += 64 / (kLanes * static_cast<int>(sizeof *row)))
      prefetch(reinterpret_cast<const char *>(row + c * kLanes) + kAhead);
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
void heads(const DecodeTask &task, int32_t first) {
  const int64_t padded = round_up(task.d, kLane);
  const float *q[G];
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
  int64_t at = 0;
  for (; at + 4 * kLanes <= padded; at += 4 * kLanes) values<Storage, G, 4>(task, e, out, at);
  for (; at < padded; at += kLanes) values<Storage, G, 1>(task, e, out, at);
}

template <class Storage>
void all_heads(const DecodeTask &task) {
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

void decode(const DecodeTask &task) {
  with_storage(task.chunk.storage, [&](auto storage) { all_heads<decltype(storage)>(task); });
}

}  // namespace ZS_ISA
}  // namespace zs
