// What must hold of the engine whatever the numbers: the theorem, the prefill window, the lossless limit, aborts, ties, the order of layers.
#include <atomic>
#include <thread>

#include "test/runs.h"
#include "test/theorem.h"

namespace {

using test::Cache;
using test::CacheConfig;
using test::check;
using test::Config;
using test::Engine;
using test::Inputs;
using test::Random;
using test::run;
using test::same_bits;
using test::Source;
using test::sources_of;
using test::State;
using test::states_of;
using test::told;

// Scores from the last W rows miss at most what the dropped rows can hold: group * decay^W / (1 - decay), and never
// exceed the full sum.
void window_bound(const Engine& engine, uint64_t seed) {
  Random r(seed);
  Config config = test::random_config(seed);
  const int n = r.upto(2, 300);
  CacheConfig& c = config.cache;
  c.layers = 1, c.policy = test::full_policy(), c.budgets.clear();
  const float decays[] = {0.98f, 0.95f, 0.9f, 0.7f};
  c.policy.decay = r.of(decays);
  const int window = r.upto(1, n + 5);
  const Inputs in = Source(config, 0).next(n);
  c.policy.window = -1;
  Cache all(engine, c);
  c.policy.window = window;
  Cache some(engine, c);
  const bool same = same_bits(all.prefill(0, in, n), some.prefill(0, in, n));
  const State a = all.state(0), s = some.state(0);
  const double decay = static_cast<double>(c.policy.decay);
  const double most = window >= n ? 0 : c.heads / c.kv_heads * std::pow(decay, window) / (1 - decay);
  double excess = 0, above = 0;
  for (size_t i = 0; i < a.scores.size(); ++i) {
    const double missing = static_cast<double>(a.scores[i]) - static_cast<double>(s.scores[i]);
    const double rounding = 1e-5 * std::max(1.0, static_cast<double>(a.scores[i]));
    excess = std::max(excess, missing - most - rounding);
    above = std::max(above, -missing - rounding);
  }
  check(same && excess <= 0 && above <= 0,
        "window %d of %d rows, decay %g, seed %llu: %g beyond the bound %g, %g above the full sum", window, n, decay,
        told(config), excess, most, above);
}

// Budget for everything: to the bit the full cache.
void lossless(const Engine& engine, uint64_t seed) {
  Config config = test::random_config(seed);
  config.cache.budgets.clear();
  Config full = config;
  config.cache.policy.name = "zsmerge", config.share_of = 0;
  config.cache.policy.budget = config.tokens() + static_cast<int>(seed % 3) + config.cache.policy.sink;
  config.cache.policy.recent = std::min(3, config.tokens() / 2 + 1),
  config.cache.policy.residual = std::min(2, config.tokens() / 4);
  const int least =
      static_cast<int>(config.cache.policy.recent + config.cache.policy.residual) + config.cache.policy.sink;
  config.cache.policy.raise_counts = 0;
  if (config.cache.policy.budget <= least) return;  // a handful of tokens does not fit
  full.cache.policy = test::full_policy();
  full.cache.policy.chunk = config.cache.policy.chunk;
  full.cache.policy.history = config.cache.policy.history, full.cache.policy.decay = config.cache.policy.decay;
  full.cache.policy.window = config.cache.policy.window;
  auto a = sources_of(config), b = sources_of(config);
  Cache one(engine, config.cache), other(engine, full.cache);
  const size_t calls = config.calls.size();
  const bool outputs = same_bits(run(one, config, a, 0, calls), run(other, full, b, 0, calls));
  check(outputs && same_bits(states_of(one), states_of(other)) && !one.receipt().compressed,
        "budget for all tokens differs from the full cache (outputs equal: %d): %s", outputs, config.text().c_str());
}

// An aborted call leaves the cache as it was; the same call then gives what it would have given.
void aborted(const Engine& engine, uint64_t seed) {
  Random r(seed);
  Config config = test::random_config(seed);
  const size_t at = static_cast<size_t>(r.upto(0, static_cast<int>(config.calls.size()) - 1));
  auto sources = sources_of(config);
  Cache cache(engine, config.cache);
  run(cache, config, sources, 0, at);
  Cache twin = cache.fork();
  const auto before = states_of(cache);
  const auto receipt = cache.receipt();
  const int64_t events = cache.events().count;
  const int tokens = config.calls[at];
  const Inputs in = sources[0].next(tokens);
  std::vector<float> out, expected;
  zs_call call{};
  const bool in_time = r.one_in(3);
  call.abort = !in_time;
  std::thread later;
  std::atomic<bool> go{false};
  if (in_time)
    later = std::thread([&] {
      go = true;
      for (int i = 0, n = r.upto(0, 20000); i < n; ++i) std::atomic_signal_fence(std::memory_order_seq_cst);
      __atomic_store_n(&call.abort, 1, __ATOMIC_RELAXED);
    });
  while (in_time && !go) std::this_thread::yield();
  const zs_status status =
      at ? cache.try_extend(0, in, tokens, out, &call) : cache.try_prefill(0, in, tokens, config.share_of, out, &call);
  if (in_time) later.join();
  check(status == ZS_ABORTED || (in_time && status == ZS_OK), "seed %llu: an aborted call says %d", told(config),
        status);
  if (status == ZS_ABORTED) {
    check(same_bits(states_of(cache), before) && same_bits(cache.receipt(), receipt) && cache.events().count == events,
          "an aborted call changed the cache (call %zu): %s", at, config.text().c_str());
    call = {};
    test::must(at ? cache.try_extend(0, in, tokens, out, &call)
                  : cache.try_prefill(0, in, tokens, config.share_of, out, &call),
               "again");
    check(call.total > 0 && call.done == call.total, "seed %llu: progress ends at %lld of %lld", told(config),
          static_cast<long long>(call.done), static_cast<long long>(call.total));
  }
  test::must(at ? twin.try_extend(0, in, tokens, expected) : twin.try_prefill(0, in, tokens, config.share_of, expected),
             "twin");
  check(test::same_bits(out, expected) && same_bits(states_of(cache), states_of(twin)),
        "seed %llu: after an abort the same call gives something else", told(config));
}

// Zero keys make all candidates equal by the same arithmetic: the lowest position stays first, the lowest slot leaves
// first.
void ties(const Engine& engine, int similarity) {
  CacheConfig c;
  c.layers = 1, c.heads = 2, c.kv_heads = 1, c.head_dim = 8, c.trace = 1;
  c.policy = test::count_policy(6, 2, 2);
  c.policy.window = 1, c.policy.decay = 1, c.policy.similarity = similarity;
  Cache cache(engine, c);
  const auto zeros = [](int n) { return std::vector<float>(static_cast<size_t>(n * 8), 0.0f); };
  cache.prefill(0, {zeros(18), zeros(9), zeros(9)}, 9);
  const auto text = [&] {
    std::string all;
    const State s = cache.state(0);
    for (int slot = 0; slot < s.slots(); ++slot) {
      for (int origin : s.origins(0, slot)) all += std::to_string(origin) + "+";
      all.back() = ' ';
    }
    return all;
  };
  check(text() == "2+3+4 5+6 0 1 7 8 ", "ties after the prompt: %s", text().c_str());
  cache.extend(0, {zeros(2), zeros(1), zeros(1)}, 1);
  check(text() == "2+3+4+0 5+6 8 1 7 9 ", "ties after a step: %s", text().c_str());
}

// Layers may be fed in any order, and the same run twice gives the same bits.
void order_of_layers(const Engine& engine, uint64_t seed) {
  Config config = test::random_config(seed);
  config.cache.layers = 3;
  config.cache.budgets.clear();
  config.cache.policy.granularity = std::min(config.cache.policy.granularity, 1);  // layers come in any order
  auto a = sources_of(config);
  Cache one(engine, config.cache), other(engine, config.cache);
  run(one, config, a, 0, config.calls.size());
  for (int layer = 2; layer >= 0; --layer) {
    Source source(config, layer);
    for (size_t call = 0; call < config.calls.size(); ++call) {
      const Inputs in = source.next(config.calls[call]);
      if (call)
        other.extend(layer, in, config.calls[call]);
      else
        other.prefill(layer, in, config.calls[call], config.share_of);
    }
  }
  check(same_bits(states_of(one), states_of(other)) && same_bits(one.receipt(), other.receipt()),
        "the order of layers shows: %s", config.text().c_str());
}

}  // namespace

int main() {
  const int cases = test::alike(2000, 400, 12);
  const bool small = test::cases(0, 0, 1) == 1;
  try {
    const Engine engine(2);
    const auto make = [&](const CacheConfig& c) { return Cache(engine, c); };
    for (int similarity = 0; similarity < 3; ++similarity) ties(engine, similarity);
    for (int i = 0; i < cases; ++i) {
      const uint64_t seed = static_cast<uint64_t>(i) + 2000001;
      test::theorem_1(make, seed, 2e-6);
      test::equal_groups(make, seed, 1e-5);
      test::no_compensation(make, seed, 1e-5);
      window_bound(engine, seed);
      lossless(engine, seed);
      aborted(engine, seed);
      if (!small || i < 2) order_of_layers(engine, seed);
    }
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::finish("properties");
}
