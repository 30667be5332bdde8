// Keys that are kept before rotation, turned to the positions that they are read at: float32 copies of a chunk. Slots mostly follow one
// another in position too, so a tile's cosines mostly lie side by side.
#include "cpu/kernels/attention_parts.h"

namespace zs {
namespace ZS_ISA {
namespace {

// Dim `i` of a key tile.
template <class Storage>
inline Lanes dim(const typename Storage::Element* tile, int32_t i) {
  return i % 2 ? Storage::odd(tile, i / 2) : Storage::even(tile, i / 2);
}

inline bool consecutive(const int32_t* positions) {
  int32_t broken = 0;
  for (int32_t i = 1; i < kLanes; ++i) broken |= positions[i] - positions[0] - i;
  return broken == 0;
}

inline Lanes picked(const float* column, const int32_t* positions) {
  float found[kLanes];
  for (int i = 0; i < kLanes; ++i) found[i] = column[positions[i]];
  return load(found);
}

template <class Storage>
void turn_tile(const TurnTask& t, const typename Storage::Element* from, const int32_t* positions, float* to) {
  const bool side_by_side = consecutive(positions);
  for (int32_t i = 0; i < t.pairs; ++i) {
    const int32_t first = t.halves ? i : 2 * i, second = t.halves ? i + t.pairs : 2 * i + 1;
    const float *const c = t.cosines + i * t.stride, *const s = t.sines + i * t.stride;
    const Lanes cosine = side_by_side ? load(c + positions[0]) : picked(c, positions);
    const Lanes sine = side_by_side ? load(s + positions[0]) : picked(s, positions);
    const Lanes a = dim<Storage>(from, first), b = dim<Storage>(from, second);
    store(to + first * kLanes, a * cosine - b * sine);
    store(to + second * kLanes, a * sine + b * cosine);
  }
  for (int32_t i = 2 * t.pairs; i < t.d; ++i) store(to + i * kLanes, dim<Storage>(from, i));
}

}  // namespace

void turn(const TurnTask& task) {
  with_storage(task.chunk.storage, [&](auto storage) {
    using Storage = decltype(storage);
    using Element = typename Storage::Element;
    const auto* keys = static_cast<const Element*>(task.chunk.keys);
    const int64_t tile = static_cast<int64_t>(task.d) * kLanes;
    for (int32_t slot = 0; slot < task.chunk.slots; slot += kLanes)
      turn_tile<Storage>(task, keys + slot / kLanes * tile, task.positions + slot, task.keys + slot / kLanes * tile);
  });
}

}  // namespace ZS_ISA
}  // namespace zs
