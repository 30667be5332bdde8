// The list of policies, and what must hold of any zs_policy before anybody reads it.
#include "core/policy.h"

#include <cmath>

#include "core/error.h"
#include "policies/full.h"
#include "policies/zsmerge.h"

namespace zs {
namespace {

const PolicyHooks kPolicies[] = {
#define ZS_POLICY(KIND, NAME) NAME::hooks(),
#include "policies/policies.inc"
#undef ZS_POLICY
};
enum Order {
#define ZS_POLICY(KIND, NAME) kAt_##NAME,
#include "policies/policies.inc"
#undef ZS_POLICY
  kPolicyCount
};
#define ZS_POLICY(KIND, NAME) \
  static_assert(static_cast<int>(KIND) == static_cast<int>(kAt_##NAME), "policies.inc: order of " #NAME);
#include "policies/policies.inc"
#undef ZS_POLICY

void in_range(const char* name, int64_t value, int64_t least, int64_t most) {
  if (value < least || value > most)
    fail(ZS_INVALID, "policy.%s is %lld: expected %lld to %lld", name, static_cast<long long>(value),
         static_cast<long long>(least), static_cast<long long>(most));
}

void is_share_or_count(const char* name, double value, bool zero) {
  const bool fine = std::isfinite(value) && value >= 0 && (zero || value > 0) && value <= INT32_MAX &&
                    (value < 1 || value == std::trunc(value));
  if (!fine)
    fail(ZS_INVALID, "policy.%s is %g: expected a share %s 0 and below 1, or a whole count of slots", name, value,
         zero ? "of at least" : "above");
}

}  // namespace

const PolicyHooks& hooks_of(const zs_policy& policy) { return kPolicies[policy.kind]; }

const PolicyHooks& checked_policy(const zs_policy* p) {
  if (!p) fail(ZS_INVALID, "policy is NULL: expected a zs_policy");
  if (p->struct_bytes != static_cast<int32_t>(sizeof(zs_policy)))
    fail(ZS_INVALID, "policy.struct_bytes is %d, this library's zs_policy has %zu: compile against its header",
         p->struct_bytes, sizeof(zs_policy));
  in_range("kind", p->kind, 0, kPolicyCount - 1);
  in_range("history", p->history, 0, 1);
  if (!(p->decay > 0 && p->decay <= 1))
    fail(ZS_INVALID, "policy.decay is %g: expected a number above 0 and up to 1", static_cast<double>(p->decay));
  in_range("window", p->window, -1, INT32_MAX);
  in_range("chunk", p->chunk, 1, INT32_MAX);
  if (p->kind == ZS_POLICY_FULL) return hooks_of(*p);
  is_share_or_count("budget", p->budget, false);
  is_share_or_count("recent", p->recent, false);
  is_share_or_count("residual", p->residual, true);
  in_range("sink", p->sink, 0, INT32_MAX);
  in_range("least_budget", p->least_budget, 0, INT32_MAX);
  in_range("least_recent", p->least_recent, 0, INT32_MAX);
  in_range("least_residual", p->least_residual, 0, INT32_MAX);
  in_range("raise_counts", p->raise_counts, 0, 1);
  if (!std::isfinite(p->alpha))
    fail(ZS_INVALID, "policy.alpha is %g: expected a finite number", static_cast<double>(p->alpha));
  in_range("similarity", p->similarity, 0, 2);
  in_range("score_merge", p->score_merge, 0, 1);
  in_range("init", p->init, 0, 1);
  in_range("underfull", p->underfull, 0, 1);
  in_range("granularity", p->granularity, 0, 2);
  in_range("aggregate", p->aggregate, 0, 2);
  if (p->granularity != ZS_PER_HEAD)
    fail(ZS_UNSUPPORTED, "policy.granularity %d is not built: use 0 (each kv head chooses)", p->granularity);
  if (p->aggregate != ZS_MEAN)
    fail(ZS_UNSUPPORTED, "policy.aggregate %d is not built: use 0 (the weighted mean)", p->aggregate);
  return hooks_of(*p);
}

int32_t window_of(const zs_policy& policy, int64_t tokens) {
  if (!policy.history) return 0;
  const int64_t most = tokens > INT32_MAX ? INT32_MAX : tokens;
  if (policy.window > 0) return static_cast<int32_t>(policy.window < most ? policy.window : most);
  if (policy.window < 0 || policy.decay == 1) return static_cast<int32_t>(most);
  double power = 1;
  int64_t rows = 0;
  while (power >= 1e-7 && rows < most) {
    power *= static_cast<double>(policy.decay);
    ++rows;
  }
  return static_cast<int32_t>(rows);
}

void HeadWork::note(zs_action action, int32_t position, int32_t slot, int32_t target, float score, float similarity,
                    float weight, float target_weight) const {
  Counters& counters = head->counters;
  switch (action) {
    case ZS_ADMIT:
      ++counters.admitted;
      break;
    case ZS_LEAVE:
      ++counters.left;
      break;
    case ZS_MERGE:
      ++counters.merged;
      break;
    case ZS_DROP:
      ++counters.dropped;
      break;
  }
  if (!events) return;
  events->push_back({static_cast<int32_t>(step), layer, kv_head, action, position, slot, target,
                     history() ? score : kNone, similarity, weight, target_weight});
}

}  // namespace zs

extern "C" zs_status zs_policy_resolve(const zs_policy* policy, int64_t tokens, zs_resolved* out) {
  return zs::guard([&] {
    const zs::PolicyHooks& hooks = zs::checked_policy(policy);
    if (!out) zs::fail(ZS_INVALID, "out is NULL: expected a zs_resolved to fill");
    if (tokens < 1) zs::fail(ZS_INVALID, "tokens is %lld: expected at least 1", static_cast<long long>(tokens));
    *out = hooks.resolve(*policy, tokens);
  });
}
