// The list of policies, and what must hold of any zs_policy before anybody reads it.
#include "core/policy.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "core/error.h"
namespace zs {
enum { kBefore = __COUNTER__ };
}
#include "policies/policies.inc"

namespace zs {
namespace {

constexpr int kPolicyCount = __COUNTER__ - kBefore - 1;
template <int... I>
const PolicyHooks* listed(std::integer_sequence<int, I...>) {
  static const PolicyHooks list[] = {Listed<kBefore + 1 + I>::hooks()...};
  return list;
}
const PolicyHooks* policies() { return listed(std::make_integer_sequence<int, kPolicyCount>()); }

constexpr int kMostWrapped = 4;

const PolicyHooks& named(const char* name) {
  if (!name) fail(ZS_INVALID, "policy.name is NULL: expected one of the list (zs_policy_describe)");
  std::string list;
  for (int32_t i = 0; i < kPolicyCount; ++i) {
    const PolicyHooks& hooks = policies()[i];
    if (!std::strcmp(hooks.name, name)) return hooks;
    list += (list.empty() ? "" : ", ") + std::string(hooks.name);
  }
  fail(ZS_INVALID, "no policy is called \"%.60s\"; there are: %s", name, list.c_str());
}

std::shared_ptr<const Policy> checked(const zs_policy* p, int depth) {
  if (!p) fail(ZS_INVALID, "policy is NULL: expected a zs_policy");
  if (p->struct_bytes != static_cast<int32_t>(sizeof(zs_policy)))
    fail(ZS_INVALID, "policy.struct_bytes is %d, this library's zs_policy has %zu: compile against its header",
         p->struct_bytes, sizeof(zs_policy));
  auto policy = std::make_shared<Policy>();
  const PolicyHooks& hooks = named(p->name);
  policy->hooks = &hooks;
  if (p->parameter_bytes != hooks.parameter_bytes)
    fail(ZS_INVALID, "policy.parameter_bytes is %d, the parameters of %s have %d: fill the block as it is described",
         p->parameter_bytes, hooks.name, hooks.parameter_bytes);
  if (hooks.parameter_bytes && !p->parameters)
    fail(ZS_INVALID, "policy.parameters is NULL: expected the %d bytes of %s's parameters", hooks.parameter_bytes,
         hooks.name);
  policy->block.resize((static_cast<size_t>(hooks.parameter_bytes) + sizeof(double) - 1) / sizeof(double));
  if (hooks.parameter_bytes)
    std::memcpy(policy->block.data(), p->parameters, static_cast<size_t>(hooks.parameter_bytes));
  if (hooks.wraps && !p->of) fail(ZS_INVALID, "%s works on another policy: none is given", hooks.name);
  if (!hooks.wraps && p->of) fail(ZS_INVALID, "%s works on no other policy: leave policy.of NULL", hooks.name);
  if (p->of && depth == kMostWrapped) fail(ZS_INVALID, "more than %d policies around one another", kMostWrapped);
  if (p->of) policy->of = checked(p->of, depth + 1);
  in_range("chunk", p->chunk, 1, INT32_MAX);
  policy->chunk = p->of ? policy->of->chunk : p->chunk;
  policy->budget = p->of ? policy->of->budget : p->budget;
  if (hook(*policy, &PolicyHooks::resolve))
    is_share_or_count("budget", policy->budget, false);
  else if (policy->budget != 0)
    fail(ZS_INVALID, "policy.budget is %g: %s has none, give 0", policy->budget, hooks.name);
  if (hooks.check) hooks.check(*policy);
  return policy;
}

}  // namespace

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

std::shared_ptr<const Policy> checked_policy(const zs_policy* policy) { return checked(policy, 0); }

zs_resolved resolved_of(const Policy& policy, double budget, int64_t tokens) {
  const Policy* owner = &policy;
  const auto resolve = hook(policy, &PolicyHooks::resolve, &owner);
  zs_resolved resolved = resolve ? resolve(*owner, budget, tokens) : zs_resolved{};
  resolved.window = needs_of(policy, tokens).rows;
  return resolved;
}

void HeadWork::write(uint8_t action, uint8_t reason, int32_t position, int32_t slot, int32_t target, int32_t rank,
                     float score, float threshold, float similarity, float target_score, float weight,
                     float target_weight) const {
  Event& event = events->emplace_back();
  event.action = action, event.reason = reason;
  event.position = position, event.slot = slot, event.target = target;
  event.rank = rank, event.threshold = threshold, event.similarity = similarity;
  event.score = scored ? score : kNone, event.target_score = scored ? target_score : kNone;
  event.weight = weight, event.target_weight = target_weight;
  event.step = static_cast<int32_t>(step);
  event.layer = static_cast<uint16_t>(layer);
  event.kv_head = static_cast<uint16_t>(kv_head);
}

}  // namespace zs

extern "C" {

int32_t zs_policy_count(void) { return zs::kPolicyCount; }

zs_status zs_policy_describe(int32_t index, zs_policy_info* out) {
  return zs::guard([&] {
    if (!out) zs::fail(ZS_INVALID, "out is NULL: expected a zs_policy_info to fill");
    if (index < 0 || index >= zs::kPolicyCount)
      zs::fail(ZS_INVALID, "index is %d: expected 0 to %d", index, zs::kPolicyCount - 1);
    const zs::PolicyHooks& hooks = zs::policies()[index];
    *out = {hooks.name, hooks.parameter_bytes, hooks.wraps, hooks.fields, hooks.field_count};
  });
}

zs_status zs_policy_resolve(const zs_policy* policy, int64_t tokens, zs_resolved* out) {
  return zs::guard([&] {
    const auto checked = zs::checked_policy(policy);
    if (!out) zs::fail(ZS_INVALID, "out is NULL: expected a zs_resolved to fill");
    if (tokens < 1) zs::fail(ZS_INVALID, "tokens is %lld: expected at least 1", static_cast<long long>(tokens));
    *out = zs::resolved_of(*checked, checked->budget, tokens);
  });
}

zs_status zs_policy_traits(const zs_policy* policy, zs_traits* out) {
  return zs::guard([&] {
    const auto checked = zs::checked_policy(policy);
    if (!out) zs::fail(ZS_INVALID, "out is NULL: expected a zs_traits to fill");
    const zs::Needs needs = zs::needs_of(*checked, 1);
    const bool endless = needs.rotates && zs::hook(*checked, &zs::PolicyHooks::positions);
    *out = {std::max(needs.acts, needs.alters),
            needs.rotates,
            endless,
            needs.stride,
            zs::hook(*checked, &zs::PolicyHooks::weights) != nullptr,
            needs.alters != ZS_ACTS_NEVER};
  });
}

}  // extern "C"
