#include "core/reading.h"

#include <algorithm>

namespace zs {
namespace {

// f(segment, its first slot's number, from, to): where in the list its slots are.
template <class F>
void each_part(const Head& head, const std::vector<int32_t>& list, F f) {
  int32_t offset = 0;
  auto from = list.begin();
  for (const Segment& segment : head.segments) {
    const int32_t end = offset + segment.slots();
    const auto to = &segment == &head.segments.back() ? list.end() : std::lower_bound(from, list.end(), end);
    if (to != from)
      f(segment, offset, static_cast<int32_t>(from - list.begin()), static_cast<int32_t>(to - list.begin()));
    offset = end;
    from = to;
  }
}

int32_t pieces(int32_t slots) { return static_cast<int32_t>(round_up(slots, kChunk) / kChunk); }

// A tile's slots one by one, wherever they are: as Segment::read_tile.
void read_slots(const Segment& segment, const int32_t* slots, int32_t offset, int32_t count, float* keys,
                float* values) {
  const Geometry& g = segment.pages.geometry();
  for (int32_t t = 0; t < count; ++t) {
    float key[kMostDims];
    float* const value = values + t * g.padded();
    segment.read(slots[t] - offset, key, value);
    for (int32_t i = 0; i < g.d; ++i) keys[i * kLane + t] = key[i];
    std::fill(value + g.d, value + g.padded(), 0.0f);
  }
  for (int32_t i = 0; i < g.d; ++i) std::fill(keys + i * kLane + count, keys + (i + 1) * kLane, 0.0f);
}

// `count` slots made tile by tile: tile(first, count, keys, values).
template <class F>
KeyChunk make(const Geometry& g, int32_t count, char* scratch, F tile) {
  float* const keys = reinterpret_cast<float*>(scratch);
  float* const values = keys + static_cast<int64_t>(kChunk) * g.d;
  for (int32_t from = 0; from < count; from += kLane)
    tile(from, std::min(kLane, count - from), keys + static_cast<int64_t>(from) * g.d, values + from * g.padded());
  return {keys, values, nullptr, count, ZS_F32};
}

}  // namespace

int32_t piece_count(const Head& head, const std::vector<int32_t>& list) {
  int32_t count = 0;
  each_part(head, list, [&](const Segment&, int32_t, int32_t from, int32_t to) { count += pieces(to - from); });
  return count;
}

Piece piece_of(const Head& head, const std::vector<int32_t>& list, int32_t index) {
  Piece piece{};
  each_part(head, list, [&](const Segment& segment, int32_t offset, int32_t from, int32_t to) {
    const int32_t own = pieces(to - from), first = from + index * kChunk;
    if (index >= 0 && index < own) piece = {&segment, list.data() + first, std::min(kChunk, to - first), offset};
    index -= own;
  });
  return piece;
}

KeyChunk gather(const Piece& piece, char* scratch) {
  const Segment& segment = *piece.segment;
  if (!segment.plain())
    return make(segment.pages.geometry(), piece.count, scratch,
                [&](int32_t from, int32_t n, float* keys, float* values) {
                  read_slots(segment, piece.slots + from, piece.offset, n, keys, values);
                });
  const float* const bias = segment.merged ? segment.bias.data() : nullptr;
  const int32_t first = piece.slots[0] - piece.offset, last = piece.slots[piece.count - 1] - piece.offset;
  if (first % kLane == 0 && last - first + 1 == piece.count && first / kChunk == last / kChunk)
    return segment.pages.part(first, piece.count, bias ? bias + first : nullptr);
  return segment.pages.gather(piece.slots, piece.offset, piece.count, bias, scratch);
}

KeyChunk chunk_of(const Segment& segment, int32_t i, char* scratch) {
  if (segment.plain()) return segment.chunk(i);
  return make(segment.pages.geometry(), segment.chunk_slots(i), scratch,
              [&](int32_t from, int32_t n, float* keys, float* values) {
                segment.read_tile(i * kChunk + from, n, keys, values);
              });
}

int64_t scratch_bytes(const Geometry& widest) {
  return kChunk * (widest.slot_bytes() + static_cast<int64_t>(sizeof(float)));
}

}  // namespace zs
