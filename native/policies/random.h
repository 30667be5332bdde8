// Random eviction, the baseline that every method must beat: each token of a head draws a priority, and those with the highest stay, at any
// time a uniformly random part of all tokens seen. The draw depends on seed, layer, kv head and position alone.
#ifndef ZSLAB_POLICIES_RANDOM_H
#define ZSLAB_POLICIES_RANDOM_H

#include "policies/filling.h"
#include "policies/regions.h"

namespace zs {
namespace random {

struct Parameters {
  double recent;  // newest tokens that are no candidates, the incoming one included: slots, or share of budget
  int64_t seed;
};

// splitmix64
inline uint64_t mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// In [0, 1), a multiple of 2^-24.
inline float priority(int64_t seed, int32_t layer, int32_t kv_head, int32_t position) {
  uint64_t x = mixed(static_cast<uint64_t>(seed));
  for (int32_t part : {layer, kv_head, position}) x = mixed(x ^ static_cast<uint32_t>(part));
  return static_cast<float>(x >> 40) * 0x1p-24f;
}

inline PolicyHooks hooks() {
  static const zs_field fields[] = {ZS_FIELD(Parameters, recent, "recent"), ZS_FIELD(Parameters, seed, "seed")};
  PolicyHooks hooks{};
  describe<Parameters>(hooks, "random", fields);
  hooks.check = [](const Policy& policy) { is_share_or_count("recent", policy.own<Parameters>().recent, false); };
  hooks.needs = [](const Policy&, int64_t) {
    Needs needs;
    needs.acts = ZS_ACTS_ALWAYS;
    return needs;
  };
  hooks.resolve = [](const Policy& policy, double budget, int64_t tokens) {
    regions::Asked asked;
    asked.recent = policy.own<Parameters>().recent;
    asked.least_budget = asked.least_recent = 1;
    asked.needed_context = 0;
    return regions::resolve(asked, budget, tokens);
  };
  hooks.score = [](HeadWork& w, int32_t from, int32_t to) {
    Segment& open = w.head->open();
    for (int32_t t = from; t < to; ++t)
      open.scores[static_cast<size_t>(t)] =
          priority(w.own<Parameters>().seed, w.layer, w.kv_head, open.positions[static_cast<size_t>(t)]);
  };
  hooks.contest = [](const HeadWork& w) { return regions::contest(w, 0); };
  hooks.compress = regions::compress_and_drop;
  hooks.start = regions::start;
  hooks.evict = regions::evict_and_drop;
  hooks.make_room = regions::make_room_by_drop;
  hooks.device = regions::device;
  hooks.fill = regions::fill;
  hooks.single = true;
  return hooks;
}

}  // namespace random
ZS_POLICY(random)
}  // namespace zs
#endif
