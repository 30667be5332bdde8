// TOVA (arXiv 2401.06104): at every step the token that the newest query, averaged over all heads of a layer, looks at least leaves, in all
// heads of the layer alike; it may be the new one. Variant kvpress: of the prompt alone, and the last token always stays.
#ifndef ZSLAB_POLICIES_TOVA_H
#define ZSLAB_POLICIES_TOVA_H

#include "policies/filling.h"
#include "policies/regions.h"

namespace zs {
namespace tova {

enum Variant { kOfficial = 0, kKvpress = 1 };

struct Parameters {
  int32_t variant;
};

inline PolicyHooks hooks() {
  static const zs_field fields[] = {ZS_FIELD(Parameters, variant, "variant")};
  PolicyHooks hooks{};
  describe<Parameters>(hooks, "tova", fields);
  hooks.check = [](const Policy& policy) { in_range("variant", policy.own<Parameters>().variant, 0, kKvpress); };
  hooks.needs = [](const Policy& policy, int64_t) {
    Needs needs;
    needs.upkeep = policy.own<Parameters>().variant == kOfficial;
    needs.acts = needs.upkeep ? ZS_ACTS_ALWAYS : ZS_ACTS_PROMPT;
    needs.granularity = ZS_PER_LAYER;  // sums over kv heads order tokens as means over heads do
    needs.scores = true;
    needs.decay = 0;  // the newest query alone
    needs.rows = 1;
    return needs;
  };
  hooks.resolve = [](const Policy& policy, double budget, int64_t tokens) {
    regions::Asked asked;
    asked.recent = policy.own<Parameters>().variant == kKvpress ? 1 : 0;
    asked.least_budget = 1;
    asked.needed_recent = asked.needed_context = 0;
    return regions::resolve(asked, budget, tokens);
  };
  hooks.compress = regions::compress_and_drop;
  hooks.start = regions::start;
  hooks.evict = regions::evict_and_drop;
  hooks.make_room = regions::make_room_by_drop;
  hooks.device = regions::device;
  hooks.fill = regions::fill;
  hooks.single = true;
  return hooks;
}

}  // namespace tova
ZS_POLICY(tova)
}  // namespace zs
#endif
