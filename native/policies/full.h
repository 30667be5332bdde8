// The full cache: every token stays. Scores are kept as the policy says, so that a fork can go on under another one.
#ifndef ZSLAB_POLICIES_FULL_H
#define ZSLAB_POLICIES_FULL_H

#include "core/policy.h"

namespace zs {
namespace full {

inline zs_resolved resolve(const zs_policy& policy, int64_t tokens) {
  zs_resolved resolved{};
  resolved.window = window_of(policy, tokens);
  return resolved;
}

inline PolicyHooks hooks() { return {"full", resolve, nullptr, nullptr, nullptr, nullptr}; }

}  // namespace full
}  // namespace zs
#endif
