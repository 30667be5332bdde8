// What heads allocate: keys and values of the slots that they hold exactly, at most 15 slots more, and never more than their budgets and as
// much, whatever the shape, storage, policy and budgets; a merged slot counts with its own bytes, a spare one with those of a token's.
#include "test/runs.h"

namespace {

using test::check;
using test::Config;
using test::Options;
using test::Random;

double most_spare = 0;  // slots

// ZSMerge, evict-only, streaming, quest and full as drawn; or another policy with as much.
Config config_of(uint64_t seed) {
  Config config = test::random_config(seed);
  config.cache.trace = 0;
  Random r(seed + 77);
  const Options drawn = config.cache.policy;
  Options& p = config.cache.policy;
  const bool plain = drawn.granularity == 0 && config.cache.budgets.empty() && !drawn.full() && drawn.name != "quest";
  switch (plain ? r.upto(0, 9) : 9) {
    case 0:
      p.name = "tova", p.own = {{"variant", r.upto(0, 1)}};
      break;
    case 1:
      p.name = "random", p.own = {{"recent", 1}, {"seed", static_cast<double>(seed)}};
      break;
    case 2:
      if (config.calls[0] == 1) break;  // its window alone
      p.name = "snapkv", p.own = {{"window", 1}, {"kernel", 3}, {"pooling", 0}, {"variant", 1}};
      break;
    case 3:
      if (drawn.name == "streaming" || !drawn.history) break;  // it needs scores
      p.name = "adakv", p.own = {{"floor", 0.2}};
      p.of = std::make_shared<Options>(drawn);
  }
  return config;
}

// `always`: the policy holds its budget at every step.
void judge(const test::Cache& cache, const Config& config, size_t call, bool always) {
  const int kv_heads = config.cache.kv_heads, heads = config.cache.layers * kv_heads, d = config.cache.head_dim;
  const int64_t numbers = d + (d + 15) / 16 * 16, merged = 4 * numbers,  // a value's row is padded
      slot = config.cache.storage == ZS_F32 ? merged : 2 * numbers;
  std::vector<int64_t> bytes(static_cast<size_t>(heads * ZS_REGIONS));
  test::must(zs_cache_bytes(cache.handle, bytes.data()), "bytes");
  for (int i = 0; i < heads; ++i) {
    const int64_t* const region = &bytes[static_cast<size_t>(i * ZS_REGIONS)];
    std::vector<zs_head_state> of_layer(static_cast<size_t>(kv_heads));
    test::must(zs_cache_heads(cache.handle, i / kv_heads, of_layer.data()), "heads");
    const zs_head_state& head = of_layer[static_cast<size_t>(i % kv_heads)];
    zs_resolved sizes{};
    test::must(zs_cache_resolved(cache.handle, i / kv_heads, i % kv_heads, &sizes), "resolved");
    const int64_t more = head.residual * (merged - slot);
    const int64_t held = region[ZS_RESIDUAL] + region[ZS_SINK] + region[ZS_CONTEXT] + region[ZS_RECENT];
    check(region[ZS_RESIDUAL] == head.residual * merged && held == head.slots * slot + more,
          "call %zu, head %d: %lld bytes of %d slots, %d of them merged: %s", call, i, static_cast<long long>(held),
          head.slots, head.residual, config.text().c_str());
    const bool bounded = always && sizes.budget > 0;
    if (!bounded && call > 0) continue;  // it grows, and has room ahead
    if (!bounded || head.slots == sizes.budget)
      most_spare = std::max(most_spare, static_cast<double>(region[ZS_SPARE]) / static_cast<double>(slot));
    const int64_t most = ((bounded ? sizes.budget : head.slots) + 15) * slot + more;
    check(held + region[ZS_SPARE] <= most, "call %zu, head %d: %lld bytes allocated of at most %lld, budget %d: %s",
          call, i, static_cast<long long>(held + region[ZS_SPARE]), static_cast<long long>(most), sizes.budget,
          config.text().c_str());
  }
}

void allocations(const test::Engine& engine, uint64_t seed) {
  const Config config = config_of(seed);
  zs_traits traits{};
  test::must(zs_policy_traits(&config.cache.policy.native()->policy, &traits), "traits");
  auto sources = test::sources_of(config);
  test::Cache cache(engine, config.cache);
  for (size_t call = 0; call < config.calls.size(); ++call) {
    test::run(cache, config, sources, call, call + 1);
    judge(cache, config, call, traits.acts == ZS_ACTS_ALWAYS);
  }
}

}  // namespace

int main() {
  const int status = test::each_seed("bytes", allocations);
  std::printf("  at most %.1f slots spare in a head that holds what it may\n", most_spare);
  return status;
}
