// Theorem 1 of the paper and its corollaries (spec 3), asked of the reference and of the engine alike.
#ifndef ZSLAB_TEST_THEOREM_H
#define ZSLAB_TEST_THEOREM_H

#include <cmath>

#include "test/caches.h"

namespace test {

inline CacheConfig theorem_shape(Random& r, int dim) {
  CacheConfig c;
  c.layers = 1, c.kv_heads = r.upto(1, 2), c.heads = c.kv_heads * r.upto(1, 3), c.head_dim = dim;
  c.trace = 1;
  return c;
}
inline Source theorem_source(const CacheConfig& c, uint64_t seed, double gain) {
  Config config;
  config.cache = c, config.seed = seed, config.gain = gain;
  return Source(config, 0);
}

// With values that are unit vectors by position the output is the list of probabilities: none of a token that stands
// alone may be lower than under the full cache, at any step. `make(config)` gives a cache; slack is what rounding may
// take.
template <class Make>
void theorem_1(Make make, uint64_t seed, double slack) {
  Random r(seed);
  const int dims[] = {16, 32, 64, 128};
  CacheConfig c = theorem_shape(r, r.of(dims));
  const int n = r.upto(6, c.head_dim / 2), d = c.head_dim;
  const int residual = r.upto(1, std::max(1, n / 5)), recent = r.upto(1, std::max(1, n / 4));
  Options p = count_policy(r.upto(residual + recent + 1, std::max(residual + recent + 1, n - 1)), recent, residual);
  const float alphas[] = {0, 0.3f, 0.6f, 1, 1};
  p.alpha = r.of(alphas);
  p.similarity = r.upto(0, 2), p.score_merge = r.upto(0, 1), p.init = r.upto(0, 1), p.underfull = r.upto(0, 1),
  p.history = r.upto(0, 4) > 0;
  c.policy = p;
  auto compressed = make(c);
  c.policy = full_policy();
  auto full = make(c);
  Source source = theorem_source(c, seed, 2 * r.unit());

  int position = 0;
  const auto next = [&](int tokens) {
    Inputs in = source.next(tokens);
    for (int g = 0; g < c.kv_heads; ++g)
      for (int t = 0; t < tokens; ++t)
        for (int i = 0; i < d; ++i)
          in.v[static_cast<size_t>((g * tokens + t) * d + i)] = i == position + t ? 1.0f : 0.0f;
    position += tokens;
    return in;
  };
  const Inputs prompt = next(n);
  compressed.prefill(0, prompt, n);
  full.prefill(0, prompt, n);
  double lowest = 0;
  int64_t asked = 0;
  while (position < d) {
    const State state = compressed.state(0);
    const Inputs in = next(1);
    const auto kept = compressed.extend(0, in, 1), all = full.extend(0, in, 1);
    for (int h = 0; h < c.heads; ++h) {
      const int g = h / (c.heads / c.kv_heads);
      for (int s = 0; s <= state.slots(g); ++s) {
        const bool fresh = s == state.slots(g);
        if (!fresh && state.weights[state.at(g, s)] != 1) continue;
        const size_t at = static_cast<size_t>(h * d + (fresh ? position - 1 : state.first_origin(g, s)));
        lowest = std::min(lowest, static_cast<double>(kept[at]) - static_cast<double>(all[at]));
        ++asked;
      }
    }
  }
  check(asked > 0 && lowest >= -slack, "theorem 1, seed %llu (alpha %g): a probability fell by %g",
        static_cast<unsigned long long>(seed), static_cast<double>(p.alpha), -lowest);
}

// Groups of equal keys and values, alpha 1: the first output after the prompt is the full cache's.
template <class Make>
void equal_groups(Make make, uint64_t seed, double slack) {
  Random r(seed);
  const int dims[] = {4, 8, 18, 64};
  CacheConfig c = theorem_shape(r, r.of(dims));
  const int n = r.upto(8, 90), d = c.head_dim, residual = r.upto(1, std::max(1, n / 6)),
            recent = r.upto(1, std::max(1, n / 4));
  Options p = count_policy(r.upto(residual + recent + 1, std::max(residual + recent + 1, n - 1)), recent, residual);
  p.history = 0;  // so that it is known beforehand which tokens are merged: the oldest
  c.policy = p;
  auto compressed = make(c);
  c.policy = full_policy();
  auto full = make(c);
  Source source = theorem_source(c, seed, 2 * r.unit());
  Inputs in = source.next(n);
  const int rest = n - static_cast<int>(p.budget) + residual;
  for (int j = 0, from = 0; j < residual; ++j) {
    const int count = rest / residual + (j < rest % residual ? 1 : 0);
    for (int g = 0; g < c.kv_heads; ++g)
      for (int t = from + 1; t < from + count; ++t)
        for (int i = 0; i < d; ++i) {
          in.k[static_cast<size_t>((g * n + t) * d + i)] = in.k[static_cast<size_t>((g * n + from) * d + i)];
          in.v[static_cast<size_t>((g * n + t) * d + i)] = in.v[static_cast<size_t>((g * n + from) * d + i)];
        }
    from += count;
  }
  compressed.prefill(0, in, n);
  full.prefill(0, in, n);
  const Inputs step = source.next(1);
  const auto kept = compressed.extend(0, step, 1), all = full.extend(0, step, 1);
  double off = 0;
  for (size_t i = 0; i < kept.size(); ++i)
    off = std::max(off, std::fabs(static_cast<double>(kept[i]) - static_cast<double>(all[i])));
  const State state = compressed.state(0);
  check(state.slots() == static_cast<int>(p.budget), "equal groups, seed %llu: %d slots",
        static_cast<unsigned long long>(seed), state.slots());
  check(off <= slack, "equal groups, seed %llu: off by %g", static_cast<unsigned long long>(seed), off);
}

// alpha 0 is plain attention over what the cache holds; with weights 1 alpha does nothing, to the bit.
template <class Make>
void no_compensation(Make make, uint64_t seed, double slack) {
  Random r(seed);
  const int dims[] = {4, 8, 18, 64};
  CacheConfig c = theorem_shape(r, r.of(dims));
  const int n = r.upto(12, 90), d = c.head_dim;
  c.policy = count_policy(r.upto(8, 11), 2, 3);
  c.policy.alpha = 0;
  auto plain = make(c);
  c.policy = count_policy(n + 8, 2, 3);
  auto with = make(c);
  c.policy.alpha = 0;
  auto without = make(c);
  Source source = theorem_source(c, seed, 2 * r.unit());
  const Inputs in = source.next(n);
  const auto first = with.prefill(0, in, n), second = without.prefill(0, in, n);
  bool same = same_bits(first, second);
  plain.prefill(0, in, n);
  double off = 0;
  for (int step = 0; step < 6; ++step) {
    const State state = plain.state(0);
    const Inputs one = source.next(1);
    const auto out = plain.extend(0, one, 1);
    const auto a = with.extend(0, one, 1), b = without.extend(0, one, 1);
    same = same && same_bits(a, b);
    for (int h = 0; h < c.heads; ++h) {
      const int g = h / (c.heads / c.kv_heads), slots = state.slots();
      std::vector<double> sum(static_cast<size_t>(d));
      double total = 0;
      for (int s = 0; s <= slots; ++s) {
        const float* key =
            s < slots ? &state.keys[static_cast<size_t>((g * slots + s) * d)] : &one.k[static_cast<size_t>(g * d)];
        const float* value =
            s < slots ? &state.values[static_cast<size_t>((g * slots + s) * d)] : &one.v[static_cast<size_t>(g * d)];
        double dot = 0;
        for (int i = 0; i < d; ++i)
          dot += static_cast<double>(one.q[static_cast<size_t>(h * d + i)]) * static_cast<double>(key[i]);
        const double power = std::exp(dot / std::sqrt(static_cast<double>(d)));
        total += power;
        for (int i = 0; i < d; ++i) sum[static_cast<size_t>(i)] += power * static_cast<double>(value[i]);
      }
      for (int i = 0; i < d; ++i)
        off = std::max(off, std::fabs(sum[static_cast<size_t>(i)] / total -
                                      static_cast<double>(out[static_cast<size_t>(h * d + i)])));
    }
  }
  check(off <= slack, "alpha 0, seed %llu: %g from plain attention", static_cast<unsigned long long>(seed), off);
  check(same, "seed %llu: alpha changes a cache whose weights are all 1", static_cast<unsigned long long>(seed));
}

}  // namespace test
#endif
