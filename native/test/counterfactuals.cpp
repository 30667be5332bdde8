// What is asked of a living cache beside its tokens, judged by the reference between random calls: parameters that change.
#include "test/judge.h"
#include "test/runs.h"

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

class Asking : public test::Judge {
 public:
  Asking(const Engine& engine, const Config& config)
      : Judge(engine, config), random_(config.seed * 7 + 3), now_(config.cache.policy) {}

 protected:
  void between(size_t) override {
    if (!random_.one_in(3)) return;
    const int64_t before = cache_.events().count;
    const size_t noted = reference_.cache.events().size();
    now_ = changed(random_, now_);
    test::must(zs_cache_change(cache_.handle, &now_.native()->policy), "change");
    reference_.cache.change(reference::make(*test::asked_of(now_)));
    const zs_events e = cache_.events();
    check(e.count == before + 1 && e.action[before] == ZS_OPTIONS && e.reason[before] == ZS_BY_REQUEST &&
              e.position[before] == reference_.cache.seq_len(0),
          "a change is one event: %s", config_.text().c_str());
    settled(before + 1, noted);
  }

 private:
  Random random_;
  Options now_;
};

void judged(const Engine& engine, uint64_t seed, bool small) {
  Config config = test::random_config(seed, small);
  const std::string& name = config.cache.policy.name;
  if (name != "zsmerge" && name != "evict-only") return;
  const test::Verdict verdict = Asking(engine, config).run();
  check(verdict.fault.empty(), "%s\n    %s", verdict.fault.c_str(), config.text().c_str());
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

int main() {
  const int cases = test::cases(2000, 150, 20);
  const bool small = test::cases(0, 0, 1) == 1;
  try {
    const Engine engine(2);
    refused(engine);
    for (int i = 0; i < cases; ++i) judged(engine, static_cast<uint64_t>(i) + 1, small);
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::finish("counterfactuals");
}
