// Blocks of query rows against one chunk of slots: logits, and values by probability. Included only by kernels that work in blocks.
#ifndef ZSLAB_CPU_KERNELS_ATTENTION_BLOCKS_H
#define ZSLAB_CPU_KERNELS_ATTENTION_BLOCKS_H

#include "cpu/kernels/attention_parts.h"

namespace zs {
namespace ZS_ISA {

#if defined(ZS_LANES_AVX512)
constexpr int kRows = 4, kTiles = 2;  // 16 accumulators of 32 registers
#else
constexpr int kRows = 2, kTiles = 1;  // 8 of 16
#endif

// Keys of a chunk as float32 tiles [tile][d][16]: the chunk's own, or widened into `into`.
inline const float* float_keys(const KeyChunk& chunk, int32_t d, int32_t tiles, float* into) {
  if (chunk.storage == ZS_F32 || chunk.float_keys) return static_cast<const float*>(chunk.keys);
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

inline const float* float_values(const KeyChunk& chunk, int64_t padded, int64_t slots, float* into) {
  if (chunk.storage == ZS_F32) return static_cast<const float*>(chunk.values);
  const auto* values = static_cast<const uint16_t*>(chunk.values);
  for (int64_t i = 0; i < slots * padded; i += kLanes)
    store(into + i, chunk.storage == ZS_F16 ? load_f16(values + i) : load_bf16(values + i));
  return into;
}

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

}  // namespace ZS_ISA
}  // namespace zs
#endif
