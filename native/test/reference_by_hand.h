// Cases small enough to be worked out by hand, each a sentence of the spec.
#ifndef ZSLAB_TEST_REFERENCE_BY_HAND_H
#define ZSLAB_TEST_REFERENCE_BY_HAND_H

#include "test/caches.h"

namespace test {

inline bool resolves(const Options& p, int64_t tokens, int64_t budget, int64_t recent, int64_t residual) {
  const auto r = resolved(p, tokens);
  return r.budget == budget && r.recent == recent && r.residual == residual &&
         r.context == budget - recent - residual - p.sink;
}
inline bool refused(const Options& p, int64_t tokens) {
  try {
    resolved(p, tokens);
    return false;
  } catch (const std::invalid_argument&) {
    return true;
  }
}

inline void resolving_by_hand() {
  Options fixed = fixed_policy(), like_reference = fixed_policy();
  like_reference.recent = 0.1, like_reference.residual = 1;
  like_reference.least_budget = 0, like_reference.least_recent = 2, like_reference.raise_counts = 1;
  check(resolves(fixed, 1000, 200, 100, 2), "fixed, 1000 tokens");
  check(resolves(fixed, 100, 20, 10, 1), "fixed: a residual share gives at least 1");
  check(resolves(fixed, 30, 16, 8, 1), "fixed: a budget share gives at least 16");
  check(resolves(like_reference, 300, 60, 6, 1), "reference, 300 tokens");
  check(resolves(like_reference, 20, 4, 2, 1), "reference: recent is raised to 2");
  check(refused(like_reference, 15), "reference: 3 slots are not more than 2 + 1");
  fixed.residual = 0;
  check(resolves(fixed, 100, 20, 10, 0), "fixed: 0 residual slots mean none");
  like_reference.residual = 0;
  check(resolves(like_reference, 300, 60, 6, 1), "reference: residual is raised to 1");
  fixed.recent = 0;
  check(refused(fixed, 100), "fixed: a recent of 0 is an error");
  check(resolves(count_policy(8, 1, 0), 5, 8, 1, 0), "counts; 1.0 is one slot");
  check(refused(count_policy(8, 6, 2), 5), "budget = recent + residual is refused, also for a short prompt");
  Options sinks = count_policy(8, 2, 0);
  sinks.sink = 5;
  check(resolves(sinks, 5, 8, 2, 0), "sinks leave one slot for context");
  sinks.sink = 6;
  check(refused(sinks, 5), "sinks leave no slot for context");
  Options window = fixed_policy();
  check(resolved(window, 9).window == 798, "0.98^798 is the first power below 1e-7");
  window.decay = 0.5f;
  check(resolved(window, 9).window == 24, "0.5^24 is the first power below 1e-7");
}

inline void storage_by_hand() {
  using reference::Storage;
  using reference::stored;
  check(stored(1.0f / 3, Storage::kBfloat16) == 0.333984375, "1/3 in bfloat16");
  check(stored(1.0f / 3, Storage::kFloat16) == 0.333251953125, "1/3 in float16");
  check(stored(1 + 0x1p-8f, Storage::kBfloat16) == 1 && stored(1 + 3 * 0x1p-8f, Storage::kBfloat16) == 1 + 0x1p-6,
        "bfloat16 ties go to even");
  check(stored(1 + 0x1p-11f, Storage::kFloat16) == 1 && stored(1 + 3 * 0x1p-11f, Storage::kFloat16) == 1 + 0x1p-9,
        "float16 ties go to even");
  check(stored(65519, Storage::kFloat16) == 65504 && std::isinf(stored(65520, Storage::kFloat16)),
        "float16 ends at 65504");
  check(stored(0x1p-24f, Storage::kFloat16) == 0x1p-24 && stored(0x1p-25f, Storage::kFloat16) == 0,
        "float16 subnormals");
  check(stored(-0.1f, Storage::kFloat32) == static_cast<double>(-0.1f), "float32 stays");
}

struct Tiny {
  reference::Cache cache;
  explicit Tiny(const Options& p, int dim = 2) : cache(shape(dim), reference::make(*asked_of(p))) {}
  static reference::Shape shape(int dim) {
    reference::Shape s;
    s.head_dim = dim;
    return s;
  }
  std::string origins() const {
    std::string text;
    for (const auto& slot : cache.head(0, 0).slots) {
      for (size_t i = 0; i < slot.origins.size(); ++i) text += (i ? "+" : " ") + std::to_string(slot.origins[i]);
    }
    return text.empty() ? text : text.substr(1);
  }
};

inline void regions_by_hand() {
  const auto run = [](Options p, int prompt, int steps) {
    Tiny tiny(p);
    const std::vector<float> zero(static_cast<size_t>(prompt * 2), 0.0f), one(2, 0.0f);
    tiny.cache.prefill(0, zero, zero, zero, prompt);
    for (int i = 0; i < steps; ++i) tiny.cache.extend(0, one, one, one, 1);
    return tiny.origins();
  };
  const auto is = [](const std::string& given, const char* expected) {
    check(given == expected, "%s, not %s", given.c_str(), expected);
  };
  Options streaming = count_policy(6, 2, 0);
  streaming.history = 0, streaming.sink = 2;
  is(run(streaming, 10, 0), "0 1 6 7 8 9");
  is(run(streaming, 10, 1), "0 1 9 7 8 10");
  check(Tiny(streaming).origins().empty(), "an empty cache");
  is(run(streaming, 10, 2), "0 1 9 10 8 11");
  streaming.underfull = 1;
  is(run(streaming, 6, 1), "0 1 5 3 4 6");
  // Zero keys make every probability of a row equal; the earliest tokens then have the highest scores.
  is(run(count_policy(5, 2, 1), 7, 0), "2+3+4 0 1 5 6");
  is(run(count_policy(6, 2, 2), 9, 0), "2+3+4 5+6 0 1 7 8");
  Options window = count_policy(5, 2, 1);
  window.window = 1, window.decay = 1;  // all scores equal: ties go to the lowest
  is(run(window, 7, 0), "2+3+4 0 1 5 6");
  is(run(window, 7, 1), "2+3+4+0 6 1 5 7");
  is(run(count_policy(3, 1, 1), 5, 1), "1+2+3+4 0 5");  // recent 1: no ring, the new token takes the victim's slot
}

inline void similarity_by_hand() {
  const auto run = [](int similarity, std::vector<float> keys) {
    Options p = count_policy(4, 1, 2);
    p.history = 0, p.init = 1, p.similarity = similarity;
    Tiny tiny(p);
    const std::vector<float> rest = {5, 5, 6, 6};
    keys.insert(keys.end(), rest.begin(), rest.end());
    tiny.cache.prefill(0, keys, keys, keys, 5);
    return tiny.origins();
  };
  check(run(ZS_DOT, {1, 0, 0, 3, 2, 1}) == "0 1+2 3 4", "dot: 3 against 2");
  check(run(ZS_L2, {1, 0, 0, 3, 2, 1}) == "0+2 1 3 4", "l2: 2 against 8");
  check(run(ZS_COSINE, {1, 0, 0, 3, 2, 1}) == "0+2 1 3 4", "cosine: 0.89 against 0.45");
  check(run(ZS_COSINE, {0, 0, -1, -2, 2, 1}) == "0 1+2 3 4", "cosine: a zero key counts as -1, less than -0.8");
  check(run(ZS_DOT, {0, 0, 0, 0, 2, 1}) == "0+2 1 3 4", "ties go to the lowest slot");

  Options p = count_policy(3, 1, 1);
  p.history = 0;
  Tiny tiny(p);
  const std::vector<float> x = {1, 2, 3, 4, 8, 9, 7, 7, 7, 7};
  tiny.cache.prefill(0, x, x, x, 5);
  const reference::Slot& slot = tiny.cache.head(0, 0).slots[0];
  check(tiny.origins() == "0+1+2 3 4" && slot.weight == 3 && std::fabs(slot.key[0] - 4) < 1e-12 &&
            std::fabs(slot.value[1] - 5) < 1e-12,
        "a residual slot is the mean of its members");
}

inline double off(const State& a, const State& b) {
  if (!same_bits(a.positions, b.positions) || !same_bits(a.offsets, b.offsets) || !same_bits(a.weights, b.weights))
    return INFINITY;
  double most = 0;
  for (size_t i = 0; i < a.keys.size(); ++i)
    most = std::max({most, std::fabs(static_cast<double>(a.keys[i] - b.keys[i])),
                     std::fabs(static_cast<double>(a.values[i] - b.values[i]))});
  for (size_t i = 0; i < a.scores.size(); ++i)
    most = std::max(most, std::fabs(static_cast<double>(a.scores[i] - b.scores[i])));
  return most;
}

// Spec 5a: a prompt of B + 1 and a shorter one decoded to B + 1 end alike. Spec 5b: where nothing is compressed a chunk
// is the same as having been in the prompt. Both need all rows at prefill.
inline void equalities(uint64_t seed) {
  Random r(seed);
  Config config;
  config.seed = seed, config.gain = 1;
  CacheConfig& c = config.cache;
  c.layers = 1, c.kv_heads = 2, c.heads = 4, c.head_dim = 6;
  const int budget = r.upto(8, 30), prompt = r.upto(1, budget), tokens = budget + 1;
  c.policy = r.one_in(3) ? full_policy() : count_policy(budget, r.upto(1, 3), r.upto(0, 3));
  c.policy.window = -1, c.policy.init = r.upto(0, 1), c.policy.similarity = r.upto(0, 2),
  c.policy.history = r.upto(0, 3) > 0;
  const bool chunked = c.policy.full();
  const Inputs all = Source(config, 0).next(tokens);
  const auto part = [&](const std::vector<float>& x, int heads, int from, int count) {
    std::vector<float> rows;
    for (int h = 0; h < heads; ++h) {
      const auto p = x.begin() + (h * tokens + from) * c.head_dim;
      rows.insert(rows.end(), p, p + count * c.head_dim);
    }
    return rows;
  };
  const auto cut = [&](int from, int count) {
    return Inputs{part(all.q, 4, from, count), part(all.k, 2, from, count), part(all.v, 2, from, count)};
  };
  ReferenceCache whole(c), grown(c);
  whole.prefill(0, all, tokens);
  grown.prefill(0, cut(0, prompt), prompt);
  if (chunked) {
    grown.extend(0, cut(prompt, tokens - prompt), tokens - prompt);
  } else {
    for (int t = prompt; t < tokens; ++t) grown.extend(0, cut(t, 1), 1);
  }
  check(off(whole.state(0), grown.state(0)) <= 1e-6, "seed %llu: a prompt of %d and %d then %d more differ",
        static_cast<unsigned long long>(seed), tokens, prompt, tokens - prompt);
}

}  // namespace test
#endif
