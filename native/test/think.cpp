// ThinK by itself: what pruning may change and what it must leave to the bit; its channels against the keys and queries they were chosen by;
// bytes, forks and rollbacks. Against its reference: guests.cpp.
#include "test/runs.h"

namespace {

using test::Array;
using test::Cache;
using test::check;
using test::Config;
using test::Engine;
using test::Inputs;
using test::Options;
using test::Random;
using test::same_bits;
using test::State;
using test::told;

size_t index(int64_t i) { return static_cast<size_t>(i); }

Options around(const Options& of, double ratio, int recent, int window) {
  Options p = of;
  p.of = std::make_shared<Options>(of);
  p.name = "think", p.own = {{"ratio", ratio}, {"recent", recent}, {"window", window}};
  return p;
}

// A prompt and some calls on full or snapkv, which is what think works on here.
Config config_of(Random& r) {
  Config c;
  c.seed = r.next() >> 33;
  c.cache.layers = r.upto(1, 2);
  c.cache.kv_heads = r.upto(1, 3);
  c.cache.heads = c.cache.kv_heads * r.upto(1, 4);
  c.cache.head_dim = 2 * r.upto(1, 40);
  c.cache.storage = r.upto(0, 2);
  c.cache.origins = r.upto(0, 1);
  c.cache.policy = test::full_policy();
  c.cache.policy.history = 0;
  if (r.one_in(2)) {
    c.cache.policy.name = "snapkv", c.cache.policy.budget = r.upto(9, 60);
    c.cache.policy.own = {{"window", 8}, {"kernel", 3}, {"pooling", 0}, {"variant", 0}};
  }
  c.calls = {r.upto(20, 300)};
  for (int i = r.upto(1, 12); i > 0; --i) c.calls.push_back(r.one_in(3) ? r.upto(2, 40) : 1);
  c.gain = r.unit();
  return c;
}

Cache cache_of(const Engine& engine, const Config& config, const Options& policy) {
  test::CacheConfig c = config.cache;
  c.policy = policy;
  return Cache(engine, c);
}

std::vector<int64_t> bytes_of(const Cache& cache) {
  std::vector<int64_t> bytes(index(cache.config.layers) * index(cache.config.kv_heads) * ZS_REGIONS);
  test::must(zs_cache_bytes(cache.handle, bytes.data()), "bytes");
  return bytes;
}

// Nothing to prune, or nobody to prune it of: to the bit what think works on.
void nothing_to_do(const Engine& engine, uint64_t seed) {
  Random r(seed);
  const Config c = config_of(r);
  const bool none = r.one_in(2);
  const int d = c.cache.head_dim;
  const Options policy = none ? around(c.cache.policy, r.one_in(2) ? 0 : 0.99 / d, 4, 32)
                              : around(c.cache.policy, 0.5, c.calls[0] + r.upto(0, 3), 32);
  Cache plain = cache_of(engine, c, c.cache.policy), same = cache_of(engine, c, policy);
  auto sources = test::sources_of(c), again = sources;
  check(same_bits(test::run(plain, c, sources, 0, c.calls.size()), test::run(same, c, again, 0, c.calls.size())) &&
            same_bits(test::states_of(plain), test::states_of(same)) && bytes_of(plain) == bytes_of(same) &&
            same.inspect(0, 0).empty(),
        "seed %llu: think changed something where it had nothing to do", told(c));
}

// The prompt's inputs of layer 0, pruned and not: every claim about channels, in double.
void channels(const Engine& engine, uint64_t seed) {
  Random r(seed);
  Config c = config_of(r);
  c.cache.layers = 1;
  const int d = c.cache.head_dim, n = c.calls[0], group = c.cache.heads / c.cache.kv_heads;
  const int window = std::min(n, r.upto(1, 40)), recent = r.upto(0, 8);
  const double ratio = 0.9 * r.unit();
  const int dropped = static_cast<int>(ratio * d);
  Inputs in = test::sources_of(c)[0].next(n);
  const int silent = r.upto(0, r.one_in(2) ? dropped : d);  // channels that are zero in every key
  for (size_t i = 0; i < in.k.size(); ++i)
    if (static_cast<int>(i % index(d)) < silent) in.k[i] = 0;
  Cache plain = cache_of(engine, c, c.cache.policy),
        thin = cache_of(engine, c, around(c.cache.policy, ratio, recent, window));
  check(same_bits(plain.prefill(0, in, n), thin.prefill(0, in, n)), "seed %llu: the prompt attended pruned keys",
        told(c));
  const State whole = plain.state(0), state = thin.state(0);
  for (int g = 0; g < c.cache.kv_heads; ++g) {
    const int slots = whole.slots(g), older = std::max(0, slots - recent);
    auto arrays = thin.inspect(0, g);
    if (dropped == 0 || older == 0) {
      check(arrays.empty(), "seed %llu: arrays of nothing", told(c));
      continue;
    }
    const std::vector<float>&mask = arrays["channelMask"].data, &scores = arrays["channelScores"].data;
    check(arrays.size() == 2 && arrays["channelMask"].shape == std::vector<int32_t>{d} && scores.size() == index(d) &&
              std::count(mask.begin(), mask.end(), 0.0f) == dropped,
          "seed %llu: %d of %d channels are to go", told(c), dropped, d);
    check(std::count(mask.begin(), mask.begin() + std::min(silent, dropped), 0.0f) == std::min(silent, dropped),
          "seed %llu: of channels with the same score the lower go", told(c));
    // |q_j k_j^T| is |q_j| |k_j|, and the score is its square over the number of products.
    double most_gone = 0, least_kept = INFINITY, bound = 0, difference = 0;
    std::vector<double> norms(index(d));
    for (int i = 0; i < d; ++i) {
      double products = 0, q2 = 0, k2 = 0;
      for (int h = 0; h < group; ++h)
        for (int row = n - window; row < n; ++row) {
          const double q = in.q[index((int64_t{g} * group + h) * n + row) * index(d) + index(i)];
          q2 += q * q;
          for (int slot = 0; slot < slots; ++slot) {
            const double k = whole.keys[whole.at(g, slot) * index(d) + index(i)];
            products += q * k * q * k;
            if (h == 0 && row == n - 1) k2 += k * k;
          }
        }
      const double score = products / (static_cast<double>(group) * window * slots);
      check(std::fabs(static_cast<double>(scores[index(i)]) - score) <= 1e-6 * (score + 1e-6),
            "seed %llu: channel %d has score %g, not %g", told(c), i, static_cast<double>(scores[index(i)]), score);
      if (mask[index(i)] == 0) most_gone = std::max(most_gone, score), bound += std::sqrt(q2 * k2);
      if (mask[index(i)] != 0) least_kept = std::min(least_kept, score);
    }
    check(most_gone <= least_kept * (1 + 1e-12), "seed %llu: a channel of score %g went, one of %g stayed", told(c),
          most_gone, least_kept);
    // Older slots lack just the masked channels; the newest and all values are as they were; older ones come first.
    bool fits = true;
    std::map<int, int> where;
    for (int slot = 0; slot < slots; ++slot) where[state.first_origin(g, slot)] = slot;
    std::vector<int> positions;
    for (const auto& [position, slot] : where) positions.push_back(position);
    for (int slot = 0; slot < slots; ++slot) {
      const int position = whole.first_origin(g, slot), there = where[position];
      const bool old = there < older;
      fits = fits && old == (recent == 0 || position < positions[index(slots - recent)]);
      for (int row = n - window; row < n; ++row)
        for (int h = 0; h < group; ++h) {
          double gone = 0;
          for (int i = 0; i < d; ++i)
            if (old && mask[index(i)] == 0)
              gone += static_cast<double>(in.q[index((int64_t{g} * group + h) * n + row) * index(d) + index(i)]) *
                      static_cast<double>(whole.keys[whole.at(g, slot) * index(d) + index(i)]);
          difference += gone * gone;
        }
      for (int i = 0; i < d; ++i) {
        const size_t a = whole.at(g, slot) * index(d) + index(i), b = state.at(g, there) * index(d) + index(i);
        fits = fits && state.keys[b] == (old && mask[index(i)] == 0 ? 0 : whole.keys[a]) &&
               state.values[b] == whole.values[a];
      }
    }
    check(fits, "seed %llu: head %d: slots are not the older ones without the masked channels, then the newest",
          told(c), g);
    check(std::sqrt(difference) <= bound * (1 + 1e-9) + 1e-12, "seed %llu: logits differ by %g, more than %g", told(c),
          std::sqrt(difference), bound);
  }
  // Where only silent channels go, attention is what it was.
  if (silent < dropped || dropped == 0) return;
  const Inputs next = test::sources_of(c)[0].next(1);
  const auto a = plain.extend(0, next, 1), b = thin.extend(0, next, 1);
  double off = 0;
  for (size_t i = 0; i < a.size(); ++i) off = std::max(off, std::fabs(static_cast<double>(a[i] - b[i])));
  check(off <= 2e-6, "seed %llu: without channels that are zero outputs differ by %g", told(c), off);
}

// An older slot takes its kept channels and its value in whole tiles, and each head its channels' scores; nothing of the whole prompt stays allocated.
void bytes(const Engine& engine, uint64_t seed) {
  Random r(seed);
  Config c = config_of(r);
  const int d = c.cache.head_dim, recent = r.upto(0, 30), element = c.cache.storage == 0 ? 4 : 2;
  Cache thin = cache_of(engine, c, around(c.cache.policy, 0.4, recent, 32));
  auto sources = test::sources_of(c);
  test::run(thin, c, sources, 0, 1);
  const auto held = bytes_of(thin);
  const State state = thin.state(0);
  const int kept = d - static_cast<int>(0.4 * d), padded = (d + 15) / 16 * 16;
  for (int g = 0; g < c.cache.kv_heads; ++g) {
    const int older = std::max(0, state.slots(g) - recent), whole = state.slots(g) - older;
    if (older == 0 || kept == d) continue;
    const int64_t* const one = &held[index(g) * ZS_REGIONS];
    const int64_t pruned = int64_t{(older + 15) / 16 * 16} * element * (kept + padded) + 4 * kept + 8 * d;
    const int64_t due = pruned + int64_t{whole} * element * (d + padded);
    check(one[ZS_SINK] + one[ZS_CONTEXT] + one[ZS_RECENT] == due, "seed %llu: %lld bytes are held, not %lld", told(c),
          static_cast<long long>(one[ZS_SINK] + one[ZS_CONTEXT] + one[ZS_RECENT]), static_cast<long long>(due));
    check(one[ZS_SPARE] <= int64_t{64} * element * (d + padded), "seed %llu: %lld bytes are spare", told(c),
          static_cast<long long>(one[ZS_SPARE]));
  }
}

// Forks go on alike, those under think from a full cache are prompts of their own, and from think there is no way back.
void forks(const Engine& engine, uint64_t seed) {
  Random r(seed);
  Config c = config_of(r);
  const int recent = r.upto(0, 12), window = r.upto(1, 40);
  const Options policy = around(c.cache.policy, 0.5, recent, window);
  Config full = c;
  full.cache.policy = test::full_policy();
  full.cache.policy.history = 0;
  full.cache.keep_queries = c.calls[0] + r.upto(-1, 1) * 3;
  Cache origin(engine, full.cache), direct = cache_of(engine, c, policy);
  auto sources = test::sources_of(c), again = sources;
  test::run(origin, full, sources, 0, 1);
  test::run(direct, c, again, 0, 1);
  const auto native = policy.native();
  zs_cache* made = nullptr;
  const bool reach =
      full.cache.keep_queries >= std::min(std::max(window, policy.of->name == "snapkv" ? 8 : 0), c.calls[0]);
  const zs_status status = zs_cache_fork_policies(origin.handle, &native->policy, nullptr, 1, 1, &made, nullptr);
  if (!check((status == ZS_OK) == reach, "seed %llu: a fork under think of %d of %d kept rows: %s", told(c), window,
             full.cache.keep_queries, zs_last_error()) ||
      !reach)
    return;
  test::CacheConfig as = c.cache;
  as.policy = policy;
  Cache fork(made, as);
  check(same_bits(test::states_of(direct), test::states_of(fork)) && same_bits(direct.receipt(), fork.receipt()) &&
            direct.inspect(0, 0)["channelScores"].data == fork.inspect(0, 0)["channelScores"].data,
        "seed %llu: a fork under think is not a prompt of its own", told(c));
  Cache other = direct.fork();
  const auto before = test::states_of(other);
  auto there = sources;
  const auto out = test::run(direct, c, sources, 1, c.calls.size());
  check(same_bits(test::states_of(other), before), "seed %llu: a fork saw what its origin did", told(c));
  auto third = there;
  check(same_bits(out, test::run(fork, c, there, 1, c.calls.size())) &&
            same_bits(out, test::run(other, c, third, 1, c.calls.size())),
        "seed %llu: forks go on otherwise", told(c));
  if (direct.inspect(0, 0).empty()) return;
  Cache thin = cache_of(engine, c, policy);
  auto once_more = test::sources_of(c);
  test::run(thin, c, once_more, 0, 1);
  const auto plain = full.cache.policy.native();
  check(zs_cache_fork_policies(thin.handle, &plain->policy, nullptr, 1, 0, &made, nullptr) == ZS_UNSUPPORTED,
        "seed %llu: a fork from think under full", told(c));
  check(zs_cache_rollback(thin.handle, 1) == ZS_UNSUPPORTED, "seed %llu: a pruned prompt was taken back", told(c));
}

void not_numbers(const Engine& engine) {
  Config c;
  c.cache.heads = c.cache.kv_heads = 1, c.cache.head_dim = 4, c.calls = {9}, c.seed = 3;
  for (float bad : {NAN, INFINITY})
    for (int where = 0; where < 3; ++where) {
      Inputs in = test::sources_of(c)[0].next(9);
      (where == 0 ? in.q : where == 1 ? in.k : in.v)[2] = bad;
      Options of = test::full_policy();
      of.history = 0;
      Cache cache = cache_of(engine, c, around(of, 0.5, 2, 32));
      cache.prefill(0, in, 9);
      const std::vector<float> mask = cache.inspect(0, 0)["channelMask"].data;
      check(cache.receipt().finite == 0, "%g in %c: the receipt says finite", static_cast<double>(bad), "qkv"[where]);
      check(std::count(mask.begin(), mask.end(), 0.0f) == 2 && (where == 2 || mask[2] == 1),
            "%g in %c: its channel went", static_cast<double>(bad), "qkv"[where]);
    }
}

}  // namespace

int main() {
  try {
    not_numbers(Engine(1));
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::each_seed("think", [](const Engine& engine, uint64_t seed) {
    nothing_to_do(engine, seed);
    channels(engine, seed);
    bytes(engine, seed);
    forks(engine, seed);
  });
}
