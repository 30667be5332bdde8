// What is asked of one token between two steps: that it leaves, stays for good or comes back. Done on a copy, which then takes the cache's
// place: all of it, or nothing.
#include "zslab/asked.h"

#include <algorithm>
#include <functional>

#include "core/work.h"

namespace zs {
namespace {

enum class Place { kOwn, kMerged, kGone, kUnknown };

// A token of one head.
struct Standing {
  Place place;
  int32_t slot;  // of the open segment, where it has one of its own
};

Standing find(const Head& head, int32_t position) {
  const Segment& open = head.open();
  for (int32_t slot = 0; slot < open.slots(); ++slot)
    if (open.positions[static_cast<size_t>(slot)] == position) return {Place::kOwn, slot};
  if (!head.origins) return {Place::kUnknown, -1};
  return {head.links[static_cast<size_t>(position)] == kLinkDropped ? Place::kGone : Place::kMerged, -1};
}

// It and all that it works on.
bool single(const Policy& policy) { return policy.hooks->single && (!policy.of || single(*policy.of)); }

constexpr const char* kGone = ": it was dropped, or is part of merged slots";

// What is asked of whom, what is so where it can be done in no head, and what to do then.
struct Asked {
  const char *what, *nowhere, *advice;
  int32_t position;
  const uint8_t* heads;  // nullptr = all
  bool of(const zs_cache& cache, int32_t layer, int32_t kv_head) const {
    return !heads || heads[static_cast<int64_t>(layer) * cache.config.kv_heads + kv_head];
  }
};

void check_asked(const zs_cache& cache, const Asked& asked) {
  const int64_t seen = check_settled(cache);
  const char* const name = cache.policy->hooks->name;
  if (!single(*cache.policy))
    fail(ZS_UNSUPPORTED, "%s does not keep its tokens one by one in slots, so that one cannot be asked to %s", name,
         asked.what);
  if (asked.position < 0 || asked.position >= seen)
    fail(ZS_INVALID, "position is %d: expected 0 to %lld, of a token that was seen", asked.position,
         static_cast<long long>(seen - 1));
  const zs_granularity granularity = cache.needs.granularity;
  if (granularity == ZS_PER_HEAD) return;
  for (int32_t l = 0; l < cache.config.layers; ++l)
    for (int32_t g = 0; g < cache.config.kv_heads; ++g)
      if (asked.of(cache, l, g) != asked.of(cache, granularity == ZS_PER_MODEL ? 0 : l, 0))
        fail(ZS_INVALID, "under %s all kv heads of %s choose together: ask this of all of them", name,
             granularity == ZS_PER_MODEL ? "the model" : "a layer");
}

// Heads that choose together, one after another.
using Group = std::vector<HeadWork>;

// Does `one` to every group that is asked; it says in how many heads of the group something was done. Returns how many in all.
int32_t ask(zs_cache& cache, const Asked& asked, const std::function<int32_t(Group&)>& one, bool only_check = false) {
  check_asked(cache, asked);
  scores_home(cache);
  std::vector<Layer> made = cache.layers;
  const size_t kv_heads = static_cast<size_t>(cache.config.kv_heads);
  std::vector<std::vector<Event>> events(made.size() * kv_heads);
  const zs_granularity granularity = cache.needs.granularity;
  const size_t per_group = granularity == ZS_PER_HEAD ? 1 : granularity == ZS_PER_LAYER ? kv_heads : events.size();
  int32_t done = 0;
  Group group;
  for (size_t i = 0; i < events.size(); ++i) {
    const size_t l = i / kv_heads, g = i % kv_heads;
    const int32_t layer = static_cast<int32_t>(l), kv_head = static_cast<int32_t>(g);
    if (g == 0) need_upkeep(cache, made[l]);
    if (asked.of(cache, layer, kv_head))
      group.push_back(work_on(cache, made[l].heads[g], layer, kv_head, 0, made[l].step, &events[i]));
    if ((i + 1) % per_group) continue;
    if (!group.empty()) done += one(group);
    group.clear();
  }
  if (done == 0)
    fail(ZS_INVALID, "position %d %s in any kv head that is asked%s", asked.position, asked.nowhere, asked.advice);
  if (only_check) return done;
  to_tape(cache, events);
  for (size_t l = 0; l < made.size(); ++l) {
    made[l].kept.reset();
    cache.layers[l] = std::move(made[l]);
    count_bytes(cache, cache.layers[l]);
  }
  cache.asked = cache.layers[0].seq_len;
  return done;
}

void evict(const zs_cache& cache, HeadWork& w, int32_t position, int32_t slot) {
  Head& head = *w.head;
  zs_resolved& r = head.sizes;
  const int32_t before = head.first_open(), slots = head.open().slots();
  head.own(true);
  w.note({ZS_DROP, ZS_BY_REQUEST, position, before + slot, -1, head.open().scores[static_cast<size_t>(slot)]});
  head.dropped(position);
  const auto pin = std::lower_bound(head.pinned.begin(), head.pinned.end(), position);
  if (pin != head.pinned.end() && *pin == position) head.pinned.erase(pin);
  if (slot < r.sink) --r.sink, ++r.context;
  if (acts_always(cache) && head.ring >= 0) {
    const int32_t count = r.recent - 1 - head.missing, first = slots - count, ring = head.ring - before;
    if (slot >= first) ++head.missing;
    if (slot < ring)
      --head.ring;
    else if (slot == ring && slot + 1 == slots)
      head.ring = before + first;  // round to its beginning
  }
  head.move_out(slot, 1);
}

// Pinned tokens that need context slots: sink tokens have their own.
int32_t pinned_beside(const Head& head) {
  const Segment& open = head.open();
  int32_t count = 0;
  for (int32_t i = head.sizes.sink; i < open.slots(); ++i)
    count += head.is_pinned(open.positions[static_cast<size_t>(i)]);
  return count;
}

void pin(const HeadWork& w, int32_t position, int32_t slot) {
  Head& head = *w.head;
  const Segment& open = head.open();
  const int32_t others = pinned_beside(head);
  if (slot >= head.sizes.sink && others >= head.sizes.context)
    fail(
        ZS_INVALID,
        "layer %d, kv head %d: %d tokens are pinned already, as many as there are context slots: evict one of them, or "
        "make the cache with a larger budget",
        w.layer, w.kv_head, others);
  head.pinned.insert(std::lower_bound(head.pinned.begin(), head.pinned.end(), position), position);
  w.note({ZS_PIN, ZS_BY_REQUEST, position, head.first_open() + slot, -1, open.scores[static_cast<size_t>(slot)]});
}

// Of a head that has acted and is not full: only recent slots are free.
bool in_ring(const zs_cache& cache, const Head& head) {
  return acts_always(cache) && head.missing > 0 && head.sizes.budget - head.slots() <= head.missing;
}

// Where a token that comes back belongs in a head that has room: in the order of positions before the policy has acted, then last of the
// context.
int32_t place_for(const zs_cache& cache, const Head& head, int32_t position) {
  const Segment& open = head.open();
  if (!head.compressed)
    return static_cast<int32_t>(
        std::lower_bound(open.positions.begin(), open.positions.begin() + open.slots(), position) -
        open.positions.begin());
  if (in_ring(cache, head)) return head.ring - head.first_open();
  const int32_t recent = acts_always(cache) ? std::max(head.sizes.recent - 1 - head.missing, 0) : 0;
  return open.slots() - recent;
}

void bring_back(const zs_cache& cache, HeadWork& w, const Asked& asked, const float* key, const float* value) {
  Head& head = *w.head;
  const int32_t before = head.first_open(), position = asked.position;
  const bool bounded = acts_always(cache), full = bounded && head.slots() >= head.sizes.budget;
  if (full && !head.compressed)
    fail(ZS_UNSUPPORTED,
         "layer %d, kv head %d is full and was never compressed, so that nobody is next to leave: feed a token first",
         w.layer, w.kv_head);
  const bool alone = w.choice == head.open().scores.data();
  head.reserve(1);
  head.own(true);
  if (alone) w.choice = head.open().scores.data();
  Segment& open = head.open();
  int32_t slot;
  float score = 0;
  if (full) {
    // Its score is that of who leaves for it.
    std::vector<float> scores(open.scores.begin(), open.scores.begin() + open.slots());
    slot = call_hook(&PolicyHooks::make_room, w);
    score = scores[static_cast<size_t>(slot)];
  } else {
    slot = place_for(cache, head, position);
    if (!head.compressed && slot < head.sizes.sink) {  // a sink token again
      if (pinned_beside(head) >= head.sizes.context)
        fail(ZS_INVALID,
             "layer %d, kv head %d: position %d would be a sink token again, and the %d pinned ones need all context "
             "slots",
             w.layer, w.kv_head, position, pinned_beside(head));
      ++head.sizes.sink, --head.sizes.context;
    }
    for (int32_t i = head.sizes.sink; i < slot; ++i) {
      const float one = open.scores[static_cast<size_t>(i)];
      if (i == head.sizes.sink || one < score) score = one;
    }
    const bool recent = in_ring(cache, head);  // its oldest, where only recent slots are free
    open.resize(open.slots() + 1);
    head.move_last(slot, w.scratch->key.data(), w.scratch->value.data());
    if (recent)
      --head.missing;
    else if (bounded && head.ring >= before + slot)
      ++head.ring;
  }
  const size_t at = static_cast<size_t>(slot);
  open.pages.write(slot, key, value);
  open.scores[at] = score;
  open.positions[at] = position;
  head.links[static_cast<size_t>(position)] = kLinkEnd;
  w.note({ZS_UNEVICT, ZS_BY_REQUEST, position, before + slot, -1, score});
}

}  // namespace

int32_t cache_evict(zs_cache& cache, int32_t position, const uint8_t* heads) {
  return ask(cache, {"leave", "has no slot of its own", kGone, position, heads}, [&](Group& group) {
    int32_t done = 0;
    for (HeadWork& w : group) {
      const Standing found = find(*w.head, position);
      if (found.place != Place::kOwn) continue;
      evict(cache, w, position, found.slot);
      ++done;
    }
    return done;
  });
}

int32_t cache_pin(zs_cache& cache, int32_t position, const uint8_t* heads) {
  if (!acts_always(cache) && cache.layers[0].seq_len)
    fail(ZS_INVALID, "under %s nobody leaves after the prompt, so that there is nothing to pin a token against",
         cache.policy->hooks->name);
  return ask(cache, {"stay", "has no slot of its own", kGone, position, heads}, [&](Group& group) {
    int32_t done = 0;
    for (const HeadWork& w : group) {
      const Standing found = find(*w.head, position);
      if (found.place != Place::kOwn) continue;
      if (!w.head->is_pinned(position)) pin(w, position, found.slot);
      ++done;
    }
    return done;
  });
}

int32_t cache_unevict(zs_cache& cache, int32_t position, const uint8_t* heads, const float* keys, const float* values) {
  if (cache.needs.rotates)
    fail(ZS_UNSUPPORTED, "%s keeps its tokens in order within the cache: none can come back between them",
         cache.policy->hooks->name);
  const Asked asked{"come back", "was not dropped", "", position, heads};
  const auto gone_of = [&](const Group& group) {
    Group gone;
    for (const HeadWork& w : group) {
      const Place place = find(*w.head, position).place;
      if (place == Place::kUnknown)
        fail(ZS_INVALID, "where position %d went is not known: create the cache with origins", position);
      if (place == Place::kMerged)
        fail(ZS_INVALID,
             "position %d is part of a merged slot in layer %d, kv head %d, and cannot be taken out of it: ask other "
             "heads",
             position, w.layer, w.kv_head);
      if (place == Place::kGone) gone.push_back(w);
    }
    return gone;
  };
  // Of all heads, before the first of them changes.
  const auto count = [&](Group& group) { return static_cast<int32_t>(gone_of(group).size()); };
  const int32_t due = ask(cache, asked, count, true);
  if (!keys) return due;
  return ask(cache, asked, [&](Group& group) {
    Group gone = gone_of(group);
    const float* const choice =
        gone.size() > 1 ? summed_scores(cache, gone.data(), static_cast<int32_t>(gone.size())) : nullptr;
    for (HeadWork& w : gone) {
      if (choice) w.choice = choice;
      const int64_t at =
          (static_cast<int64_t>(w.layer) * cache.config.kv_heads + w.kv_head) * int64_t{cache.config.head_dim};
      bring_back(cache, w, asked, keys + at, values + at);
    }
    return static_cast<int32_t>(gone.size());
  });
}

}  // namespace zs

extern "C" {

zs_status zs_cache_evict(zs_cache* cache, int32_t position, const uint8_t* heads, int32_t* done) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    const std::lock_guard<std::mutex> lock(cache->engine->busy);
    const int32_t count = zs::cache_evict(*cache, position, heads);
    if (done) *done = count;
  });
}

zs_status zs_cache_pin(zs_cache* cache, int32_t position, const uint8_t* heads, int32_t* done) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    const std::lock_guard<std::mutex> lock(cache->engine->busy);
    const int32_t count = zs::cache_pin(*cache, position, heads);
    if (done) *done = count;
  });
}

zs_status zs_cache_unevict(zs_cache* cache, int32_t position, const uint8_t* heads, const float* keys,
                           const float* values, int32_t* done) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    if (!keys != !values)
      zs::fail(ZS_INVALID, "keys or values are NULL: expected both [layers][kv_heads][head_dim], or none");
    const std::lock_guard<std::mutex> lock(cache->engine->busy);
    const int32_t count = zs::cache_unevict(*cache, position, heads, keys, values);
    if (done) *done = count;
  });
}

}  // extern "C"
