// The list of policies.
#include "reference/policy.h"

#include <stdexcept>

namespace reference {

#define POLICY(NAME, MAKE) std::unique_ptr<Policy> MAKE(const Asked&);
#include "reference/policies.inc"
#undef POLICY

std::unique_ptr<Policy> make(const Asked& asked) {
#define POLICY(NAME, MAKE) \
  if (asked.name == NAME) return MAKE(asked);
#include "reference/policies.inc"
#undef POLICY
  throw std::invalid_argument("the reference knows no policy " + asked.name);
}

}  // namespace reference
