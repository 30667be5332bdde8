// What is asked of single tokens: that they leave, or come back; and how the next tokens fill what is free then.
#include <algorithm>
#include <limits>

#include "reference/regions.h"

namespace reference {

namespace {
size_t slot_of(const Head& head, int position) {
  const auto found =
      std::find_if(head.slots.begin(), head.slots.end(), [&](const Slot& slot) { return slot.origins[0] == position; });
  return static_cast<size_t>(found - head.slots.begin());
}
// Of the ring, where `count` slots are in use.
int64_t ring_begin(const Head& head, int64_t count) { return count - (head.sizes.recent - 1 - head.missing); }
}  // namespace

void Cache::evict(At at, int position) {
  Head& head = this->head(at);
  const size_t slot = slot_of(head, position);
  const int64_t s = static_cast<int64_t>(slot), count = static_cast<int64_t>(head.slots.size());
  note(steps_[static_cast<size_t>(at.layer)], at, Action::kDrop, head.slots[slot], s);
  head.dropped += 1;
  head.pinned.erase(position);
  Resolved& sizes = head.sizes;
  if (s - (head.compressed ? sizes.residual : 0) < sizes.sink) --sizes.sink, ++sizes.context;
  if (policy_->acts() == Acts::kAlways && head.compressed && head.ring >= 0) {
    const int64_t begin = ring_begin(head, count);
    if (s >= begin) ++head.missing;
    if (s < head.ring)
      --head.ring;
    else if (s == head.ring && s + 1 == count)
      head.ring = begin;
  }
  head.slots.erase(head.slots.begin() + s);
}

void Regions::fill(Cache& cache, At at, int64_t step) const {
  Head& head = cache.head(at);
  std::vector<Slot>& slots = head.slots;
  const int64_t count = static_cast<int64_t>(slots.size()) - 1;
  const Slot token = slots.back();
  const auto insert = [&](int64_t where) {
    cache.note(step, at, Action::kAdmit, token, count);
    slots.pop_back();
    slots.insert(slots.begin() + where, token);
  };
  if (head.sizes.recent <= 1) {
    const int64_t first = head.sizes.residual + head.sizes.sink;
    const auto oldest = std::min_element(slots.begin() + first, slots.end() - 1,
                                         [](const Slot& a, const Slot& b) { return a.origins[0] < b.origins[0]; });
    const int64_t where = oldest - slots.begin();
    insert(scored(step) || where == first ? count : where);
    return;
  }
  const int64_t begin = ring_begin(head, count);
  if (head.missing > 0) {
    --head.missing;
    const bool turned = head.ring != begin;
    insert(turned ? head.ring : count);
    if (turned) ++head.ring;
    return;
  }
  // The oldest recent token is where the ring began; the token that was there takes the ring's new end, the new one the leaver's slot.
  const Slot leaver = slots[static_cast<size_t>(head.ring)], moved = slots[static_cast<size_t>(begin)];
  cache.note(step, at, Action::kLeave, leaver, head.ring, begin);
  cache.note(step, at, Action::kAdmit, token, head.ring == begin ? count : head.ring);
  if (head.ring != begin) {
    slots[static_cast<size_t>(begin)] = leaver;
    slots.back() = moved;
    slots[static_cast<size_t>(head.ring)] = token;
  }
  ++head.ring;
}

void Cache::unevict(const std::vector<At>& group, int position, const std::vector<std::vector<float>>& keys,
                    const std::vector<std::vector<float>>& values) {
  const int64_t step = steps_[static_cast<size_t>(group[0].layer)];
  const Head& any = head(group[0]);
  const bool bounded = policy_->acts() == Acts::kAlways;
  const bool full = bounded && static_cast<int64_t>(any.slots.size()) >= any.sizes.budget;
  const int victim = full ? policy_->make_room(*this, group, step) : -1;
  for (size_t i = 0; i < group.size(); ++i) {
    Head& head = this->head(group[i]);
    Slot back;
    for (float x : keys[i]) back.key.push_back(stored(x, storage_));
    for (float x : values[i]) back.value.push_back(stored(x, storage_));
    back.origins.push_back(position);
    head.dropped -= 1;
    if (full) {
      Slot& gone = head.slots[static_cast<size_t>(victim)];
      back.score = gone.score, back.score_error = gone.score_error;
      gone = back;
      continue;
    }
    const int64_t count = static_cast<int64_t>(head.slots.size());
    int64_t where = count, first = head.sizes.sink;
    // Only recent slots are free: it is the oldest of these.
    const bool recent = bounded && head.missing > 0 && head.sizes.budget - count <= head.missing;
    if (!head.compressed) {
      where = std::count_if(head.slots.begin(), head.slots.end(),
                            [&](const Slot& slot) { return slot.origins[0] < position; });
      if (where < head.sizes.sink) ++head.sizes.sink, --head.sizes.context, first = head.sizes.sink;
    } else {
      first += head.sizes.residual;
      if (recent)
        where = head.ring;
      else if (bounded)
        where = count - std::max<int64_t>(head.sizes.recent - 1 - head.missing, 0);
    }
    for (int64_t s = first; s < where; ++s) {
      const Slot& slot = head.slots[static_cast<size_t>(s)];
      if (s == first || slot.score < back.score) back.score = slot.score;
      back.score_error = std::max(back.score_error, slot.score_error);
    }
    head.slots.insert(head.slots.begin() + where, back);
    if (recent)
      --head.missing;
    else if (bounded && head.ring >= where)
      ++head.ring;
  }
}

}  // namespace reference
