// What must hold of the engine whatever the numbers: the theorem, the prefill window, forks, the lossless limit,
// aborts, the books.
#include <atomic>
#include <thread>

#include "test/theorem.h"

namespace {

using test::Cache;
using test::CacheConfig;
using test::check;
using test::Config;
using test::Engine;
using test::Inputs;
using test::Options;
using test::Random;
using test::same_bits;
using test::Source;
using test::State;
using Outputs = std::vector<std::vector<float>>;

unsigned long long told(const Config& config) { return static_cast<unsigned long long>(config.seed); }

// Runs calls [from, to) of the configuration; `sources` go on where they were.
Outputs run(Cache& cache, const Config& config, std::vector<Source>& sources, size_t from, size_t to) {
  Outputs outputs;
  for (size_t call = from; call < to; ++call)
    for (int layer = 0; layer < config.cache.layers; ++layer) {
      const Inputs in = sources[static_cast<size_t>(layer)].next(config.calls[call]);
      outputs.push_back(call ? cache.extend(layer, in, config.calls[call])
                             : cache.prefill(layer, in, config.calls[call], config.share_of));
    }
  return outputs;
}
std::vector<Source> sources_of(const Config& config) {
  std::vector<Source> sources;
  for (int layer = 0; layer < config.cache.layers; ++layer) sources.emplace_back(config, layer);
  return sources;
}
std::vector<State> states_of(const Cache& cache) {
  std::vector<State> states;
  for (int layer = 0; layer < cache.config.layers; ++layer) states.push_back(cache.state(layer));
  return states;
}
bool same_bits(const std::vector<State>& a, const std::vector<State>& b) {
  bool same = a.size() == b.size();
  for (size_t i = 0; same && i < a.size(); ++i) same = test::same_bits(a[i], b[i]);
  return same;
}
bool same_bits(const Outputs& a, const Outputs& b) {
  bool same = a.size() == b.size();
  for (size_t i = 0; same && i < a.size(); ++i) same = test::same_bits(a[i], b[i]);
  return same;
}
bool same_bits(const zs_receipt& a, const zs_receipt& b) { return !std::memcmp(&a, &b, sizeof a); }

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

// Receipt, counters, events, origins and bytes tell one story, with or without a trace.
void books(const Engine& engine, uint64_t seed) {
  Config config = test::random_config(seed), silent = config;
  silent.cache.trace = 0;
  auto a = sources_of(config), b = sources_of(config);
  Cache cache(engine, config.cache), quiet(engine, silent.cache);
  run(cache, config, a, 0, config.calls.size());
  run(quiet, silent, b, 0, config.calls.size());
  const zs_receipt receipt = cache.receipt();
  const int64_t tokens = config.tokens();
  const int heads = config.cache.layers * config.cache.kv_heads;
  check(
      same_bits(states_of(cache), states_of(quiet)) && same_bits(receipt, quiet.receipt()) && quiet.events().count == 0,
      "a trace changes the run: %s", config.text().c_str());
  check(receipt.weights_sum && receipt.positions_once && receipt.budget_held && receipt.finite &&
            receipt.seq_len == tokens,
        "a receipt complains: %s", config.text().c_str());
  const zs_events e = cache.events();
  int64_t counted[4] = {0, 0, 0, 0};
  std::vector<std::vector<int>> seen(static_cast<size_t>(heads), std::vector<int>(static_cast<size_t>(tokens)));
  double dropped = 0;
  for (int64_t i = 0; i < e.count; ++i) {
    ++counted[e.action[i]];
    if (e.action[i] != ZS_DROP) continue;
    ++seen[static_cast<size_t>(e.layer[i] * config.cache.kv_heads + e.kv_head[i])][static_cast<size_t>(e.position[i])];
    dropped += static_cast<double>(e.weight[i]);
  }
  check(counted[0] == receipt.admitted && counted[1] == receipt.left && counted[2] == receipt.merged &&
            counted[3] == receipt.dropped,
        "counters %lld %lld %lld %lld, events %lld %lld %lld %lld: %s", static_cast<long long>(receipt.admitted),
        static_cast<long long>(receipt.left), static_cast<long long>(receipt.merged),
        static_cast<long long>(receipt.dropped), static_cast<long long>(counted[0]), static_cast<long long>(counted[1]),
        static_cast<long long>(counted[2]), static_cast<long long>(counted[3]), config.text().c_str());
  double weights = dropped;
  bool compressed = false, whole = true;
  for (int layer = 0; layer < config.cache.layers; ++layer) {
    const State state = cache.state(layer);
    for (int g = 0; g < config.cache.kv_heads; ++g)
      for (int s = 0; s < state.slots(g); ++s) {
        const auto origins = state.origins(g, s);
        const double weight = static_cast<double>(state.weights[state.at(g, s)]);
        whole = whole && weight == static_cast<double>(origins.size());
        weights += weight;
        for (int position : origins)
          ++seen[static_cast<size_t>(layer * config.cache.kv_heads + g)][static_cast<size_t>(position)];
      }
    for (const zs_head_state& head : state.heads) compressed = compressed || head.slots < tokens;
  }
  bool once = true;
  for (const auto& head : seen)
    for (int times : head) once = once && times == 1;
  check(once && whole && weights == static_cast<double>(tokens * heads),
        "positions once %d, weights are origins %d, weights %g of %g: %s", once, whole, weights,
        static_cast<double>(tokens * heads), config.text().c_str());
  check((receipt.compressed != 0) == compressed, "the receipt says compressed %d: %s", receipt.compressed,
        config.text().c_str());

  std::vector<int64_t> bytes(static_cast<size_t>(heads * ZS_REGIONS));
  test::must(zs_cache_bytes(cache.handle, bytes.data()), "bytes");
  int64_t total = 0;
  bool enough = true;
  for (int head = 0; head < heads; ++head) {
    const int64_t* region = &bytes[static_cast<size_t>(head * ZS_REGIONS)];
    for (int i = 0; i < ZS_REGIONS; ++i) {
      enough = enough && region[i] >= 0;
      total += region[i];
    }
    const zs_head_state state =
        cache.state(head / config.cache.kv_heads).heads[static_cast<size_t>(head % config.cache.kv_heads)];
    const int64_t row = 2 * config.cache.head_dim, wide = config.cache.storage == ZS_F32 ? 4 : 2;
    enough = enough && region[ZS_RESIDUAL] >= state.residual * row * 4;
    enough = enough &&
             region[ZS_SINK] + region[ZS_CONTEXT] + region[ZS_RECENT] >= (state.slots - state.residual) * row * wide;
  }
  check(enough && zs_cache_peak_bytes(cache.handle) >= total,
        "bytes (%lld now, %lld at the peak) are less than what is held: %s", static_cast<long long>(total),
        static_cast<long long>(zs_cache_peak_bytes(cache.handle)), config.text().c_str());
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
  const int cases = test::cases(2000, 400, 12);
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
      fork_equality(engine, seed);
      fork_policy(engine, seed);
      fork_many(engine, seed);
      lossless(engine, seed);
      aborted(engine, seed);
      books(engine, seed);
      if (!small || i < 2) order_of_layers(engine, seed);
    }
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::finish("properties");
}
