// StreamingLLM (arXiv 2309.17453): the first tokens and the newest; everything between is dropped. Keys keep their rotation.
#ifndef ZSLAB_POLICIES_STREAMING_H
#define ZSLAB_POLICIES_STREAMING_H

#include "policies/regions.h"

namespace zs {
namespace streaming {

struct Parameters {
  int32_t sink;  // first tokens that never leave
};

inline PolicyHooks hooks() {
  static const zs_field fields[] = {ZS_FIELD(Parameters, sink, "sink")};
  PolicyHooks hooks{};
  describe<Parameters>(hooks, "streaming", fields);
  hooks.check = [](const Policy& policy) { in_range("sink", policy.own<Parameters>().sink, 0, INT32_MAX); };
  hooks.needs = [](const Policy&, int64_t) {
    Needs asked;
    asked.acts = ZS_ACTS_ALWAYS;
    return asked;
  };
  hooks.resolve = [](const Policy& policy, double budget, int64_t tokens) {
    regions::Asked asked;
    asked.recent = 1;  // without scores the oldest leaves first, so who is protected makes no difference
    asked.sink = policy.own<Parameters>().sink;
    asked.least_budget = regions::kLeastBudget;
    return regions::resolve(asked, budget, tokens);
  };
  hooks.compress = regions::compress_and_drop;
  hooks.start = regions::start;
  hooks.evict = regions::evict_and_drop;
  return hooks;
}

}  // namespace streaming
ZS_POLICY(streaming)
}  // namespace zs
#endif
