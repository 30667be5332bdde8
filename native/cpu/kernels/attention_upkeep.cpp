// What follows a decode step: chunks merged, scores updated, the smallest found, similarities; and the table of all attention kernels.
#include <cmath>

#include "cpu/kernels/attention_parts.h"

namespace zs {
namespace ZS_ISA {
namespace {

void merge(const float* highest, const float* sums, const float* partial, int32_t chunks, int32_t group, int32_t d,
           float* factor, float* out, int64_t out_stride) {
  const int64_t padded = round_up(d, kLane);
  for (int32_t g = 0; g < group; ++g) {
    float top = -kInfinity, total = 0;
    for (int32_t c = 0; c < chunks; ++c) top = highest[c * group + g] > top ? highest[c * group + g] : top;
    for (int32_t c = 0; c < chunks; ++c) {
      factor[c * group + g] = exp_one(highest[c * group + g] - top);
      total += sums[c * group + g] * factor[c * group + g];
    }
    const float inverse = 1.0f / total;
    for (int64_t at = 0; at < padded; at += kLanes) {
      Lanes acc = zero();
      for (int32_t c = 0; c < chunks; ++c)
        acc = fma(all(factor[c * group + g]), load(partial + (static_cast<int64_t>(c) * group + g) * padded + at), acc);
      acc = acc * all(inverse);
      if (at + kLanes <= d)
        store(out + g * out_stride + at, acc);
      else
        store_part(out + g * out_stride + at, acc, static_cast<int>(d - at));
    }
    for (int32_t c = 0; c < chunks; ++c) factor[c * group + g] *= inverse;
  }
}

void scores(const float* e, int64_t e_stride, const float* factor, int32_t group, int32_t slots, float decay,
            float* score) {
  for (int32_t i = 0; i < slots; i += kLanes) {
    Lanes p = zero();
    for (int32_t g = 0; g < group; ++g) p = fma(load(e + g * e_stride + i), all(factor[g]), p);
    if (i + kLanes <= slots) {
      store(score + i, fma(all(decay), load(score + i), p));
    } else {
      const int rest = slots - i;
      store_part(score + i, fma(all(decay), load_part(score + i, rest, 0), p), rest);
    }
  }
}

// The smallest values of [from, to) and `low`, lane by lane.
Lanes lower(const float* values, int64_t from, int64_t to, Lanes low) {
  constexpr int kChains = 4;  // one alone would wait for itself
  Lanes lows[kChains];
  for (Lanes& one : lows) one = low;
  int64_t i = from;
  for (; i + kChains * kLanes <= to; i += kChains * kLanes) {
    ZS_UNROLL
    for (int c = 0; c < kChains; ++c) lows[c] = min(load(values + i + c * kLanes), lows[c]);
  }
  low = min(min(lows[0], lows[1]), min(lows[2], lows[3]));
  for (; i + kLanes <= to; i += kLanes) low = min(load(values + i), low);
  return i < to ? min(load_part(values + i, static_cast<int>(to - i), kInfinity), low) : low;
}

float least_of(Lanes low) {
  float lanes[kLanes];
  store(lanes, low);
  float least = kInfinity;
  for (float x : lanes) least = x < least ? x : least;
  return least;
}

float least_but(const float* values, int64_t from, int64_t to, int64_t but) {
  return least_of(lower(values, but + 1, to, lower(values, from, but, all(kInfinity))));
}

int64_t smallest(const float* values, int64_t from, int64_t to) {
  const float least = least_of(lower(values, from, to, all(kInfinity)));
  const Lanes bound = all(least);
  int64_t i = from;
  for (; i + kLanes <= to; i += kLanes) {
    // values not above the least are those that equal it; NaN compares false both ways, so it is asked as "not greater".
    const Lanes x = load(values + i);
    const uint32_t above = less(bound, x);
    if (above == 0xffffu) continue;
    for (int lane = 0; lane < kLanes; ++lane)
      if (values[i + lane] == least) return i + lane;
  }
  for (; i < to; ++i)
    if (values[i] == least) return i;
  return from;
}

// To the keys of a tile, each dim's `width` apart.
template <class Width>
void tile_similarity(int32_t kind, const float* keys, Width width, int32_t d, const float* key, Lanes self,
                     float* out) {
  Lanes even = zero(), odd = zero(), norm = zero();
  if (kind == ZS_L2) {
    for (int32_t i = 0; i < d; i += 2) {
      const Lanes a = load(keys + i * width) - all(key[i]), b = load(keys + (i + 1) * width) - all(key[i + 1]);
      even = fma(a, a, even);
      odd = fma(b, b, odd);
    }
    return store(out, zero() - (even + odd));
  }
  const float* q[1] = {key};
  Lanes dot[1][1];
  dots<F32, 1, 1>(keys, d, q, dot, nullptr, width);
  store(out, dot[0][0]);
  if (kind != ZS_COSINE) return;
  for (int32_t i = 0; i < d; ++i) norm = fma(load(keys + i * width), load(keys + i * width), norm);
  float norms[kLanes], own[kLanes];
  store(norms, norm);
  store(own, self);
  for (int lane = 0; lane < kLanes; ++lane) {
    const float lengths = std::sqrt(norms[lane]) * std::sqrt(own[0]);
    out[lane] = lengths > 0 ? out[lane] / lengths : -1.0f;
  }
}

void similarity(int32_t kind, const KeyChunk& chunk, int32_t d, const float* key, float* out) {
  Lanes self = zero();
  for (int32_t i = 0; kind == ZS_COSINE && i < d; ++i) self = fma(all(key[i]), all(key[i]), self);
  const auto* keys = static_cast<const float*>(chunk.keys);
  for (int32_t slot = 0; slot < chunk.slots; slot += kLanes, keys += static_cast<int64_t>(d) * kLanes)
    if (is_narrow(chunk, slot))
      tile_similarity(kind, keys, chunk.last, d, key, self, out + slot);
    else
      tile_similarity(kind, keys, Whole{}, d, key, self, out + slot);
}

constexpr AttentionKernels kTable = {decode, merge,   scores,  smallest,   least_but,    similarity,
                                     rows,   columns, turn,    float_keys, float_values, products,
                                     powers, times,   squares, weigh,      leave_out,    probabilities};

}  // namespace

const AttentionKernels* attention_kernels_table() { return &kTable; }

}  // namespace ZS_ISA
}  // namespace zs
