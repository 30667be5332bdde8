// Seeded random configurations: shapes, policies and the calls made on them, lengths around every boundary.
#ifndef ZSLAB_TEST_CONFIGS_H
#define ZSLAB_TEST_CONFIGS_H

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "reference/policy.h"
#include "test/check.h"
#include "test/policies.h"

namespace test {

// The same policy for the reference.
inline std::shared_ptr<reference::Asked> asked_of(const Options& p) {
  auto asked = std::make_shared<reference::Asked>();
  asked->name = p.name;
  asked->budget = p.full() ? 0 : p.budget;
  asked->fields = p.fields();
  if (p.of) asked->of = asked_of(*p.of);
  return asked;
}
// Throws where the numbers do not fit.
inline reference::Resolved resolved(const Options& p, int64_t tokens) {
  const auto policy = reference::make(*asked_of(p));
  return policy->resolve(policy->budget(), tokens);
}

struct Config {
  uint64_t seed = 0;
  CacheConfig cache;
  int64_t share_of = 0;
  std::vector<int> calls;  // tokens of the prompt, then of each chunk (1 = a decode step)
  double gain = 0, noise = 0.5;
  int clusters = 4;
  bool zeros = false;  // every fourth key or so is zero
  bool ties = false;   // made so that scores or keys are often exactly equal

  int tokens() const {
    int sum = 0;
    for (int c : calls) sum += c;
    return sum;
  }
  std::string text() const {
    const Options& p = cache.policy;
    char line[640];
    std::snprintf(line, sizeof line,
                  "seed %llu: layers %d heads %d/%d dim %d storage %d %s budget %g recent %g residual %g sink %d "
                  "least %d,%d,%d "
                  "raise %d alpha %g decay %g history %d similarity %d merge %d init %d underfull %d window %d "
                  "granularity %d aggregate %d keys %d values %d positions %d stride %d rotation %zu%s budgets %zu "
                  "chunk %d share of %lld "
                  "calls",
                  static_cast<unsigned long long>(seed), cache.layers, cache.heads, cache.kv_heads, cache.head_dim,
                  cache.storage, p.name.c_str(), p.budget, p.recent, p.residual, p.sink, p.least_budget, p.least_recent,
                  p.least_residual, p.raise_counts, static_cast<double>(p.alpha), static_cast<double>(p.decay),
                  p.history, p.similarity, p.score_merge, p.init, p.underfull, p.window, p.granularity, p.aggregate,
                  p.keys, p.values, p.positions, p.stride, cache.rotation.frequencies.size(),
                  cache.rotation.halves ? " halves" : "", cache.budgets.size(), p.chunk,
                  static_cast<long long>(share_of));
    std::string all = line;
    for (size_t i = 0; i < calls.size() && i < 12; ++i) all += " " + std::to_string(calls[i]);
    return calls.size() > 12 ? all + " … (" + std::to_string(calls.size()) + " calls)" : all;
  }
};

struct Inputs {
  std::vector<float> q, k, v;
};

// Keys in clusters, values even, queries that lean to one cluster for a while: scores and similarities that differ.
class Source {
 public:
  Source(const Config& config, int layer) : config_(config), random_(config.seed * 131 + static_cast<uint64_t>(layer)) {
    centres_.resize(static_cast<size_t>(config.clusters * config.cache.kv_heads * config.cache.head_dim));
    for (float& e : centres_) e = random_.element();
  }
  // The next `tokens` tokens: q [heads][tokens][head_dim], k, v [kv_heads][tokens][head_dim].
  Inputs next(int tokens) {
    const int heads = config_.cache.heads, kv_heads = config_.cache.kv_heads, d = config_.cache.head_dim,
              group = heads / kv_heads;
    Inputs in;
    in.q.resize(static_cast<size_t>(heads * tokens * d));
    in.k.resize(static_cast<size_t>(kv_heads * tokens * d));
    in.v.resize(in.k.size());
    const double calm = std::min(1.0, 8 / std::sqrt(static_cast<double>(d)));
    for (int t = 0; t < tokens; ++t, ++seen_) {
      const int z = random_.upto(0, config_.clusters - 1), focus = seen_ / 7 % config_.clusters;
      const double size = config_.zeros && random_.one_in(4) ? 0 : 1;
      for (int g = 0; g < kv_heads; ++g)
        for (int i = 0; i < d; ++i) {
          const size_t at = static_cast<size_t>((g * tokens + t) * d + i);
          in.k[at] =
              static_cast<float>(size * (centre(z, g, i) + config_.noise * static_cast<double>(random_.element())));
          in.v[at] = random_.element();
        }
      for (int h = 0; h < heads; ++h)
        for (int i = 0; i < d; ++i)
          in.q[static_cast<size_t>((h * tokens + t) * d + i)] = static_cast<float>(
              calm * (static_cast<double>(random_.element()) + config_.gain * centre(focus, h / group, i)));
    }
    return in;
  }

 private:
  double centre(int z, int g, int i) const {
    return static_cast<double>(
        centres_[static_cast<size_t>((z * config_.cache.kv_heads + g) * config_.cache.head_dim + i)]);
  }
  Config config_;
  Random random_;
  std::vector<float> centres_;
  int seen_ = 0;
};

inline void random_policy(Random& r, Options& p, int& prompt, int64_t& share_of) {
  p = fixed_policy();
  if (r.one_in(12)) p.name = "full";
  const float alphas[] = {0, 0.5f, 0.6f, 1, 1, 1, 1.5f}, decays[] = {1, 0.98f, 0.98f, 0.95f, 0.9f, 0.5f};
  p.alpha = r.one_in(5) ? static_cast<float>(r.unit()) : r.of(alphas);
  p.decay = r.one_in(5) ? static_cast<float>(0.3 + 0.7 * r.unit()) : r.of(decays);
  p.history = r.one_in(6) ? 0 : 1;
  p.similarity = r.upto(0, 2);
  p.score_merge = r.upto(0, 1);
  p.init = r.upto(0, 1);
  p.underfull = r.upto(0, 1);
  const int windows[] = {0, 0, -1, 1, 2, 16, 64}, chunks[] = {1, 2, 3, 7, 16, 17, 64, 256, 256};
  p.window = r.of(windows);
  p.chunk = r.of(chunks);
  if (r.one_in(3)) p.least_budget = 0, p.least_recent = 2, p.raise_counts = 1;  // mode reference
  if (r.one_in(4)) p.sink = r.upto(1, 5);
  if (!p.full() && r.one_in(8)) {  // what is a policy of its own, and a special case to the reference
    p.name = r.one_in(2) ? "evict-only" : "streaming";
    p.alpha = 0, p.least_budget = 16, p.least_recent = 1, p.raise_counts = 0;
    if (p.name == "streaming") p.history = 0, p.underfull = 0;
  }

  prompt = r.one_in(25) ? r.upto(200, 640) : r.one_in(3) ? r.upto(1, 12) : r.upto(8, 130);
  if (r.one_in(3)) {  // shares
    p.budget = 0.05 + 0.9 * r.unit();
    p.recent = r.one_in(3) ? r.upto(1, 6) : 0.05 + 0.8 * r.unit();
    p.residual = r.one_in(3) ? r.upto(0, 4) : 0.3 * r.unit();
    if (r.one_in(4)) share_of = prompt + r.upto(0, 200);
  } else {  // counts, around the boundaries
    const int recent = r.one_in(4) ? r.upto(p.raise_counts ? 2 : 1, 2) : r.upto(2, std::max(2, prompt / 3));
    const int residual = r.one_in(4) ? p.raise_counts : r.upto(p.raise_counts, std::max(1, prompt / 8));
    const int least = recent + residual + p.sink + 1;
    const int budgets[] = {least,      least,      least + 1,  prompt - 1,
                           prompt,     prompt + 1, prompt + 5, prompt + r.upto(1, 40),
                           prompt / 2, prompt / 3, prompt / 5, prompt / 10};
    p.budget = std::max(least, r.of(budgets));
    p.recent = recent, p.residual = residual;
  }
  if (p.name == "evict-only" || p.name == "streaming") p.residual = 0;
  if (p.name == "streaming") p.recent = 1;
  if (p.full() && r.one_in(2)) {  // full, too, and read in part
    const int pages[] = {1, 3, 16, 16};
    p.name = "quest";
    p.own = {{"page", r.of(pages)}, {"wholeLayers", r.upto(0, 1)}, {"granularity", r.upto(0, 1)}};
    p.history = 0;
  }
  if (p.name != "zsmerge") return;
  if (r.one_in(4)) p.granularity = r.upto(1, 2);
  if (p.history && r.one_in(4)) p.aggregate = r.upto(1, 2);
  // Scores far below 1e-30, which float32 cannot hold, would be weights.
  if (p.aggregate == 1) p.decay = std::max(p.decay, 0.9f);
  if (p.aggregate == 0 && r.one_in(5)) p.keys = r.upto(0, 1), p.values = 1 - p.keys * r.upto(0, 1);
}

// Every kv head its own budget, around the policy's; only where each chooses for itself. A draw that does not fit is left out.
inline void random_budgets(Random& r, CacheConfig& c, int64_t tokens) {
  const double budget = c.policy.budget;
  for (int i = 0; i < c.layers * c.kv_heads; ++i) {
    const double more = r.unit() - 0.4;
    c.budgets.push_back(budget < 1 ? std::min(0.99, budget * (1 + more))
                                   : std::max(1.0, std::trunc(budget + 20 * more)));
    Options one = c.policy;
    one.budget = c.budgets.back();
    try {
      resolved(one, tokens);
    } catch (const std::exception&) {
      c.budgets.back() = budget;
    }
  }
}

// StreamingLLM with positions within the cache: a prompt in strides (one in five: whole), and a rotation. Smallest budget in slots.
inline int random_streaming(Random& r, CacheConfig& c, int prompt) {
  const int strides[] = {0, 1, 2, 7, 16, 64, 256, 300};
  const double bases[] = {10000, 10000, 500, 2};
  c.policy.name = "streaming";
  c.policy.sink = r.one_in(4) ? 0 : r.upto(1, std::max(1, prompt / 6));
  c.policy.positions = 1;
  c.policy.stride = r.of(strides);
  const int dims = r.one_in(3) ? 2 * r.upto(1, c.head_dim / 2) : c.head_dim;
  c.rotation = rotation_of(dims, r.of(bases), r.one_in(2));
  return c.policy.sink + 2;
}

// LoRC beside projections and a rotation of its own, kept in float32: latents of two bytes are rounded along axes that only float32 tells.
inline int random_lorc(Random& r, CacheConfig& c, int) {
  const int d = c.head_dim, rows = c.kv_heads * d;
  c.storage = 0;
  c.layers = r.upto(1, 3);
  Projections& p = c.projections;
  p.width = r.upto(d, 2 * d + 8);
  const auto drawn = [&](int count) {
    std::vector<std::vector<float>> all(static_cast<size_t>(c.layers));
    for (auto& one : all)
      for (int i = 0; i < count; ++i) one.push_back(r.element());
    return all;
  };
  p.keys = drawn(rows * p.width), p.values = drawn(rows * p.width);
  if (r.one_in(3)) p.key_biases = drawn(rows), p.value_biases = drawn(rows);
  const double shares[] = {0, 0.5, 0.75, 0.9};
  const int ramp = r.upto(0, 2);
  const bool keeps = ramp != 2 && c.layers > 1 && d >= 16 && r.one_in(3);
  c.policy.name = "lorc";
  c.policy.own = {{"rank", keeps ? 0 : r.of(shares)},
                  {"leastRank", ramp == 2 || keeps ? 0
                                : r.one_in(2)      ? 0.5
                                                   : 2},
                  {"keep", keeps ? 0.85 : 0},
                  {"ramp", ramp}};
  c.rotation = rotation_of(r.one_in(3) ? 2 * r.upto(1, d / 2) : d, 10000, r.one_in(2));
  return 1;
}

// `small` = few query heads and short prompts, for the portable kernels and the sanitizers.
inline Config random_config(uint64_t seed, bool small = false) {
  Random r(seed);
  Config c;
  c.seed = seed;
  const int dims[] = {2,  4,  6,  8,  10, 12, 14, 16, 18, 22,  24,  30, 32,
                      34, 40, 48, 50, 62, 64, 66, 80, 96, 112, 126, 128};
  CacheConfig& cache = c.cache;
  cache.layers = r.one_in(5) ? 2 : 1;
  cache.kv_heads = r.upto(1, 3);
  cache.heads = cache.kv_heads * (small ? r.upto(1, 3) : r.upto(1, 8));
  cache.head_dim = r.one_in(60) ? (r.one_in(2) ? 256 : 512) : r.of(dims);
  cache.storage = r.one_in(3) ? r.upto(1, 2) : 0;
  cache.trace = 1;
  int prompt = 1;
  for (;;) {
    c.share_of = 0;
    random_policy(r, cache.policy, prompt, c.share_of);
    if (small && prompt > 60) continue;
    try {
      resolved(cache.policy, c.share_of ? c.share_of : prompt);
    } catch (const std::exception&) {
      continue;  // a budget that does not fit: tested elsewhere
    }
    break;
  }
  if (cache.head_dim > 128) cache.heads = cache.kv_heads, prompt = std::min(prompt, 60);
  try {  // the shorter prompt may resolve to nothing that fits
    resolved(cache.policy, c.share_of ? c.share_of : prompt);
  } catch (const std::exception&) {
    c.share_of = 200;
    cache.policy.budget = std::max(cache.policy.budget, 0.9);
    cache.policy.recent = 4, cache.policy.residual = 1;
  }
  c.calls.push_back(prompt);
  const int turns = r.upto(0, 3);
  for (int turn = 0; turn < turns; ++turn) {
    if (r.one_in(2)) {
      for (int i = r.upto(1, small ? 8 : 30); i > 0; --i) c.calls.push_back(1);
    } else {
      int rest = r.upto(2, small ? 20 : 90);
      for (; rest > 0; rest -= cache.policy.chunk) c.calls.push_back(std::min(rest, cache.policy.chunk));
    }
  }
  if (cache.policy.granularity == 2) cache.layers = r.upto(1, 3);
  if (cache.policy.granularity == 0 && !cache.policy.full() && r.one_in(5))
    random_budgets(r, cache, c.share_of ? c.share_of : prompt);
  c.gain = r.one_in(3) ? 0 : 2 * r.unit();
  c.clusters = r.upto(1, 6);
  c.zeros = r.one_in(12);
  c.ties = r.one_in(25);
  if (c.ties) c.noise = 0;
  c.ties = c.ties || c.zeros;
  return c;
}

}  // namespace test
#endif
