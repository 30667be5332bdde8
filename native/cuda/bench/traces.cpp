// Tokens through whole caches on the device, with the host's part: one keeps its events, one does not, in turns.
#include <chrono>

#include "core/engine.h"
#include "cuda/backend/device.h"
#include "cuda/bench/benches.h"
#include "test/caches.h"
#include "test/runs.h"

namespace zs::bench {
namespace {

class Run {
 public:
  Run(const test::Engine& engine, const test::Config& config)
      : cache_(engine, config.cache), sources_(test::sources_of(config)) {
    for (int32_t layer = 0; layer < config.cache.layers; ++layer)
      cache_.prefill(layer, sources_[static_cast<size_t>(layer)].next(config.calls[0]), config.calls[0]);
  }
  // Microseconds of so many tokens.
  double us(int tokens) {
    std::vector<std::vector<test::Inputs>> rows(sources_.size());
    for (size_t layer = 0; layer < rows.size(); ++layer)
      for (int t = 0; t < tokens; ++t) rows[layer].push_back(sources_[layer].next(1));
    std::vector<float> out;
    const auto begin = std::chrono::steady_clock::now();
    for (size_t t = 0; t < static_cast<size_t>(tokens); ++t)
      for (size_t layer = 0; layer < rows.size(); ++layer)
        test::must(cache_.try_extend(static_cast<int>(layer), rows[layer][t], 1, out), "a token");
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
  }

 private:
  test::Cache cache_;
  std::vector<test::Source> sources_;
};

}  // namespace

void traces(Size size) {
  const test::Engine engine(size.small ? 1 : 0);
  engine.handle->use(std::make_unique<cuda::GpuDevice>(DeviceOptions{0, 0}));
  const int budget = static_cast<int>(size.of(2048, 24)), tokens = static_cast<int>(size.of(64, 2));
  test::Config config;
  config.cache.layers = static_cast<int32_t>(size.of(8, 1)),
  config.cache.kv_heads = static_cast<int32_t>(size.of(8, 2));
  config.cache.heads = 4 * config.cache.kv_heads, config.cache.head_dim = static_cast<int32_t>(size.of(128, 32));
  config.cache.storage = ZS_BF16;
  config.cache.policy.budget = budget;
  config.cache.policy.window = 1;
  config.calls = {budget + 8};
  config.cache.trace = 1;
  Run traced(engine, config);
  config.cache.trace = 0;
  Run plain(engine, config);
  std::vector<double> with, without, ratios;
  traced.us(tokens), plain.us(tokens);
  for (int i = 0; i < size.turns(); ++i) {
    with.push_back(traced.us(tokens) / tokens);
    without.push_back(plain.us(tokens) / tokens);
    ratios.push_back(with.back() / without.back());
  }
  const Spread us = spread_of(without), ratio = spread_of(ratios);
  Line("trace")
      .number("layers", config.cache.layers)
      .number("kvHeads", config.cache.kv_heads)
      .number("slots", budget)
      .spread("us", us)
      .spread("tracedUs", spread_of(with))
      .spread("ratio", ratio)
      .tell("a token with events kept : not kept, " + std::to_string(config.cache.layers) + " layers of " +
                std::to_string(config.cache.kv_heads) + " kv heads, " + std::to_string(budget) + " slots",
            words_of(ratio, 3) + " (not kept: " + words_of(us, 1) + " us)");
}

}  // namespace zs::bench
