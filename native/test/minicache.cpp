// MiniCache by hand: what a pair of layers holds of tokens whose directions and lengths are known, and what its caches have in common with
// others of the same tokens.
#include "test/runs.h"

namespace {

using test::Cache;
using test::check;
using test::Config;
using test::Inputs;
using test::Random;
using test::State;

constexpr int kDim = 8, kTokens = 40;

Config config_of(double t, double retain, int retention, int layers = 2) {
  Config c;
  c.seed = 17;
  c.cache.layers = layers, c.cache.heads = 4, c.cache.kv_heads = 2, c.cache.head_dim = kDim;
  c.cache.policy.name = "minicache", c.cache.policy.budget = 0, c.cache.policy.chunk = 8;
  c.cache.policy.own = {{"start", 0}, {"t", t}, {"retain", retain}, {"retention", retention}};
  c.calls = {kTokens, 1, 1, 8, 1, 5, 1};
  return c;
}

double dot(const float* a, const float* b) {
  double sum = 0;
  for (int i = 0; i < kDim; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}
double length(const float* x) { return std::sqrt(dot(x, x)); }
double angle(const float* a, const float* b) {
  return std::acos(std::max(-1.0, std::min(1.0, dot(a, b) / length(a) / length(b))));
}
double apart(const float* a, const float* b) {
  double sum = 0;
  for (int i = 0; i < kDim; ++i) sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
  return std::sqrt(sum);
}

struct Pair {
  Inputs in[2];  // by layer, of the prompt
  State held[2];
};

// A prompt through both layers; `change` may set what came.
template <class F>
Pair prompt(const test::Engine& engine, const Config& c, F change) {
  Pair p;
  auto sources = test::sources_of(c);
  for (int l = 0; l < 2; ++l) p.in[l] = sources[static_cast<size_t>(l)].next(kTokens);
  change(p);
  Cache cache(engine, c.cache);
  for (int l = 0; l < 2; ++l) cache.prefill(l, p.in[l], kTokens);
  for (int l = 0; l < 2; ++l) p.held[l] = cache.state(l);
  check(cache.receipt().weights_sum == 1 && cache.receipt().positions_once == 1, "the books do not add up");
  return p;
}
Pair prompt(const test::Engine& engine, const Config& c) {
  return prompt(engine, c, [](Pair&) {});
}

// f(what came in both layers, what is held in both), for keys and values of each slot of each kv head.
template <class F>
void each(const Pair& p, F f) {
  for (int g = 0; g < 2; ++g)
    for (int s = 0; s < kTokens; ++s) {
      const size_t to = p.held[0].at(g, s) * kDim;
      const size_t from = static_cast<size_t>(g * kTokens + p.held[0].first_origin(g, s)) * kDim;
      check(p.held[0].first_origin(g, s) == p.held[1].first_origin(g, s), "slot %d is another token's above", s);
      f(&p.in[0].k[from], &p.in[1].k[from], &p.held[0].keys[to], &p.held[1].keys[to]);
      f(&p.in[0].v[from], &p.in[1].v[from], &p.held[0].values[to], &p.held[1].values[to]);
    }
}

void identities(const test::Engine& engine) {
  for (double t : {0.0, 0.25, 0.6, 1.0})
    each(prompt(engine, config_of(t, 0, 0)), [&](const float* a, const float* b, const float* x, const float* y) {
      const double w = angle(a, b);
      check(std::fabs(length(x) - length(a)) < 1e-6 && std::fabs(length(y) - length(b)) < 1e-6, "a length changed");
      check(std::fabs(angle(a, x) - t * w) < 1e-3, "t %g: %g of an angle of %g", t, angle(a, x), w);
      check(std::fabs(apart(a, x) - 2 * length(a) * std::sin(t * w / 2)) < 1e-5, "t %g: below off by %g", t,
            apart(a, x));
      check(std::fabs(apart(b, y) - 2 * length(b) * std::sin((1 - t) * w / 2)) < 1e-5, "t %g: above off by %g", t,
            apart(b, y));
      if (t == 0) check(apart(a, x) < 1e-6, "t 0 changed the lower layer");
      if (t == 1) check(apart(b, y) < 1e-6, "t 1 changed the upper layer");
    });
  // Parallel: nothing is lost.
  const Pair same = prompt(engine, config_of(0.6, 0, 0), [](Pair& p) {
    p.in[1] = p.in[0];
    for (float& x : p.in[1].k) x *= 3;
    for (float& x : p.in[1].v) x *= 0.3f;
  });
  each(same, [](const float* a, const float* b, const float* x, const float* y) {
    check(apart(a, x) < 1e-6 && apart(b, y) < 1e-6 * std::max(1.0, length(b)), "parallel directions are off by %g, %g",
          apart(a, x), apart(b, y));
  });
  // No arc: opposite, zero, not finite. All else merges, and nothing is lost of these.
  const Pair odd = prompt(engine, config_of(0.6, 0, 0), [](Pair& p) {
    for (int i = 0; i < kDim; ++i) {
      p.in[1].k[static_cast<size_t>(i)] = -p.in[0].k[static_cast<size_t>(i)];
      p.in[1].v[static_cast<size_t>(kDim + i)] = -2 * p.in[0].v[static_cast<size_t>(kDim + i)];
      p.in[0].k[static_cast<size_t>(2 * kDim + i)] = 0;
      p.in[1].v[static_cast<size_t>(3 * kDim + i)] = 0;
    }
    p.in[0].k[4 * kDim] = NAN, p.in[1].k[5 * kDim] = INFINITY, p.in[0].v[6 * kDim] = -INFINITY;
    for (int i = 0; i < kDim; ++i) p.in[0].k[static_cast<size_t>(7 * kDim + i)] = 3e38f;  // longer than any float32
  });
  for (int l = 0; l < 2; ++l)
    for (int s = 0; s < 8; ++s) {
      const size_t to = odd.held[l].at(0, kTokens - 8 + s) * kDim, from = static_cast<size_t>(s) * kDim;
      check(odd.held[l].first_origin(0, kTokens - 8 + s) == s, "token %d was merged", s);
      check(!std::memcmp(&odd.held[l].keys[to], &odd.in[l].k[from], kDim * 4) &&
                !std::memcmp(&odd.held[l].values[to], &odd.in[l].v[from], kDim * 4),
            "token %d is not as it came", s);
    }
}

void retention(const test::Engine& engine) {
  for (int rule = 0; rule < 2; ++rule) {
    const Pair p = prompt(engine, config_of(0.6, 0.1, rule));
    for (int g = 0; g < 2; ++g) {
      std::vector<double> angles;
      for (size_t i = 0; i < kTokens; ++i) {
        const size_t at = (static_cast<size_t>(g) * kTokens + i) * kDim;
        angles.push_back(angle(&p.in[0].k[at], &p.in[1].k[at]));
      }
      std::vector<double> sorted = angles;
      std::sort(sorted.rbegin(), sorted.rend());
      const double bound = rule ? sorted[0] - 0.1 * (sorted[0] - sorted.back()) : (sorted[3] + sorted[4]) / 2;
      std::vector<int> due, stayed;
      for (int i = 0; i < kTokens; ++i)
        if (angles[static_cast<size_t>(i)] > bound) due.push_back(i);
      for (int s = kTokens - static_cast<int>(due.size()); s < kTokens; ++s) {
        stayed.push_back(p.held[0].first_origin(g, s));
        const size_t to = p.held[0].at(g, s) * kDim, from = static_cast<size_t>(g * kTokens + stayed.back()) * kDim;
        for (int l = 0; l < 2; ++l)
          check(!std::memcmp(&p.held[l].keys[to], &p.in[l].k[from], kDim * 4) &&
                    !std::memcmp(&p.held[l].values[to], &p.in[l].v[from], kDim * 4),
                "a token that stayed is not as it came");
      }
      check(stayed == due && (rule || due.size() == 4), "rule %d: other tokens stayed", rule);
    }
  }
}

// The same tokens as by the full cache, to the bit, where nothing is merged; elsewhere otherwise.
void whole(const test::Engine& engine) {
  for (int rule = 0; rule < 2; ++rule)
    for (double retain : {1.0, 0.5}) {
      const Config c = config_of(0.6, retain, rule, 3);
      Config full = c;
      full.cache.policy.name = "full", full.cache.policy.history = 0;
      Cache a(engine, c.cache), b(engine, full.cache);
      auto x = test::sources_of(c), y = test::sources_of(full);
      const bool same =
          test::same_bits(test::run(a, c, x, 0, c.calls.size()), test::run(b, full, y, 0, c.calls.size()));
      check(same == (retain == 1), "retain %g is %sthe full cache", retain, same ? "" : "not ");
      check(retain < 1 || test::same_bits(test::states_of(a)[2].keys, test::states_of(b)[2].keys),
            "a layer alone differs");
    }
}

// Forks go on by themselves; a fork of a full cache is what a prompt under the policy gives; tokens taken back come again.
void forks(const test::Engine& engine) {
  const Config c = config_of(0.6, 0.1, 0, 4);
  const size_t half = 4, end = c.calls.size();
  Cache cache(engine, c.cache);
  auto sources = test::sources_of(c);
  test::run(cache, c, sources, 0, half);
  Cache fork = cache.fork();
  const auto before = test::states_of(fork);
  auto again = sources;
  const auto outputs = test::run(cache, c, sources, half, end);
  check(test::same_bits(test::states_of(fork), before), "a fork changed with what it came from");
  check(test::same_bits(test::run(fork, c, again, half, end), outputs), "a fork goes on otherwise");
  check(test::same_bits(test::states_of(fork), test::states_of(cache)), "a fork ends otherwise");

  Config full = c;
  full.cache.policy.name = "full", full.cache.policy.history = 0, full.cache.policy.own = {};
  Cache read(engine, full.cache);
  auto rest = test::sources_of(full);
  test::run(read, full, rest, 0, 1);
  zs_cache* made = nullptr;
  const auto native = c.cache.policy.native();
  test::must(zs_cache_fork_policies(read.handle, &native->policy, nullptr, 1, 1, &made, nullptr), "fork");
  Cache under(made, c.cache), fresh(engine, c.cache);
  auto own = test::sources_of(c);
  test::run(fresh, c, own, 0, 1);
  check(test::same_bits(test::states_of(under), test::states_of(fresh)), "a fork of a full cache differs");
  check(test::same_bits(test::run(under, c, rest, 1, end), test::run(fresh, c, own, 1, end)), "it goes on otherwise");
  zs_cache* none = nullptr;
  const auto other = full.cache.policy.native();
  check(zs_cache_fork_policies(under.handle, &other->policy, nullptr, 1, 1, &none, nullptr) == ZS_UNSUPPORTED,
        "a merged cache was forked under another policy");
}

void order(const test::Engine& engine) {
  const Config c = config_of(0.6, 0.1, 0, 3);
  Cache cache(engine, c.cache);
  auto sources = test::sources_of(c);
  std::vector<float> out;
  const Inputs in = sources[1].next(kTokens);
  check(cache.try_prefill(1, in, kTokens, 0, out) == ZS_INVALID && std::strstr(zs_last_error(), "layer 0 is due"),
        "layer 1 came first: %s", zs_last_error());
  for (int l = 0; l < 3; ++l) cache.prefill(l, sources[static_cast<size_t>(l)].next(kTokens), kTokens);
  cache.extend(0, sources[0].next(1), 1);
  check(cache.try_extend(2, sources[2].next(1), 1, out) == ZS_INVALID && std::strstr(zs_last_error(), "layer 1 is due"),
        "layer 2 came too early: %s", zs_last_error());
  check(cache.try_extend(0, sources[0].next(1), 1, out) == ZS_INVALID, "layer 0 came twice");
  Cache alone(engine, config_of(0.6, 0.1, 0, 1).cache);
  check(alone.try_prefill(0, in, kTokens, 0, out) == ZS_INVALID && std::strstr(zs_last_error(), "lower start"),
        "one layer was taken: %s", zs_last_error());
}

}  // namespace

int main() {
  try {
    const test::Engine engine(2);
    identities(engine);
    retention(engine);
    whole(engine);
    forks(engine);
    order(engine);
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::finish("minicache");
}
