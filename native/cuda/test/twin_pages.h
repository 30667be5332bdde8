// Keys and values of a segment on both sides.
#ifndef ZSLAB_CUDA_TEST_TWIN_PAGES_H
#define ZSLAB_CUDA_TEST_TWIN_PAGES_H

#include <algorithm>
#include <string>
#include <vector>

#include "core/work.h"
#include "cuda/test/twins.h"

namespace zs::twins {

// One array in device memory, read and written piece by piece.
template <class T>
T of_device(const T* from) {
  T value;
  gpu::download(&value, from, sizeof value);
  return value;
}
template <class T>
std::vector<T> of_device(const T* from, int64_t count) {
  std::vector<T> values(static_cast<size_t>(count));
  if (count) gpu::download(values.data(), from, values.size() * sizeof(T));
  return values;
}
template <class T>
void to_device(T* to, const T& value) {
  gpu::upload(to, &value, sizeof value);
}

// A segment's chunks in device memory, with room for `room` slots in whole tiles: zeros beyond its own.
inline std::vector<KeyChunk> mirror_pages(Twins& twins, const Segment& segment, int32_t room) {
  const int64_t d = segment.pages.geometry().d, padded = round_up(d, kLane);
  const int32_t storage = segment.pages.geometry().storage, element = storage == ZS_F32 ? 4 : 2;
  std::vector<KeyChunk> chunks;
  std::vector<float> key(static_cast<size_t>(d)), value(key.size());
  for (int32_t from = 0; from < room; from += kChunk) {
    const int64_t whole = round_up(std::min(kChunk, room - from), kLane);
    Bytes keys(static_cast<size_t>(whole * d * element)), values(static_cast<size_t>(whole * padded * element));
    const int32_t slots = std::clamp(segment.slots() - from, 0, kChunk);
    for (int32_t s = 0; s < slots; ++s) {
      segment.read(from + s, key.data(), value.data());
      for (int64_t i = 0; i < d; ++i) {
        put(keys, key_at(s, i, d, storage), key[static_cast<size_t>(i)], storage);
        put(values, s * padded + i, value[static_cast<size_t>(i)], storage);
      }
    }
    chunks.push_back({twins.of(keys).device, twins.of(values).device, nullptr, slots, storage});
  }
  return chunks;
}

// What of chunk `c` of a segment differs from `twin`; empty = nothing.
inline std::string page_difference(const KeyChunk& twin, const Segment& segment, int32_t c) {
  const int64_t d = segment.pages.geometry().d, padded = round_up(d, kLane);
  const int32_t storage = segment.pages.geometry().storage, element = storage == ZS_F32 ? 4 : 2;
  const int32_t slots = segment.chunk_slots(c);
  const int64_t whole = round_up(slots, kLane);
  const Bytes keys = of_device(static_cast<const unsigned char*>(twin.keys), whole * d * element),
              values = of_device(static_cast<const unsigned char*>(twin.values), slots * padded * element);
  std::vector<float> key(static_cast<size_t>(d)), value(key.size());
  for (int32_t s = 0; s < slots; ++s) {
    segment.read(c * kChunk + s, key.data(), value.data());
    for (int64_t i = 0; i < d; ++i) {
      const float k = static_cast<float>(get(keys, key_at(s, i, d, storage), storage));
      const float v = static_cast<float>(get(values, s * padded + i, storage));
      if (!same_bits(&k, &key[static_cast<size_t>(i)], 1)) return "keys";
      if (!same_bits(&v, &value[static_cast<size_t>(i)], 1)) return "values";
    }
  }
  return "";
}

}  // namespace zs::twins
#endif
