// Forks: they go on like their origin, or to the bit as what was read under their own policy from the start.
#include "test/runs.h"

namespace {

using test::Cache;
using test::CacheConfig;
using test::check;
using test::Config;
using test::Engine;
using test::Options;
using test::Outputs;
using test::Random;
using test::run;
using test::same_bits;
using test::sources_of;
using test::states_of;
using test::told;

// A fork goes on like its origin, and neither sees what the other does.
void fork_equality(const Engine& engine, uint64_t seed) {
  Random r(seed);
  Config config = test::random_config(seed);
  const size_t calls = config.calls.size(), at = static_cast<size_t>(r.upto(1, static_cast<int>(calls)));
  auto sources = sources_of(config);
  Cache plain(engine, config.cache);
  run(plain, config, sources, 0, at);
  const auto resume = sources;
  const Outputs expected = run(plain, config, sources, at, calls);
  const auto last = states_of(plain);

  sources = sources_of(config);
  Cache origin(engine, config.cache);
  run(origin, config, sources, 0, at);
  Cache fork = origin.fork();
  check(same_bits(states_of(origin), states_of(fork)) && same_bits(origin.receipt(), fork.receipt()),
        "seed %llu: a fork is not its origin", told(config));
  const auto kept = states_of(fork);
  auto there = resume;
  const bool first = same_bits(run(origin, config, there, at, calls), expected) && same_bits(states_of(origin), last);
  const bool untouched = same_bits(states_of(fork), kept);
  there = resume;
  const bool second = same_bits(run(fork, config, there, at, calls), expected) && same_bits(states_of(fork), last);
  check(first && untouched && second && same_bits(origin.receipt(), fork.receipt()),
        "seed %llu: fork after call %zu of %zu (origin goes on %d, fork untouched %d, fork goes on %d)", told(config),
        at, calls, first, untouched, second);
  check(origin.events().count == fork.events().count, "seed %llu: a fork has other events", told(config));
}

// One prompt, another policy: to the bit what prefilling under that policy gives.
void fork_policy(const Engine& engine, uint64_t seed) {
  Random r(seed);
  Config config = test::random_config(seed);
  const int prompt = config.calls[0];
  auto sources = sources_of(config);
  Cache direct(engine, config.cache);
  run(direct, config, sources, 0, 1);

  CacheConfig c = config.cache;
  c.policy = r.one_in(2) ? test::full_policy() : test::count_policy(prompt + 3, 1, 0);  // nothing is compressed
  c.budgets.clear();
  c.policy.decay = r.one_in(2) ? config.cache.policy.decay : 0.9f;
  c.policy.history = r.upto(0, 1);
  c.keep_queries = prompt + r.upto(0, 3);
  Cache plain(engine, c);
  auto from = sources_of(config);
  Config as_plain = config;
  as_plain.cache = c;
  run(plain, as_plain, from, 0, 1);
  const auto before = states_of(plain);

  zs_cache* made = nullptr;
  const auto policy = config.cache.policy.native();
  const double* const budgets = config.cache.budgets.empty() ? nullptr : config.cache.budgets.data();
  const zs_status status = zs_cache_fork_policies(plain.handle, &policy->policy, &budgets, 1, 1, &made, nullptr);
  if (!check(status == ZS_OK, "seed %llu: fork_policy: %s", told(config), zs_last_error())) return;
  Cache forked(made, config.cache);
  check(same_bits(states_of(direct), states_of(forked)) && same_bits(direct.receipt(), forked.receipt()),
        "fork_policy is not a prompt of its own: %s", config.text().c_str());
  check(direct.events().count == forked.events().count, "fork_policy: %lld events, not %lld: %s",
        static_cast<long long>(forked.events().count), static_cast<long long>(direct.events().count),
        config.text().c_str());
  auto sources_2 = sources;
  check(same_bits(run(direct, config, sources, 1, config.calls.size()),
                  run(forked, config, sources_2, 1, config.calls.size())),
        "fork_policy goes on otherwise: %s", config.text().c_str());
  check(same_bits(states_of(plain), before), "fork_policy changed its origin: %s", config.text().c_str());

  zs_cache* refused = nullptr;
  auto sources_3 = sources_of(config);
  c.keep_queries = 0;
  Cache without(engine, c);
  as_plain.cache = c;
  run(without, as_plain, sources_3, 0, 1);
  Options needs = config.cache.policy;
  needs.name = "zsmerge", needs.history = 1, needs.window = -1,
  needs.decay = 0.8125f;  // no other cache here has this decay
  check(zs_cache_fork_policies(without.handle, &needs.native()->policy, nullptr, 1, 0, &refused, nullptr) ==
                ZS_UNSUPPORTED &&
            *zs_last_error(),
        "fork_policy without queries is not refused: %s", config.text().c_str());
}

// Several policies at once: each to the bit what prefilling under it gives, however many decays go through the rows together.
void fork_many(const Engine& engine, uint64_t seed) {
  Random r(seed);
  Config config = test::random_config(seed);
  config.cache.budgets.clear();
  const int prompt = config.calls[0];
  CacheConfig c = config.cache;
  c.policy = test::full_policy();
  c.policy.history = 0;
  c.keep_queries = prompt;
  Cache plain(engine, c);
  Config as_plain = config;
  as_plain.cache = c;
  auto sources = sources_of(config);
  run(plain, as_plain, sources, 0, 1);

  std::vector<std::shared_ptr<test::NativePolicy>> held;
  std::vector<CacheConfig> configs;
  std::vector<zs_policy> policies;
  for (int i = r.upto(2, 12); i > 0; --i) {
    CacheConfig one = config.cache;
    const float decays[] = {0.9f, 0.98f, 1, 0.7f, 0.5f};
    one.policy.decay = r.of(decays);
    if (r.one_in(4)) one.policy = test::count_policy(prompt + 2, 1, 0);
    held.push_back(
        r.one_in(3) && prompt > 3
            ? std::make_shared<test::NativePolicy>(
                  "snapkv", 3, 256, test::Fields{{"window", 2}, {"kernel", 3}, {"pooling", i % 2}, {"variant", 0}})
            : one.policy.native());
    configs.push_back(one);
    policies.push_back(held.back()->policy);
  }
  std::vector<zs_cache*> made(policies.size());
  const zs_status status = zs_cache_fork_policies(plain.handle, policies.data(), nullptr,
                                                  static_cast<int32_t>(policies.size()), 1, made.data(), nullptr);
  if (!check(status == ZS_OK, "seed %llu: fork_many: %s", told(config), zs_last_error())) return;
  for (size_t i = 0; i < made.size(); ++i) {
    Cache fork(made[i], configs[i]), direct(engine, configs[i], *held[i]);
    auto again = sources_of(config);
    Config own = config;
    own.cache = configs[i];
    run(direct, own, again, 0, 1);
    check(same_bits(states_of(direct), states_of(fork)) && same_bits(direct.receipt(), fork.receipt()) &&
              direct.events().count == fork.events().count,
          "fork %zu of %zu is not a prompt of its own: %s", i, made.size(), own.text().c_str());
  }
}

// What a policy kept beside the slots does not go with a fork under another one.
void nothing_left(const Engine& engine, uint64_t seed) {
  Config config = test::random_config(seed);
  config.cache.budgets.clear();
  config.cache.policy = test::full_policy();
  config.cache.policy.history = 0;
  CacheConfig quest = config.cache;
  quest.policy.name = "quest", quest.policy.budget = 16;
  quest.policy.own = {{"page", 4}, {"wholeLayers", 0}, {"granularity", 1}};
  Config read = config;
  read.cache = quest;
  auto sources = sources_of(read), again = sources;
  Cache origin(engine, quest), direct(engine, config.cache);
  run(origin, read, sources, 0, 1);
  run(direct, config, again, 0, 1);
  zs_cache* made = nullptr;
  const zs_status status =
      zs_cache_fork_policies(origin.handle, &config.cache.policy.native()->policy, nullptr, 1, 0, &made, nullptr);
  if (!check(status == ZS_OK, "seed %llu: a fork from quest: %s", told(config), zs_last_error())) return;
  Cache fork(made, config.cache);
  std::vector<int64_t> bytes(static_cast<size_t>(config.cache.layers * config.cache.kv_heads * ZS_REGIONS)),
      due = bytes;
  zs_cache_bytes(fork.handle, bytes.data());
  zs_cache_bytes(direct.handle, due.data());
  bool less = true;  // copies of columns may be shorter
  for (size_t i = 0; i < bytes.size(); ++i) less = less && bytes[i] <= due[i];
  check(less && same_bits(states_of(fork), states_of(direct)), "a fork from quest holds what quest kept: %s",
        config.text().c_str());
}

}  // namespace

int main() {
  return test::each_seed("forks", [](const Engine& engine, uint64_t seed) {
    fork_equality(engine, seed);
    fork_policy(engine, seed);
    fork_many(engine, seed);
    nothing_left(engine, seed);
  });
}
