// One result: the same queries, keys and values give the same bits on every instruction set and with every number of
// threads. The portable kernels run on fewer and smaller configurations: their fused multiply-add is done in software.
// Of every eight configurations one keeps keys before rotation and reads its prompt in strides, one merges layers.
// Arguments: none, or the seed of one configuration.
#include "test/results.h"

namespace {

test::Result run(const test::Engine& engine, const test::Config& config) {
  test::Result result;
  test::Cache cache(engine, config.cache);
  std::vector<test::Source> sources = test::sources_of(config);
  result.outputs = test::run(cache, config, sources, 0, config.calls.size());
  test::look(cache, result);
  return result;
}

std::string described(zs_engine* engine) { return zs_engine_describe(engine); }

test::Config config_of(uint64_t seed, bool small) {
  test::Config config = test::random_config(seed, small);
  if (seed % 4) return config;
  test::Random random(seed);
  config.cache.policy = test::fixed_policy();
  config.cache.budgets.clear();
  if (seed % 8 == 0) {
    config.cache.layers = random.upto(2, 4);
    config.cache.policy.name = "minicache", config.cache.policy.budget = 0;
    config.cache.policy.own = {
        {"start", 0}, {"t", random.unit()}, {"retain", random.unit() / 4}, {"retention", random.upto(0, 1)}};
    return config;
  }
  const int least = test::random_streaming(random, config.cache, config.calls[0]);
  config.cache.policy.budget = std::max(least, random.upto(1, config.calls[0]));
  for (size_t call = 1; call < config.calls.size(); ++call)
    config.cache.policy.chunk = std::max(config.cache.policy.chunk, config.calls[call]);
  return config;
}

}  // namespace

int main(int count, char** arguments) {
  const uint64_t only = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 0;
  const int cases = only ? 1 : test::alike(10000, 1000, 40), portable = only ? 1 : test::cases(400, 300, 10);
  const bool small = test::cases(0, 0, 1) == 1;
  struct Other {
    const char* name;
    int threads;
    zs_isa isa;
    std::unique_ptr<test::Engine> engine;
  };
  Other others[] = {{"best, 2 threads", 2, ZS_ISA_BEST, nullptr},
                    {"best, 4 threads", 4, ZS_ISA_BEST, nullptr},
                    {"AVX2, 1 thread", 1, ZS_ISA_AVX2, nullptr},
                    {"AVX-512, 1 thread", 1, ZS_ISA_AVX512, nullptr}};
  try {
    const test::Engine one(1), generic(1, ZS_ISA_GENERIC);
    for (Other& other : others) {
      zs_engine* engine = nullptr;
      if (zs_engine_create(other.threads, other.isa, &engine) == ZS_UNSUPPORTED) {
        std::printf("  not compared: %s (%s)\n", other.name, zs_last_error());
        continue;
      }
      // One thread of the best instruction set is what the others are compared with.
      const bool again = other.threads == 1 && described(engine) == described(one.handle);
      zs_engine_destroy(engine);
      if (!again) other.engine = std::make_unique<test::Engine>(other.threads, other.isa);
    }
    for (int i = 0; i < cases; ++i) {
      const test::Config config = config_of(only ? only : static_cast<uint64_t>(i) + 1, small);
      const test::Result first = run(one, config);
      for (const Other& other : others)
        if (other.engine) test::same(first, run(*other.engine, config), other.name, config);
    }
    for (int i = 0; i < portable; ++i) {
      const test::Config config = config_of(only ? only : static_cast<uint64_t>(i) + 1000001, true);
      test::same(run(one, config), run(generic, config), "generic", config);
    }
  } catch (const std::exception& e) {
    test::check(false, "%s", e.what());
  }
  return test::finish("identical");
}
