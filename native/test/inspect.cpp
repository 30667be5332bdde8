// What policies keep beside the slots, as it is shown: against the keys of the same moment, through prompts, tokens, rollbacks and forks.
#include "test/runs.h"

namespace {

using test::Cache;
using test::check;
using test::Config;
using test::Engine;
using test::Random;

// Quest: of each page the least and the largest value of every dim of its keys.
void pages_of(const Cache& cache, int page, const char* when, const Config& config) {
  const int d = cache.config.head_dim;
  for (int layer = 0; layer < cache.config.layers; ++layer) {
    const test::State state = cache.state(layer);
    for (int g = 0; g < cache.config.kv_heads; ++g) {
      const int slots = state.slots(g), pages = (slots + page - 1) / page;
      std::vector<float> least(static_cast<size_t>(pages * d), INFINITY), largest(least.size(), -INFINITY);
      for (int slot = 0; slot < slots; ++slot)
        for (int i = 0; i < d; ++i) {
          const float key = state.keys[state.at(g, slot) * static_cast<size_t>(d) + static_cast<size_t>(i)];
          float &low = least[static_cast<size_t>(slot / page * d + i)],
                &high = largest[static_cast<size_t>(slot / page * d + i)];
          low = std::min(low, key), high = std::max(high, key);
        }
      auto arrays = cache.inspect(layer, g);
      const std::vector<int32_t> shape{pages, d};
      check(arrays.size() == 2 && arrays["pageLeast"].shape == shape && arrays["pageLargest"].shape == shape &&
                arrays["pageLeast"].data == least && arrays["pageLargest"].data == largest,
            "%s: layer %d head %d: the pages are not the keys': %s", when, layer, g, config.text().c_str());
    }
  }
}

void quest(const Engine& engine, uint64_t seed) {
  Random r(seed);
  Config c = test::random_config(seed, true);
  const int page = r.upto(1, 20);
  c.cache.policy = test::full_policy();
  c.cache.policy.name = "quest", c.cache.policy.budget = 32;
  c.cache.policy.own = {{"page", page}, {"wholeLayers", 0}, {"granularity", r.upto(0, 1)}};
  c.cache.budgets.clear();
  c.calls = {r.upto(1, 300), 1, 1, r.upto(1, 40), 1};
  auto sources = test::sources_of(c);
  Cache cache(engine, c.cache);
  check(cache.inspect(0, 0).empty(), "an empty cache shows arrays");
  for (size_t call = 0; call < c.calls.size(); ++call) {
    test::run(cache, c, sources, call, call + 1);
    pages_of(cache, page, call ? "tokens" : "prompt", c);
  }
  const Cache fork = cache.fork();
  test::must(zs_cache_rollback(cache.handle, r.upto(1, 3)), "rollback");
  pages_of(cache, page, "rollback", c);
  pages_of(fork, page, "fork", c);
}

// Policies that keep nothing beside the slots show nothing.
void others(const Engine& engine, uint64_t seed) {
  Config c = test::random_config(seed, true);
  if (c.cache.policy.name == "quest") return;
  auto sources = test::sources_of(c);
  Cache cache(engine, c.cache);
  test::run(cache, c, sources, 0, 1);
  check(cache.inspect(0, 0).empty(), "%s shows arrays", c.cache.policy.name.c_str());
}

}  // namespace

int main() {
  return test::each_seed("inspect", [](const Engine& engine, uint64_t seed) {
    quest(engine, seed);
    others(engine, seed);
  });
}
