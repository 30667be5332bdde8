#include "core/occupants.h"

#include <algorithm>

#include "core/error.h"

namespace zs {
namespace {

[[noreturn]] void broken(const char* what, int64_t row) {
  fail(ZS_INVALID, "events[%lld] %s: expected those of one cache, all of them and in order",
       static_cast<long long>(row), what);
}

}  // namespace

Occupants::Occupants(int64_t tokens, Watcher& watcher)
    : watcher_(watcher),
      next_(static_cast<size_t>(tokens), -1),
      last_(static_cast<size_t>(tokens), -1),
      held_(static_cast<size_t>(tokens)),
      fate_(static_cast<size_t>(tokens), Fate::kUnseen) {}

void Occupants::become(int32_t position, Fate fate) {
  fate_[static_cast<size_t>(position)] = fate;
  watcher_.becomes(position, fate);
}

void Occupants::arrive(int32_t position) {
  if (fate(position) == Fate::kUnseen) become(position, Fate::kAlone);
}

void Occupants::put(int32_t slot, int32_t first) {
  if (slot >= static_cast<int32_t>(slots_.size())) slots_.resize(static_cast<size_t>(slot) + 1, -1);
  slots_[static_cast<size_t>(slot)] = first;
}

// A slot that somebody is moved to may still seem to hold whom an event to come moves away.
void Occupants::take(int32_t slot, int32_t first) {
  if (slot >= 0 && slot < static_cast<int32_t>(slots_.size()) && slots_[static_cast<size_t>(slot)] == first)
    slots_[static_cast<size_t>(slot)] = -1;
}

void Occupants::merge(int32_t slot, int32_t first, int32_t into) {
  if (fate(into) == Fate::kAlone) {
    become(into, Fate::kMerged);
    watcher_.joins(into, into);
  }
  const bool held = held_[static_cast<size_t>(first)];
  if (held) {
    take(slot, first);
    if (fate(first) == Fate::kMerged) watcher_.ends(first);
  } else {
    next_[static_cast<size_t>(first)] = -1, last_[static_cast<size_t>(first)] = first;
  }
  each(first, [&](int32_t p) {
    become(p, Fate::kMerged);
    watcher_.joins(p, into);
  });
  next_[static_cast<size_t>(last_[static_cast<size_t>(into)])] = first;
  last_[static_cast<size_t>(into)] = last_[static_cast<size_t>(first)];
  held_[static_cast<size_t>(first)] = 0;
}

void Occupants::apply(const zs_events& e, int64_t row) {
  const int32_t action = e.action[row], position = e.position[row], slot = e.slot[row], target = e.target[row];
  if (action == ZS_OPTIONS || action == ZS_PIN) return;
  const int64_t tokens = static_cast<int64_t>(fate_.size());
  const auto is_slot = [&](int32_t at) { return at >= 0 && at < tokens; };
  if (position < 0 || position >= tokens) broken("is about a token that never came", row);
  const size_t at = static_cast<size_t>(position);
  switch (action) {
    case ZS_ADMIT:
    case ZS_UNEVICT:
      if (!is_slot(slot) || held_[at] || fate_[at] == Fate::kMerged) broken("admits a token where it cannot be", row);
      next_[at] = -1, last_[at] = position, held_[at] = 1;
      become(position, Fate::kAlone);
      if (action == ZS_UNEVICT && slot < static_cast<int32_t>(slots_.size()) && slots_[static_cast<size_t>(slot)] >= 0)
        slots_.insert(slots_.begin() + slot, -1);  // nobody left it: those from there on move down
      return put(slot, position);
    case ZS_LEAVE:
    case ZS_PLACE:
      if (!is_slot(target) || !held_[at]) broken("moves a token that is in no slot", row);
      take(slot, position);
      return put(target, position);
    case ZS_SETTLE: {
      const int32_t count = static_cast<int32_t>(slots_.size());
      if (slot < 0 || slot >= count || target < 0 || target >= count) broken("moves between slots that are none", row);
      const auto first = slots_.begin();
      if (slot < target)
        std::rotate(first + slot, first + slot + 1, first + target + 1);
      else
        std::rotate(first + target, first + slot, first + slot + 1);
      return;
    }
    case ZS_MERGE: {
      const int32_t into =
          target >= 0 && target < static_cast<int32_t>(slots_.size()) ? slots_[static_cast<size_t>(target)] : -1;
      if (into < 0 || into == position || !held_[static_cast<size_t>(into)] ||
          (fate_[at] == Fate::kMerged && !held_[at]))
        broken("merges a token into a slot where nobody else is", row);
      return merge(slot, position, into);
    }
    case ZS_DROP:
      if (e.reason[row] == ZS_BY_REQUEST) {
        if (slot < 0 || slot >= static_cast<int32_t>(slots_.size()) || slots_[static_cast<size_t>(slot)] != position)
          broken("takes a token from a slot where it is not", row);
        slots_.erase(slots_.begin() + slot);  // those behind it move up
      } else {
        take(slot, position);
      }
      if (held_[at]) {
        if (fate_[at] == Fate::kMerged) watcher_.ends(position);
        each(position, [&](int32_t p) { become(p, Fate::kGone); });
        held_[at] = 0;
      } else {
        if (fate_[at] == Fate::kMerged) broken("drops a token that is in another's slot", row);
        become(position, Fate::kGone);
      }
      return;
    default:
      broken("has an action that there is none of", row);
  }
}

}  // namespace zs
