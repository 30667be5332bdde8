// Blocks of query rows of a prompt or turn: online softmax chunk by chunk, no matrix of rows x keys ever exists.
#include <cstring>

#include "core/error.h"
#include "cpu/kernels/attention_parts.h"

namespace zs {
namespace ZS_ISA {
namespace {

#if defined(ZS_LANES_AVX512)
constexpr int kRows = 4, kTiles = 2;  // 16 accumulators of 32 registers
#else
constexpr int kRows = 2, kTiles = 1;  // 8 of 16
#endif

// logits[r][slot] of R rows; visible[r] slots count, the rest of the tiles gets minus infinity.
template <int R, int T>
void logits_block(const float* keys, int32_t d, int32_t t, const float* const* q, Lanes scale, const float* bias,
                  const int64_t* visible, float* const* logits) {
  Lanes result[R][T];
  dots<F32, R, T>(keys + static_cast<int64_t>(t) * d * kLanes, d, q, result);
  for (int r = 0; r < R; ++r)
    for (int i = 0; i < T; ++i) {
      const int64_t slot = static_cast<int64_t>(t + i) * kLanes;
      Lanes x = result[r][i] * scale;
      if (bias) x = x + load(bias + slot);
      store(logits[r] + slot, only(x, visible[r] - slot));
    }
}

template <int R>
void logits_rows(const float* keys, int32_t d, int32_t tiles, const float* const* q, float scale, const float* bias,
                 const int64_t* visible, float* const* logits) {
  int32_t t = 0;
  for (; t + kTiles <= tiles; t += kTiles) logits_block<R, kTiles>(keys, d, t, q, all(scale), bias, visible, logits);
  for (; t < tiles; ++t) logits_block<R, 1>(keys, d, t, q, all(scale), bias, visible, logits);
}

// out[r] = out[r] * rescale[r] + sum of e[r][slot] * value rows.
template <int R, int C>
void values_block(const float* values, int64_t padded, int64_t at, int64_t slots, const float* const* e,
                  const float* rescale, float* const* out) {
  Lanes acc[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) acc[r][c] = load(out[r] + at + c * kLanes) * all(rescale[r]);
  const float* row = values + at;
  for (int64_t slot = 0; slot < slots; ++slot, row += padded) {
    Lanes v[C];
    for (int c = 0; c < C; ++c) v[c] = load(row + c * kLanes);
    for (int r = 0; r < R; ++r) {
      const Lanes p = all(e[r][slot]);
      for (int c = 0; c < C; ++c) acc[r][c] = fma(p, v[c], acc[r][c]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) store(out[r] + at + c * kLanes, acc[r][c]);
}

template <int R>
void values_rows(const float* values, int64_t padded, int64_t slots, const float* const* e, const float* rescale,
                 float* const* out) {
  constexpr int C = kRows == 4 ? 4 : 2;
  int64_t at = 0;
  for (; at + C * kLanes <= padded; at += C * kLanes) values_block<R, C>(values, padded, at, slots, e, rescale, out);
  for (; at < padded; at += kLanes) values_block<R, 1>(values, padded, at, slots, e, rescale, out);
}

struct Scratch {
  float *keys, *values, *e, *out, *highest, *sum, *moment;
};

// R rows of one head against one chunk; `first` is the row within the unit, visible[r] how many of the chunk's slots row r sees. M: their
// moments, too.
template <int R, bool M>
void head_rows(const RowsTask& task, const Scratch& s, const KeyChunk& chunk, const float* keys, const float* values,
               int32_t g, int32_t first, const int64_t* visible) {
  const int64_t padded = round_up(task.d, kLane);
  const float* q[R];
  float *e[R], *out[R], rescale[R];
  for (int r = 0; r < R; ++r) {
    q[r] = task.q + g * task.q_head + (first + r) * task.q_row;
    e[r] = s.e + r * kChunk;
    out[r] = s.out + (g * task.rows + first + r) * padded;
  }
  const int64_t most = visible[R - 1];  // rows ascend, so the last sees most
  const int32_t tiles = static_cast<int32_t>(round_up(most, kLane) / kLane);
  logits_rows<R>(keys, task.d, tiles, q, task.scale, chunk.bias, visible, e);
  for (int r = 0; r < R; ++r) {
    float &highest = s.highest[g * task.rows + first + r], &total = s.sum[g * task.rows + first + r];
    Lanes top = all(-kInfinity);
    for (int32_t t = 0; t < tiles; ++t) top = max(top, load(e[r] + t * kLanes));
    const float chunk_top = largest(top), higher = highest > chunk_top ? highest : chunk_top;
    rescale[r] = exp_one(highest - higher);
    Lanes part = zero(), moments = zero();
    for (int32_t t = 0; t < tiles; ++t) {
      const Lanes below = load(e[r] + t * kLanes) - all(higher), x = exp_lanes(below);
      store(e[r] + t * kLanes, x);
      part += x;
      if (M) moments = fma(x, max(below, all(-1000.0f)), moments);  // what is not seen is infinitely far below
    }
    if (M) {
      float& moment = s.moment[g * task.rows + first + r];
      const float moved = total > 0 ? (moment + (highest - higher) * total) * rescale[r] : 0;
      moment = moved + sum(moments);
    }
    total = total * rescale[r] + sum(part);
    highest = higher;
  }
  values_rows<R>(values, padded, most, e, rescale, out);
}

}  // namespace

// Keys of a chunk as float32 tiles [tile][d][16]: the chunk's own, or widened into `into`.
const float* float_keys(const KeyChunk& chunk, int32_t d, int32_t tiles, float* into) {
  if (chunk.storage == ZS_F32 || chunk.float_keys) {
    const auto* own = static_cast<const float*>(chunk.keys);
    const int64_t whole = static_cast<int64_t>(tiles - 1) * d * kLanes;
    if (tiles == 0 || !is_narrow(chunk, (tiles - 1) * kLanes)) return own;
    std::memcpy(into, own, sizeof(float) * static_cast<size_t>(whole));
    for (int32_t i = 0; i < d; ++i) store(into + whole + i * kLanes, load(own + whole + i * chunk.last));
    return into;
  }
  const auto* keys = static_cast<const uint16_t*>(chunk.keys);
  for (int32_t t = 0; t < tiles; ++t)
    for (int32_t i = 0; i < d / 2; ++i) {
      const int64_t tile = static_cast<int64_t>(t) * d * kLanes;
      const bool half = chunk.storage == ZS_F16;
      store(into + tile + 2 * i * kLanes, half ? F16::even(keys + tile, i) : BF16::even(keys + tile, i));
      store(into + tile + (2 * i + 1) * kLanes, half ? F16::odd(keys + tile, i) : BF16::odd(keys + tile, i));
    }
  return into;
}

const float* float_values(const KeyChunk& chunk, int64_t padded, int64_t slots, float* into) {
  if (chunk.storage == ZS_F32) return static_cast<const float*>(chunk.values);
  const auto* values = static_cast<const uint16_t*>(chunk.values);
  for (int64_t i = 0; i < slots * padded; i += kLanes)
    store(into + i, chunk.storage == ZS_F16 ? load_f16(values + i) : load_bf16(values + i));
  return into;
}

void rows(const RowsTask& task) {
  const int64_t padded = round_up(task.d, kLane), count = static_cast<int64_t>(task.group) * task.rows;
  Scratch s;
  s.keys = task.scratch;
  s.values = s.keys + static_cast<int64_t>(kChunk) * task.d;
  s.e = s.values + kChunk * padded;
  s.out = s.e + static_cast<int64_t>(rows_per_unit(task.group)) * kChunk;
  s.highest = s.out + count * padded;
  s.sum = s.highest + count;
  s.moment = s.sum + count;
  std::memset(s.out, 0, sizeof(float) * static_cast<size_t>(count * padded));
  for (int64_t i = 0; i < count; ++i) {
    s.highest[i] = -kInfinity;
    s.sum[i] = s.moment[i] = 0;
  }
  int64_t start = 0;  // first of the rows' own tokens in this chunk
  for (int32_t c = 0; c < task.chunk_count; ++c) {
    const KeyChunk& chunk = task.chunks[c];
    const bool causal = c >= task.first_causal;
    const int64_t last = task.row + task.rows - 1;
    if (causal && start > last) break;
    const int64_t seen = causal && last - start + 1 < chunk.slots ? last - start + 1 : chunk.slots;
    const float* keys = float_keys(chunk, task.d, static_cast<int32_t>(round_up(seen, kLane) / kLane), s.keys);
    const float* values = float_values(chunk, padded, seen, s.values);
    for (int32_t g = 0; g < task.group; ++g) {
      if (flagged(task.abort)) return;
      int64_t visible[kRows];
      int32_t r = 0;
      const auto sees = [&](int32_t row) {
        const int64_t n = causal ? task.row + row - start + 1 : chunk.slots;
        return n < 0 ? 0 : n < chunk.slots ? n : chunk.slots;
      };
      while (r < task.rows && sees(r) == 0) ++r;
      for (; r + kRows <= task.rows; r += kRows) {
        for (int i = 0; i < kRows; ++i) visible[i] = sees(r + i);
        (task.moment ? head_rows<kRows, true> : head_rows<kRows, false>)(task, s, chunk, keys, values, g, r, visible);
      }
      for (; r < task.rows; ++r) {
        visible[0] = sees(r);
        (task.moment ? head_rows<1, true> : head_rows<1, false>)(task, s, chunk, keys, values, g, r, visible);
      }
    }
    if (causal) start += chunk.slots;
  }
  for (int32_t g = 0; g < task.group; ++g)
    for (int32_t r = 0; r < task.rows; ++r) {
      const int64_t i = static_cast<int64_t>(g) * task.rows + r;
      const float inverse = 1.0f / s.sum[i];
      float* out = task.out + g * task.out_head + r * task.out_row;
      for (int32_t x = 0; x < task.d; ++x) out[x] = s.out[i * padded + x] * inverse;
      if (!task.highest) continue;
      task.highest[g * task.stat_stride + r] = s.highest[i];
      task.inverse[g * task.stat_stride + r] = inverse;
      if (task.moment) task.moment[g * task.stat_stride + r] = s.moment[i];
    }
}

void probabilities(const ProbabilitiesTask& task) {
  for (int32_t r = 0; r < task.rows; r += kRows) {
    const int count = task.rows - r < kRows ? task.rows - r : kRows;
    for (int64_t start = 0, c = 0; start < task.row + r + count; start += kChunk, ++c) {
      const float* keys = static_cast<const float*>(task.chunks[c].keys);
      const float* q[kRows];
      float* out[kRows];
      int64_t visible[kRows];
      for (int i = 0; i < count; ++i) {
        q[i] = task.q + (r + i) * task.q_row;
        out[i] = task.out + (r + i) * task.out_row + start;
        const int64_t sees = task.row + r + i + 1 - start;
        visible[i] = sees < 0 ? 0 : sees < kChunk ? sees : kChunk;
      }
      const int32_t tiles = static_cast<int32_t>(round_up(visible[count - 1], kLane) / kLane);
      if (count == kRows)
        logits_rows<kRows>(keys, task.d, tiles, q, task.scale, nullptr, visible, out);
      else
        for (int i = 0; i < count; ++i)
          logits_rows<1>(keys, task.d, tiles, q + i, task.scale, nullptr, visible + i, out + i);
      for (int i = 0; i < count; ++i) {
        const Lanes highest = all(task.highest[r + i]), inverse = all(task.inverse[r + i]);
        for (int32_t t = 0; t < tiles; ++t)
          store(out[i] + t * kLanes, exp_lanes(load(out[i] + t * kLanes) - highest) * inverse);
        for (int64_t s = visible[i]; s < tiles * kLanes; ++s) out[i][s] = 0;
      }
    }
  }
}

void columns(const ColumnsTask& task) {
  const int32_t tiles = static_cast<int32_t>(round_up(task.chunk.slots, kLane) / kLane);
  const float* keys = float_keys(task.chunk, task.d, tiles, task.scratch);
  float *const logits = task.scratch + static_cast<int64_t>(kChunk) * task.d, *const sums = logits + kRows * kChunk;
  int64_t from = task.to;
  for (int32_t f = 0; f < task.fade_count; ++f) from = task.fades[f].from < from ? task.fades[f].from : from;
  if (task.causal && task.first > from) from = task.first;
  for (int64_t row = from; row < task.to; row += kRows) {
    if (flagged(task.abort)) return;
    const int count = task.to - row < kRows ? static_cast<int>(task.to - row) : kRows;
    int64_t visible[kRows];
    for (int r = 0; r < count; ++r) {
      const int64_t n = task.causal ? row + r - task.first + 1 : task.chunk.slots;
      visible[r] = n < task.chunk.slots ? n : task.chunk.slots;
    }
    for (int i = 0; i < count * kChunk; ++i) sums[i] = 0;
    for (int32_t g = 0; g < task.group; ++g) {
      const float* q[kRows];
      float* e[kRows];
      for (int r = 0; r < kRows; ++r) {
        q[r] = task.q + g * task.q_head + (row + (r < count ? r : 0)) * task.q_row;
        e[r] = logits + r * kChunk;
      }
      if (count == kRows)
        logits_rows<kRows>(keys, task.d, tiles, q, task.scale, task.chunk.bias, visible, e);
      else
        for (int r = 0; r < count; ++r)
          logits_rows<1>(keys, task.d, tiles, q + r, task.scale, task.chunk.bias, visible + r, e + r);
      for (int r = 0; r < count; ++r) {
        const Lanes highest = all(task.highest[g * task.stat_stride + row + r]);
        const Lanes inverse = all(task.inverse[g * task.stat_stride + row + r]);
        for (int32_t t = 0; t < tiles; ++t) {
          float* total = sums + r * kChunk + t * kLanes;
          store(total, fma(exp_lanes(load(e[r] + t * kLanes) - highest), inverse, load(total)));
        }
      }
    }
    for (int32_t f = 0; f < task.fade_count; ++f) {
      const Fade& fade = task.fades[f];
      for (int r = row < fade.from ? static_cast<int>(fade.from - row) : 0; r < count; ++r)
        for (int32_t t = 0; t < tiles; ++t) {
          float* acc = fade.acc + t * kLanes;
          store(acc, fma(all(fade.decay), load(acc), load(sums + r * kChunk + t * kLanes)));
        }
    }
  }
}

}  // namespace ZS_ISA
}  // namespace zs
