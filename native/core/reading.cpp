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
  const float* const bias = segment.merged ? segment.bias.data() : nullptr;
  const int32_t first = piece.slots[0] - piece.offset, last = piece.slots[piece.count - 1] - piece.offset;
  if (first % kLane == 0 && last - first + 1 == piece.count && first / kChunk == last / kChunk)
    return segment.pages.part(first, piece.count, bias ? bias + first : nullptr);
  return segment.pages.gather(piece.slots, piece.offset, piece.count, bias, scratch);
}

KeyChunk chunk_of(const Segment& segment, int32_t i, char* scratch) {
  if (segment.plain()) return segment.chunk(i);
  const Geometry& g = segment.pages.geometry();
  const int32_t count = segment.chunk_slots(i);
  if (segment.format && !segment.scaled) {
    const KeyChunk made = segment.format->chunk(i * kChunk, count, scratch);
    if (made.keys) return made;
  }
  float* const keys = reinterpret_cast<float*>(scratch);
  float* const values = keys + static_cast<int64_t>(kChunk) * g.d;
  for (int32_t from = 0; from < count; from += kLane)
    segment.read_tile(i * kChunk + from, std::min(kLane, count - from), keys + static_cast<int64_t>(from) * g.d,
                      values + from * g.padded());
  return {keys, values, nullptr, count, ZS_F32};
}

int64_t scratch_bytes(const Geometry& widest) {
  return kChunk * (widest.slot_bytes() + static_cast<int64_t>(sizeof(float)));
}

}  // namespace zs
