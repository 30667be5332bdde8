// Pure eviction by history (like H2O, arXiv 2306.14048): ZSMerge's choice of who stays; what leaves is dropped.
#ifndef ZSLAB_POLICIES_EVICT_ONLY_H
#define ZSLAB_POLICIES_EVICT_ONLY_H

#include "policies/filling.h"
#include "policies/history.h"
#include "policies/regions.h"

namespace zs {
namespace evict_only {

struct Parameters {
  double recent;  // slots, or share of budget: the newest tokens, never candidates (the incoming one included)
  int32_t sink;   // first tokens that never leave
  History history;
  int32_t
      underfull;  // 0 = a cache that fills up is compressed like a prompt, 1 = it goes on with its slots in order of position
};

inline PolicyHooks hooks() {
  static const zs_field fields[] = {ZS_FIELD(Parameters, recent, "recent"), ZS_FIELD(Parameters, sink, "sink"),
                                    ZS_HISTORY_FIELDS(Parameters), ZS_FIELD(Parameters, underfull, "underfull")};
  PolicyHooks hooks{};
  describe<Parameters>(hooks, "evict-only", fields);
  hooks.check = [](const Policy& policy) {
    const Parameters& p = policy.own<Parameters>();
    is_share_or_count("recent", p.recent, false);
    in_range("sink", p.sink, 0, INT32_MAX);
    check(p.history);
    in_range("underfull", p.underfull, 0, 1);
  };
  hooks.needs = [](const Policy& policy, int64_t tokens) {
    Needs asked = needs(policy.own<Parameters>().history, tokens);
    asked.acts = ZS_ACTS_ALWAYS;
    return asked;
  };
  hooks.resolve = [](const Policy& policy, double budget, int64_t tokens) {
    const Parameters& p = policy.own<Parameters>();
    regions::Asked asked;
    asked.recent = p.recent;
    asked.sink = p.sink;
    asked.least_budget = regions::kLeastBudget;
    asked.least_recent = 1;
    return regions::resolve(asked, budget, tokens);
  };
  hooks.contest = [](const HeadWork& w) { return regions::contest(w, 1); };
  hooks.compress = regions::compress_and_drop;
  hooks.compress_underfull = [](const Policy& policy) { return policy.own<Parameters>().underfull == 0; };
  hooks.start = regions::start;
  hooks.evict = regions::evict_and_drop;
  hooks.changeable = {"decay"};
  hooks.make_room = regions::make_room_by_drop;
  hooks.device = regions::device;
  hooks.fill = regions::fill;
  hooks.single = true;
  return hooks;
}

}  // namespace evict_only
ZS_POLICY(evict_only)
}  // namespace zs
#endif
