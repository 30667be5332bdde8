// A policy of the caller's own: who leaves is asked of a function of the caller's, once per layer and step for all heads together; what
// leaves is dropped. Whatever it does, the cache stays whole: an answer that makes no sense ends the call.
#ifndef ZSLAB_POLICIES_OWN_H
#define ZSLAB_POLICIES_OWN_H

#include "policies/history.h"
#include "policies/regions.h"

namespace zs {
namespace own {

struct Parameters {
  int64_t choose, context;  // a zs_own_choose and what it is called with, as numbers
  History history;          // the scores that it is told
  int32_t acts;             // zs_acts: on prompts, or always
  int32_t keys, values;     // 1 = it is told them
};

inline void choose(HeadWork* heads, int32_t count) {
  const Parameters& p = heads[0].own<Parameters>();
  std::vector<int32_t> slots, excess, positions;
  std::vector<float> scores, keys, values;
  const int32_t d = heads[0].head->open().pages.geometry().d;
  int64_t all = 0, leave = 0;
  for (int32_t g = 0; g < count; ++g) {
    const Segment& open = heads[g].head->open();
    slots.push_back(open.slots());
    excess.push_back(open.slots() - heads[g].sizes().budget);
    positions.insert(positions.end(), open.positions.begin(), open.positions.begin() + open.slots());
    scores.insert(scores.end(), open.scores.begin(), open.scores.begin() + open.slots());
    all += open.slots(), leave += excess.back();
  }
  keys.resize(static_cast<size_t>(p.keys ? all * d : 0)), values.resize(static_cast<size_t>(p.values ? all * d : 0));
  for (int64_t g = 0, at = 0; g < count; ++g)
    for (int32_t slot = 0; (p.keys || p.values) && slot < slots[static_cast<size_t>(g)]; ++slot, ++at)
      heads[g].head->open().pages.read(slot, p.keys ? keys.data() + at * d : nullptr,
                                       p.values ? values.data() + at * d : nullptr);
  std::vector<int32_t> leaving(static_cast<size_t>(leave), -1);
  const zs_own_view view{heads[0].layer,
                         count,
                         d,
                         heads[0].step,
                         slots.data(),
                         excess.data(),
                         positions.data(),
                         scores.data(),
                         p.keys ? keys.data() : nullptr,
                         p.values ? values.data() : nullptr};
  const auto f = reinterpret_cast<zs_own_choose>(static_cast<intptr_t>(p.choose));
  const int64_t failed = f(reinterpret_cast<void*>(static_cast<intptr_t>(p.context)), &view, leaving.data());
  if (failed) fail(ZS_HOOK, "%lld", static_cast<long long>(failed));
  auto at = leaving.begin();
  for (int32_t g = 0; g < count; ++g) {
    std::vector<int32_t>& own = heads[g].leaving;
    own.assign(at, at + excess[static_cast<size_t>(g)]);
    at += excess[static_cast<size_t>(g)];
    std::sort(own.begin(), own.end());
    const bool fits = own.front() >= 0 && own.back() < slots[static_cast<size_t>(g)] &&
                      std::adjacent_find(own.begin(), own.end()) == own.end();
    if (!fits)
      fail(ZS_INVALID,
           "the policy of the caller's own chose in layer %d, kv head %d, step %lld: expected %d different "
           "slots from 0 to %d",
           heads[g].layer, g, static_cast<long long>(heads[g].step), excess[static_cast<size_t>(g)],
           slots[static_cast<size_t>(g)] - 1);
  }
}

inline void gone(const HeadWork& w, HeadWork& to, int32_t slot) {
  const regions::Token token = regions::token(w, slot);
  to.note({ZS_DROP, ZS_BY_CHOICE, token.position, token.slot, -1, token.score});
  to.head->dropped(token.position);
}

// A prompt: the others stay, in order of position.
inline void compress(HeadWork& w) {
  const Segment& old = w.head->open();
  Head made = w.head->emptied();
  HeadWork to = w;
  to.head = &made;
  Segment& open = made.open();
  open.reserve(w.sizes().budget + 1);
  for (int32_t slot : w.leaving) gone(w, to, slot);
  open.resize(w.sizes().budget);
  for (int32_t t = 0, at = 0; t < old.slots(); ++t) {
    if (std::binary_search(w.leaving.begin(), w.leaving.end(), t)) continue;
    const size_t i = static_cast<size_t>(at);
    open.pages.copy(old.pages, t, at++);
    open.scores[i] = old.scores[static_cast<size_t>(t)];
    open.positions[i] = old.positions[static_cast<size_t>(t)];
    to.note_admit(open.positions[i], static_cast<int32_t>(i), open.scores[i]);
  }
  *w.head = std::move(made);
}

inline void evict(HeadWork& w) {
  gone(w, w, w.leaving.front());
  regions::place(w, w.leaving.front());
}

inline PolicyHooks hooks() {
  static const zs_field fields[] = {ZS_FIELD(Parameters, choose, "choose"), ZS_FIELD(Parameters, context, "context"),
                                    ZS_HISTORY_FIELDS(Parameters),          ZS_FIELD(Parameters, acts, "acts"),
                                    ZS_FIELD(Parameters, keys, "keys"),     ZS_FIELD(Parameters, values, "values")};
  PolicyHooks hooks{};
  describe<Parameters>(hooks, "own", fields);
  hooks.check = [](const Policy& policy) {
    const Parameters& p = policy.own<Parameters>();
    if (!p.choose) fail(ZS_INVALID, "policy.choose is 0: expected the address of a zs_own_choose");
    check(p.history);
    in_range("acts", p.acts, ZS_ACTS_PROMPT, ZS_ACTS_ALWAYS);
    in_range("keys", p.keys, 0, 1);
    in_range("values", p.values, 0, 1);
  };
  hooks.needs = [](const Policy& policy, int64_t tokens) {
    const Parameters& p = policy.own<Parameters>();
    Needs asked = needs(p.history, tokens);
    asked.acts = static_cast<zs_acts>(p.acts);
    asked.granularity = ZS_PER_LAYER;  // heads are asked together
    asked.may_fail = true;
    asked.upkeep = asked.acts == ZS_ACTS_ALWAYS;
    return asked;
  };
  hooks.resolve = [](const Policy&, double budget, int64_t tokens) {
    regions::Asked asked;
    asked.least_budget = regions::kLeastBudget;
    asked.needed_recent = 0;
    return regions::resolve(asked, budget, tokens);
  };
  hooks.choose = choose;
  hooks.compress = compress;
  hooks.compress_underfull = [](const Policy&) { return false; };
  hooks.evict = evict;
  return hooks;
}

}  // namespace own
ZS_POLICY(own)
}  // namespace zs
#endif
