// What heads allocate: keys and values of the slots that they hold exactly, at most 15 slots more, and never more than their budgets and as
// much, whatever the shape, storage, policy and budgets; a merged slot counts with its own bytes, a spare one with those of a token's.
#include "core/work.h"
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

void judge(const test::Cache& cache, const Config& config, size_t call) {
  const int kv_heads = config.cache.kv_heads, heads = config.cache.layers * kv_heads, d = config.cache.head_dim;
  const int64_t slot = zs::Geometry{d, config.cache.storage}.slot_bytes(),
                merged = zs::Geometry{d, ZS_F32}.slot_bytes();
  std::vector<int64_t> bytes(static_cast<size_t>(heads * ZS_REGIONS));
  test::must(zs_cache_bytes(cache.handle, bytes.data()), "bytes");
  for (int i = 0; i < heads; ++i) {
    const int64_t* const region = &bytes[static_cast<size_t>(i * ZS_REGIONS)];
    const zs::Head& head =
        cache.handle->layers[static_cast<size_t>(i / kv_heads)].heads[static_cast<size_t>(i % kv_heads)];
    const int64_t residual = head.residual(), more = residual * (merged - slot), budget = head.sizes.budget;
    const int64_t held = region[ZS_RESIDUAL] + region[ZS_SINK] + region[ZS_CONTEXT] + region[ZS_RECENT];
    check(region[ZS_RESIDUAL] == residual * merged && held == head.slots() * slot + more,
          "call %zu, head %d: %lld bytes of %d slots, %lld of them merged: %s", call, i, static_cast<long long>(held),
          head.slots(), static_cast<long long>(residual), config.text().c_str());
    const bool bounded = budget > 0 && zs::acts_always(*cache.handle);
    if (!bounded && call > 0) continue;  // it grows, and has room ahead
    if (!bounded || head.slots() == budget)
      most_spare = std::max(most_spare, static_cast<double>(region[ZS_SPARE]) / static_cast<double>(slot));
    const int64_t most = (bounded ? budget : head.slots()) * slot + more + 15 * slot;
    check(held + region[ZS_SPARE] <= most, "call %zu, head %d: %lld bytes allocated of at most %lld, budget %lld: %s",
          call, i, static_cast<long long>(held + region[ZS_SPARE]), static_cast<long long>(most),
          static_cast<long long>(budget), config.text().c_str());
  }
}

void allocations(const test::Engine& engine, uint64_t seed) {
  const Config config = config_of(seed);
  auto sources = test::sources_of(config);
  test::Cache cache(engine, config.cache);
  for (size_t call = 0; call < config.calls.size(); ++call) {
    test::run(cache, config, sources, call, call + 1);
    judge(cache, config, call);
  }
}

}  // namespace

int main() {
  const int status = test::each_seed("bytes", allocations);
  std::printf("  at most %.1f slots spare in a head that holds what it may\n", most_spare);
  return status;
}
