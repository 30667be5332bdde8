// AdaKV (arXiv 2407.11550), around another policy: after the prompt of a layer the context slots of all its kv heads go to the highest
// scores, whichever head they are in, once each head has its floor. Budgets are fixed from then on; what is always kept stays per head.
#ifndef ZSLAB_POLICIES_ADAKV_H
#define ZSLAB_POLICIES_ADAKV_H

#include "policies/regions.h"

namespace zs {
namespace adakv {

struct Parameters {
  double floor;  // share of its budget that each head is sure of, in [0, 1]; what is always kept counts
};

struct Candidate {
  float score;
  int32_t head, token;
  // Higher scores first, then the lower head, then the lower position; not-a-number last.
  bool operator<(const Candidate& other) const {
    const bool number = score == score, other_number = other.score == other.score;
    if (number != other_number) return number;
    if (number && score != other.score) return score > other.score;
    return head != other.head ? head < other.head : token < other.token;
  }
};

inline void allocate(HeadWork* heads, int32_t count) {
  const double floor = heads[0].own<Parameters>().floor;
  const Policy* inner = nullptr;
  const auto contest = hook(*heads[0].policy->of, &PolicyHooks::contest, &inner);
  std::vector<Candidate> pool;
  std::vector<int32_t> won(static_cast<size_t>(count));
  int64_t places = 0;
  for (int32_t g = 0; g < count; ++g) {
    HeadWork w = heads[g];
    w.policy = inner;
    const zs_resolved& r = w.sizes();
    if (w.head->open().slots() <= r.budget) return;  // nothing has to go
    const Contest c = contest(w);
    std::vector<Candidate> own;
    for (int32_t t = c.from; t < c.to; ++t) own.push_back({w.choice[t], g, t});
    std::sort(own.begin(), own.end());
    const int64_t sure = regions::share(floor, r.budget) - (r.budget - c.places);
    const int32_t least = static_cast<int32_t>(std::clamp<int64_t>(sure, std::min(c.least, c.places), c.places));
    won[static_cast<size_t>(g)] = least;
    pool.insert(pool.end(), own.begin() + least, own.end());
    places += c.places - least;
  }
  std::nth_element(pool.begin(), pool.begin() + places, pool.end());
  for (int64_t i = 0; i < places; ++i) ++won[static_cast<size_t>(pool[static_cast<size_t>(i)].head)];
  for (int32_t g = 0; g < count; ++g) {
    zs_resolved& r = heads[g].head->sizes;
    r.budget += won[static_cast<size_t>(g)] - r.context;
    r.context = won[static_cast<size_t>(g)];
  }
}

inline PolicyHooks hooks() {
  static const zs_field fields[] = {ZS_FIELD(Parameters, floor, "floor")};
  PolicyHooks hooks{};
  describe<Parameters>(hooks, "adakv", fields);
  hooks.wraps = true;
  hooks.single = true;
  hooks.check = [](const Policy& policy) {
    const double floor = policy.own<Parameters>().floor;
    if (!(floor >= 0 && floor <= 1)) fail(ZS_INVALID, "policy.floor is %g: expected a share from 0 to 1", floor);
    const char* const inner = policy.of->hooks->name;
    const Needs needs = needs_of(*policy.of, 1);
    const char* const advice = "work on one whose heads choose by scores of their own, such as snapkv";
    if (policy.of->hooks->wraps)
      fail(ZS_INVALID, "adakv cannot work on %s, which is a wrapper itself: %s", inner, advice);
    if (needs.acts == ZS_ACTS_NEVER)
      fail(ZS_INVALID, "adakv cannot work on %s, which keeps every token: %s", inner, advice);
    if (needs.granularity != ZS_PER_HEAD)
      fail(ZS_INVALID, "adakv cannot work on %s as it is set, since the heads of a layer keep the same positions: %s",
           inner, advice);
    if (!policy.of->hooks->contest || (!needs.scores && !policy.of->hooks->score))
      fail(ZS_INVALID, "adakv cannot work on %s as it is set, which keeps no scores: %s", inner, advice);
  };
  hooks.allocate = allocate;
  hooks.device = [](const Policy& policy, DeviceRule& rule) {  // after the prompt, as if it were not there
    return policy.of->hooks->device && policy.of->hooks->device(*policy.of, rule);
  };
  return hooks;
}

}  // namespace adakv
ZS_POLICY(adakv)
}  // namespace zs
#endif
