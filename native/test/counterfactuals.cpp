// What is asked of a living cache beside its tokens, judged by the reference between random calls: parameters that change, tokens that
// leave, stay or come back.
#include <array>

#include "test/judge.h"
#include "test/runs.h"
#include "zslab/asked.h"

namespace {

using test::Cache;
using test::CacheConfig;
using test::check;
using test::Config;
using test::Engine;
using test::Options;
using test::Random;

// The same policy with other values of what may change.
Options changed(Random& r, Options p) {
  if (p.name == "zsmerge") {
    if (r.one_in(2)) p.alpha = static_cast<float>(2 * r.unit());
    if (r.one_in(2)) p.similarity = r.upto(0, 2);
    if (r.one_in(2)) p.score_merge = r.upto(0, 1);
  }
  // Scores far below what float32 can hold would be weights.
  if (p.name != "streaming" && r.one_in(2))
    p.decay = static_cast<float>(p.aggregate == 1 ? 0.9 + 0.1 * r.unit() : r.unit() * 0.7 + 0.3);
  return p;
}

// Whether a token has a slot of its own in a head of the reference, is part of a merged one, or was dropped.
enum class Where { kOwn, kMerged, kGone };
Where where(const reference::Head& head, int position) {
  for (size_t s = 0; s < head.slots.size(); ++s)
    for (int origin : head.slots[s].origins)
      if (origin == position)
        return head.compressed && static_cast<int64_t>(s) < head.sizes.residual ? Where::kMerged : Where::kOwn;
  return Where::kGone;
}

class Asking : public test::Judge {
 public:
  Asking(const Engine& engine, const Config& config)
      : Judge(engine, config), random_(config.seed * 7 + 3), now_(config.cache.policy) {}
  int64_t changed_ = 0, evicted_ = 0, pinned_ = 0, back_ = 0;

 protected:
  void between(size_t call) override {
    if (call + 1 == config_.calls.size()) return check_pinned();
    for (int i = random_.upto(0, 3); i > 0; --i) {
      const int64_t before = cache_.events().count;
      const size_t noted = reference_.cache.events().size();
      const int what = random_.upto(0, 5);
      if (what == 0) {
        change();
      } else {
        ask(what, before);
      }
      settled(before, noted);
    }
    check_pinned();
  }

 private:
  void change() {
    const std::string& name = now_.name;
    if (name != "zsmerge" && name != "evict-only") return;
    const int64_t before = cache_.events().count;
    now_ = changed(random_, now_);
    test::must(zs_cache_change(cache_.handle, &now_.native()->policy), "change");
    reference_.cache.change(reference::make(*test::asked_of(now_)));
    const zs_events e = cache_.events();
    check(e.count == before + 1 && e.action[before] == ZS_OPTIONS && e.reason[before] == ZS_BY_REQUEST &&
              e.position[before] == reference_.cache.seq_len(0),
          "a change is one event: %s", config_.text().c_str());
    ++changed_;
  }

  // 1, 2: evict, 3: pin, else unevict; of some heads that choose together, or all.
  void ask(int what, int64_t before) {
    using reference::At;
    const CacheConfig& c = config_.cache;
    const auto together = reference_.cache.policy().together();
    const int only = random_.one_in(2) ? random_.upto(0, c.layers * c.kv_heads - 1) : -1;
    std::vector<uint8_t> heads(static_cast<size_t>(c.layers * c.kv_heads), 1);
    std::vector<std::vector<At>> groups;
    for (int l = 0; l < c.layers; ++l)
      for (int g = 0; g < c.kv_heads; ++g) {
        const bool asked =
            only < 0 || together == reference::Together::kModel ||
            (together == reference::Together::kLayer ? l == only / c.kv_heads : l * c.kv_heads + g == only);
        heads[static_cast<size_t>(l * c.kv_heads + g)] = asked;
        if (!asked) continue;
        const bool joins =
            !groups.empty() && (together == reference::Together::kModel ||
                                (together == reference::Together::kLayer && groups.back()[0].layer == l));
        if (joins)
          groups.back().push_back({l, g});
        else
          groups.push_back({{l, g}});
      }
    const int position = position_of(what, groups[0][0]);
    int32_t done = -1;
    if (what >= 4) return bring_back(position, heads, groups, before);
    std::vector<At> own;
    bool fits = true;
    for (const auto& group : groups)
      for (At at : group) {
        const reference::Head& head = reference_.cache.head(at.layer, at.kv_head);
        if (where(head, position) != Where::kOwn) continue;
        own.push_back(at);
        if (what != 3 || head.pinned.count(position)) continue;
        const int64_t first = (head.compressed ? head.sizes.residual : 0) + head.sizes.sink;
        int64_t others = 0;
        bool sink = false;
        for (int64_t s = 0; s < static_cast<int64_t>(head.slots.size()); ++s) {
          const int one = head.slots[static_cast<size_t>(s)].origins[0];
          if (s >= first) others += static_cast<int64_t>(head.pinned.count(one));
          if (s < first && one == position) sink = true;
        }
        fits = fits && (sink || others < head.sizes.context);
      }
    const bool bounded = reference_.cache.policy().acts() == reference::Acts::kAlways;
    const bool fine = !own.empty() && fits && (what != 3 || bounded);
    const zs_status status = what == 3 ? zs_cache_pin(cache_.handle, position, heads.data(), &done)
                                       : zs_cache_evict(cache_.handle, position, heads.data(), &done);
    check(status == (fine ? ZS_OK : ZS_INVALID) && (!fine || done == static_cast<int>(own.size())),
          "%s of %d: status %d (%s), done %d of %zu: %s", what == 3 ? "pin" : "evict", position, status,
          status ? zs_last_error() : "", done, own.size(), config_.text().c_str());
    if (!fine || status) return;
    for (At at : own)
      if (what == 3)
        reference_.cache.pin(at, position);
      else
        reference_.cache.evict(at, position);
    (what == 3 ? pinned_ : evicted_) += static_cast<int64_t>(own.size());
  }

  // One that there may be something to do about: held, or for those that come back dropped.
  int position_of(int what, reference::At at) {
    const reference::Head& head = reference_.cache.head(at.layer, at.kv_head);
    const int seen = static_cast<int>(reference_.cache.seq_len(0));
    for (int i = 0; i < 30; ++i) {
      const int position = random_.upto(0, seen - 1);
      if (where(head, position) == (what >= 4 ? Where::kGone : Where::kOwn)) return position;
    }
    return random_.upto(0, seen - 1);
  }

  void bring_back(int position, const std::vector<uint8_t>& heads,
                  const std::vector<std::vector<reference::At>>& groups, int64_t before) {
    const CacheConfig& c = config_.cache;
    const size_t d = static_cast<size_t>(c.head_dim);
    std::vector<float> keys(heads.size() * d), values(heads.size() * d);
    for (auto* all : {&keys, &values})
      for (float& x : *all) x = random_.element();
    std::vector<std::vector<reference::At>> gone;
    int32_t due = 0, done = -1;
    bool merged = false, too_early = false, crowded = false;
    for (const auto& group : groups) {
      const reference::Head& head = reference_.cache.head(group[0].layer, group[0].kv_head);
      const Where place = where(head, position);
      merged = merged || place == Where::kMerged;
      if (place != Where::kGone) continue;
      gone.push_back(group);
      due += static_cast<int32_t>(group.size());
      const auto& slots = head.slots;
      const auto older = [&](const reference::Slot& slot) { return slot.origins[0] < position; };
      if (!head.compressed && std::count_if(slots.begin(), slots.end(), older) < head.sizes.sink)
        crowded = crowded ||
                  std::count_if(slots.begin() + std::min<int64_t>(head.sizes.sink, static_cast<int64_t>(slots.size())),
                                slots.end(), [&](const auto& slot) {
                                  return head.pinned.count(slot.origins[0]) > 0;
                                }) >= head.sizes.context;
      too_early = too_early || (reference_.cache.policy().acts() == reference::Acts::kAlways && !head.compressed &&
                                static_cast<int64_t>(head.slots.size()) >= head.sizes.budget);
    }
    const zs_status checked = zs_cache_unevict(cache_.handle, position, heads.data(), nullptr, nullptr, &done);
    const int32_t said = done;
    const zs_status status = zs_cache_unevict(cache_.handle, position, heads.data(), keys.data(), values.data(), &done);
    if (reference_.cache.policy().rotates()) return void(check(status == ZS_UNSUPPORTED, "unevict: %d", status));
    const bool fine = !merged && due > 0 && !too_early && !crowded;
    check(checked == ZS_OK ? said == due && !merged : status == checked,
          "whether %d may come back: status %d, %d of %d: %s", position, checked, said, due, config_.text().c_str());
    check(fine ? status == ZS_OK && done == due : status == ZS_INVALID || (too_early && status == ZS_UNSUPPORTED),
          "unevict of %d: status %d (%s), done %d of %d: %s", position, status, status ? zs_last_error() : "", done,
          due, config_.text().c_str());
    if (!fine || status) return;
    read_choices(before, 0, c.layers - 1);
    for (const auto& group : gone) {
      std::vector<std::vector<float>> own_keys, own_values;
      for (reference::At at : group) {
        const size_t from = static_cast<size_t>(at.layer * c.kv_heads + at.kv_head) * d;
        own_keys.emplace_back(keys.begin() + static_cast<int64_t>(from), keys.begin() + static_cast<int64_t>(from + d));
        own_values.emplace_back(values.begin() + static_cast<int64_t>(from),
                                values.begin() + static_cast<int64_t>(from + d));
      }
      reference_.cache.unevict(group, position, own_keys, own_values);
    }
    back_ += due;
  }

  // Whoever is pinned has a slot of its own; what held is told as ever.
  void check_pinned() {
    const CacheConfig& c = config_.cache;
    for (int l = 0; l < c.layers; ++l)
      for (int g = 0; g < c.kv_heads; ++g)
        for (int position : reference_.cache.head(l, g).pinned)
          check(where(reference_.cache.head(l, g), position) == Where::kOwn, "position %d is pinned and gone: %s",
                position, config_.text().c_str());
    const zs_receipt r = cache_.receipt();
    check(r.weights_sum && r.positions_once && r.budget_held && r.finite, "the receipt says %d %d %d %d: %s",
          r.weights_sum, r.positions_once, r.budget_held, r.finite, config_.text().c_str());
  }

  Random random_;
  Options now_;
};

// Tokens of which none waits for another layer's are asked things.
void judged(const Engine& engine, uint64_t seed, bool small, std::array<int64_t, 4>& all) {
  Config config = test::random_config(seed, small);
  Options& policy = config.cache.policy;
  if (policy.name == "quest") policy.name = "full", config.cache.budgets.clear();
  Random r(seed);
  if (policy.name == "streaming" && r.one_in(2)) {
    policy.budget = test::random_streaming(r, config.cache, config.calls[0]) + r.upto(0, config.calls[0]);
    config.cache.budgets.clear();
  }
  Asking asking(engine, config);
  const test::Verdict verdict = asking.run();
  check(verdict.fault.empty(), "%s\n    %s", verdict.fault.c_str(), config.text().c_str());
  all[0] += asking.changed_, all[1] += asking.evicted_, all[2] += asking.pinned_, all[3] += asking.back_;
}

// What may not change is refused, and the cache is as it was; forks carry what was changed.
void refused(const Engine& engine) {
  CacheConfig c;
  c.heads = 2, c.head_dim = 4, c.policy = test::count_policy(8, 2, 2);
  Config config;
  config.cache = c;
  test::Source source(config, 0);
  Cache cache(engine, c);
  const auto fails = [&](const Options& p, const char* part, zs_status wanted = ZS_INVALID) {
    const zs_status status = zs_cache_change(cache.handle, &p.native()->policy);
    check(status == wanted && std::strstr(zs_last_error(), part), "%s: status %d, %s", part, status, zs_last_error());
  };
  fails(c.policy, "seen no prompt");
  cache.prefill(0, source.next(20), 20);
  for (const char* part : {"init", "window", "granularity", "residual", "sink", "aggregate"}) {
    Options p = c.policy;
    if (!std::strcmp(part, "init")) p.init = 1;
    if (!std::strcmp(part, "window")) p.window = 3;
    if (!std::strcmp(part, "granularity")) p.granularity = 1;
    if (!std::strcmp(part, "residual")) p.residual = 1;
    if (!std::strcmp(part, "sink")) p.sink = 1;
    if (!std::strcmp(part, "aggregate")) p.aggregate = 1;
    fails(p, (std::string("policy.") + part).c_str());
  }
  Options other = c.policy;
  other.budget = 9;
  fails(other, "policy.budget");
  other = c.policy, other.chunk = 2;
  fails(other, "policy.chunk");
  other = c.policy, other.name = "evict-only";
  fails(other, "policy.name");
  check(cache.events().count == 20, "what was refused is on the tape: %lld",
        static_cast<long long>(cache.events().count));

  Options later = c.policy;
  later.alpha = 0, later.decay = 0.5f;
  const Cache before = cache.fork();
  test::must(zs_cache_change(cache.handle, &later.native()->policy), "change");
  Cache twin = cache.fork(), old = before.fork();
  const test::Inputs next = source.next(1);
  const auto one = cache.extend(0, next, 1), same = twin.extend(0, next, 1), as_it_was = old.extend(0, next, 1);
  check(test::same_bits(one, same) && !test::same_bits(one, as_it_was), "a fork does not carry what was changed");
  // alpha 0, then 1 again: to the bit as if it had never been 0.
  Cache back = before.fork();
  Options zero = c.policy;
  zero.alpha = 0;
  for (const Options* p : {&zero, &c.policy}) test::must(zs_cache_change(back.handle, &p->native()->policy), "change");
  check(test::same_bits(back.extend(0, next, 1), as_it_was), "a change and its return leave a trace in the outputs");
  zs_cache* fork = nullptr;
  const auto native = c.policy.native();
  check(zs_cache_fork_policies(back.handle, &native->policy, nullptr, 1, 0, &fork, nullptr) == ZS_UNSUPPORTED,
        "a changed cache is forked under another policy");
  check(zs_cache_change(nullptr, &native->policy) == ZS_INVALID && zs_cache_change(back.handle, nullptr) == ZS_INVALID,
        "NULL");
}

}  // namespace

// Arguments: none, or the seed of one configuration to be looked at.
int main(int count, char** arguments) {
  const uint64_t only = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 0;
  const int cases = test::alike(2000, 150, 20);
  const bool small = test::cases(0, 0, 1) == 1;
  try {
    const Engine engine(2);
    refused(engine);
    std::array<int64_t, 4> all{};
    for (int i = 0; i < (only ? 1 : cases); ++i) judged(engine, only ? only : static_cast<uint64_t>(i) + 1, small, all);
    std::printf("  %lld changes; %lld tokens left a head, %lld were pinned in one, %lld came back to one\n",
                static_cast<long long>(all[0]), static_cast<long long>(all[1]), static_cast<long long>(all[2]),
                static_cast<long long>(all[3]));
    for (int64_t times : all) check(only || times > 0, "something was never asked");
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::finish("counterfactuals");
}
