#include "core/segment.h"

#include <cmath>

namespace zs {

void Segment::reserve(int32_t slots, int64_t most) {
  if (format)
    format->reserve(slots);
  else
    pages.reserve(slots, most);
  grow(scores, static_cast<size_t>(round_up(slots, kLane)));
  grow(positions, static_cast<size_t>(slots));
  if (scaled) grow(key_scales, static_cast<size_t>(slots)), grow(value_scales, static_cast<size_t>(slots));
}

void Segment::resize(int32_t slots) {
  if (!format)
    pages.resize(slots);
  else if (slots < this->slots())
    format->resize(slots);
  scores.resize(static_cast<size_t>(round_up(slots, kLane)), 0.0f);
  positions.resize(static_cast<size_t>(slots));
  if (scaled)
    key_scales.resize(static_cast<size_t>(slots), 1.0f), value_scales.resize(static_cast<size_t>(slots), 1.0f);
}

void Segment::read(int32_t slot, float* key, float* value) const {
  const int32_t d = pages.geometry().d;
  float other[kMostDims];  // what nobody asked for
  if (format)
    format->read(slot, 1, key ? key : other, value ? value : other, d);
  else
    pages.read(slot, key, value);
  if (!scaled) return;
  const size_t i = static_cast<size_t>(slot);
  for (int32_t j = 0; key && j < d; ++j) key[j] *= key_scales[i];
  for (int32_t j = 0; value && j < d; ++j) value[j] *= value_scales[i];
}

void Segment::read_tile(int32_t first, int32_t count, float* keys, float* values) const {
  const int32_t d = pages.geometry().d;
  const int64_t padded = pages.geometry().padded();
  float rows[kLane * kMostDims];
  if (format)
    format->read(first, count, rows, values, padded);
  else
    for (int32_t t = 0; t < count; ++t) pages.read(first + t, rows + t * d, values + t * padded);
  for (int32_t t = 0; t < count; ++t) {
    const float key_scale = scaled ? key_scales[static_cast<size_t>(first + t)] : 1;
    for (int32_t i = 0; i < d; ++i) keys[i * kLane + t] = rows[t * d + i] * key_scale;
    if (scaled)
      for (int32_t i = 0; i < d; ++i) values[t * padded + i] *= value_scales[static_cast<size_t>(first + t)];
    std::fill(values + t * padded + d, values + (t + 1) * padded, 0.0f);
  }
  for (int32_t i = 0; i < d; ++i) std::fill(keys + i * kLane + count, keys + (i + 1) * kLane, 0.0f);
}

void Segment::set_weight(int32_t slot, double weight, float alpha) {
  const size_t i = static_cast<size_t>(slot);
  weights[i] = static_cast<float>(weight);
  bias[i] = static_cast<float>(static_cast<double>(alpha) * natural_log(weight));
}

int64_t Segment::bookkeeping_bytes() const {
  const size_t floats =
      scores.capacity() + weights.capacity() + bias.capacity() + key_scales.capacity() + value_scales.capacity();
  const size_t integers = first.capacity() + last.capacity() + positions.capacity();
  return static_cast<int64_t>(4 * (floats + integers));
}

bool Segment::finite() const {
  const auto all = [](const Column<float>& x, int32_t count) {
    for (int32_t i = 0; i < count; ++i)
      if (!std::isfinite(x[static_cast<size_t>(i)])) return false;
    return true;
  };
  return (format ? format->finite() : pages.finite()) && all(scores, slots()) && (!merged || all(weights, slots())) &&
         (!scaled || (all(key_scales, slots()) && all(value_scales, slots())));
}

}  // namespace zs
