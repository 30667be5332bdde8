// StreamingLLM (arXiv 2309.17453): the first tokens and the newest; everything between is dropped. As published, keys are kept before
// rotation and stand at places within the cache, 0 to slots - 1, so that a text may go on for ever; else they keep their own positions.
#ifndef ZSLAB_POLICIES_STREAMING_H
#define ZSLAB_POLICIES_STREAMING_H

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "policies/filling.h"
#include "policies/regions.h"

namespace zs {
namespace streaming {

struct Parameters {
  int32_t sink;       // first tokens that never leave
  int32_t positions;  // 0 = the tokens' own, 1 = within the cache
  int32_t stride;     // tokens of a prompt read at a time; 0 = the whole prompt
};

// A permutation of [0, count) becomes its inverse, in place.
inline void invert(int32_t* order, int32_t count) {
  for (int32_t start = 0; start < count; ++start) {
    if (order[start] < 0) continue;  // done: ~ of what it is to be
    int32_t from = start, to = order[start];
    while (to != start) from = std::exchange(to, std::exchange(order[to], ~from));
    order[start] = ~from;
  }
  for (int32_t i = 0; i < count; ++i) order[i] = ~order[i];
}

// Slots stand in the order of their tokens, as many places as there are: sink, then from the oldest on. Without scores these are a ring,
// until some are asked to stay.
inline int32_t in_order(HeadWork& w, int32_t* places) {
  const Segment& open = w.head->open();
  const int32_t slots = open.slots(), sink = std::min(w.sizes().sink, slots);
  const int32_t* const positions = open.positions.data();
  int32_t oldest = sink, falls = 0;
  for (int32_t slot = sink + 1; slot < slots; ++slot)
    if (positions[slot] < positions[slot - 1]) oldest = slot, ++falls;
  if (falls > 1 || (falls == 1 && positions[slots - 1] > positions[sink])) {
    std::iota(places, places + slots, 0);
    std::sort(places, places + slots, [&](int32_t a, int32_t b) { return positions[a] < positions[b]; });
    invert(places, slots);
    return slots;
  }
  for (int32_t slot = 0; slot < slots; ++slot)
    places[slot] = slot < sink ? slot : slot < oldest ? slot + slots - oldest : slot - oldest + sink;
  return slots;
}

inline PolicyHooks hooks() {
  static const zs_field fields[] = {ZS_FIELD(Parameters, sink, "sink"), ZS_FIELD(Parameters, positions, "positions"),
                                    ZS_FIELD(Parameters, stride, "stride")};
  PolicyHooks hooks{};
  describe<Parameters>(hooks, "streaming", fields);
  hooks.check = [](const Policy& policy) {
    const Parameters& p = policy.own<Parameters>();
    in_range("sink", p.sink, 0, INT32_MAX);
    in_range("positions", p.positions, 0, 1);
    in_range("stride", p.stride, 0, INT32_MAX);
    if (p.stride && !p.positions)
      fail(ZS_INVALID,
           "stride is %d beside positions absolute, under which a prompt is read whole: give stride 0, or positions "
           "cache",
           p.stride);
  };
  hooks.needs = [](const Policy& policy, int64_t) {
    Needs asked;
    asked.acts = ZS_ACTS_ALWAYS;
    asked.rotates = policy.own<Parameters>().positions == 1;
    asked.stride = policy.own<Parameters>().stride;
    return asked;
  };
  hooks.resolve = [](const Policy& policy, double budget, int64_t tokens) {
    regions::Asked asked;
    asked.recent = 1;  // without scores the oldest leaves first, so who is protected makes no difference
    asked.sink = policy.own<Parameters>().sink;
    asked.least_budget = regions::kLeastBudget;
    return regions::resolve(asked, budget, tokens);
  };
  hooks.positions = in_order;
  hooks.compress = regions::compress_and_drop;
  hooks.start = regions::start;
  hooks.evict = regions::evict_and_drop;
  hooks.make_room = regions::make_room_by_drop;
  hooks.device = regions::device;
  hooks.fill = regions::fill;
  hooks.single = true;
  return hooks;
}

}  // namespace streaming
ZS_POLICY(streaming)
}  // namespace zs
#endif
