// The full cache: every token stays. Scores are kept where asked for, so that a fork can go on under another policy.
#ifndef ZSLAB_POLICIES_FULL_H
#define ZSLAB_POLICIES_FULL_H

#include "core/device_rule.h"
#include "policies/history.h"

namespace zs {
namespace full {

struct Parameters {
  History history;
};

inline PolicyHooks hooks() {
  static const zs_field fields[] = {ZS_HISTORY_FIELDS(Parameters)};
  PolicyHooks hooks{};
  describe<Parameters>(hooks, "full", fields);
  hooks.check = [](const Policy& policy) { check(policy.own<Parameters>().history); };
  hooks.needs = [](const Policy& policy, int64_t tokens) { return needs(policy.own<Parameters>().history, tokens); };
  hooks.device = [](const Policy&, DeviceRule&) { return true; };
  hooks.changeable = {"decay"};
  hooks.single = true;
  return hooks;
}

}  // namespace full
ZS_POLICY(full)
}  // namespace zs
#endif
