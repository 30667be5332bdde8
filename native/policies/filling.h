// Tokens that come to a head in regions which is not full, since others were asked to leave it (zs_cache_evict): they fill it again, and
// nobody leaves for them.
#ifndef ZSLAB_POLICIES_FILLING_H
#define ZSLAB_POLICIES_FILLING_H

#include "policies/regions.h"

namespace zs {
namespace regions {

// Slots of the ring; it is the end of the open segment, but for a token that has just come.
inline int32_t ring_slots(const HeadWork& w) { return std::max(w.sizes().recent - 1 - w.head->missing, 0); }

// The last token of the open segment is a new one in a head that has acted and is not full: as after an eviction, but nobody left.
inline void fill(HeadWork& w) {
  Head& head = *w.head;
  Segment& open = head.open();
  const zs_resolved& r = w.sizes();
  const int32_t before = head.first_open(), last = open.slots() - 1;
  const int32_t position = open.positions[static_cast<size_t>(last)];
  const float score = open.scores[static_cast<size_t>(last)];
  float *const key = w.scratch->key.data(), *const value = w.scratch->value.data();
  const auto insert = [&](int32_t slot) {
    w.note_admit(position, before + last, score);
    w.note_move(ZS_SETTLE, position, before + last, before + slot);
    head.move_last(slot, key, value);
  };
  if (r.recent <= 1) {  // without scores tokens stand in their order, as a ring of all of them
    int32_t oldest = r.sink;
    for (int32_t i = r.sink; i < last; ++i)
      if (open.positions[static_cast<size_t>(i)] < open.positions[static_cast<size_t>(oldest)]) oldest = i;
    return insert(w.scored || oldest == r.sink ? last : oldest);
  }
  const int32_t first = last - ring_slots(w), oldest = head.ring - before;  // of the ring
  if (head.missing > 0) {
    --head.missing;
    insert(oldest == first ? last : oldest);
    if (oldest != first) ++head.ring;
    return;
  }
  // The ring moves on by one slot: its oldest is a candidate where it began, who was there comes to its end.
  const size_t to = static_cast<size_t>(first), from = static_cast<size_t>(oldest), end = static_cast<size_t>(last);
  w.note({ZS_LEAVE, ZS_BY_AGE, open.positions[from], head.ring, before + first, open.scores[from]});
  ++head.ring;
  if (oldest == first) return w.note_admit(position, before + last, score);
  w.note_move(ZS_PLACE, open.positions[to], before + first, before + last);
  w.note_admit(position, before + oldest, score);
  open.pages.read(last, key, value);
  open.pages.copy(open.pages, first, last);
  open.pages.copy(open.pages, oldest, first);
  open.pages.write(oldest, key, value);
  open.scores[end] = open.scores[to], open.scores[to] = open.scores[from], open.scores[from] = score;
  open.positions[end] = open.positions[to], open.positions[to] = open.positions[from], open.positions[from] = position;
}

}  // namespace regions
}  // namespace zs
#endif
