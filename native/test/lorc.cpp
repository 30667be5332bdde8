// LoRC beyond what the judge asks (guests.cpp): what the method promises about ranks, errors and full rank, absorbed projections, forks,
// rollback, chunks, threads and instruction sets, bytes, and what is refused.
#include <functional>
#include <numeric>

#include "test/caches.h"

namespace {

using test::Cache;
using test::check;
using test::Engine;
using test::Inputs;
using test::Random;

test::CacheConfig shape(int layers, int head_dim, double rank, double least, double keep, int ramp, uint64_t seed = 1) {
  Random r(seed);
  test::CacheConfig c;
  c.layers = layers, c.heads = 6, c.kv_heads = 2, c.head_dim = head_dim;
  test::random_lorc(r, c, 0);
  c.layers = layers;
  test::Projections& p = c.projections;
  p = {};
  p.width = head_dim + 11;
  for (int l = 0; l < layers; ++l)
    for (auto* all : {&p.keys, &p.values}) {
      all->emplace_back();
      for (int i = 0; i < c.kv_heads * head_dim * p.width; ++i) all->back().push_back(r.element());
    }
  c.policy.own = {{"rank", rank}, {"leastRank", least}, {"keep", keep}, {"ramp", ramp}};
  return c;
}

// Diagonal projections of one head, with singular values from 1 down to exp(-log condition), in whatever order.
test::CacheConfig diagonal(const std::vector<double>& log_conditions, int d, double rank, double least, int ramp) {
  test::CacheConfig c = shape(static_cast<int>(log_conditions.size()), d, rank, least, 0, ramp);
  c.heads = c.kv_heads = 1;
  c.projections = {};
  c.projections.width = d;
  for (double log_condition : log_conditions)
    for (auto* all : {&c.projections.keys, &c.projections.values}) {
      const bool keys = all == &c.projections.keys;
      all->emplace_back(static_cast<size_t>(d * d));
      for (int i = 0; i < d; ++i)
        all->back()[static_cast<size_t>(i * d + i)] =
            static_cast<float>(keys ? std::exp(-log_condition * i / (d - 1)) : 1);
    }
  return c;
}

std::vector<Inputs> inputs(const test::CacheConfig& c, const std::vector<int>& calls, uint64_t seed = 7) {
  test::Config text;
  text.cache = c, text.seed = seed;
  std::vector<test::Source> sources;
  for (int l = 0; l < c.layers; ++l) sources.emplace_back(text, l);
  std::vector<Inputs> all;
  for (int tokens : calls)
    for (auto& source : sources) all.push_back(source.next(tokens));
  return all;
}

std::vector<std::vector<float>> fed(Cache& cache, const std::vector<Inputs>& in, const std::vector<int>& calls,
                                    size_t from = 0) {
  std::vector<std::vector<float>> out;
  const size_t layers = static_cast<size_t>(cache.config.layers);
  for (size_t call = from; call < calls.size(); ++call)
    for (size_t l = 0; l < layers; ++l) {
      const Inputs& one = in[call * layers + l];
      out.push_back(call ? cache.extend(static_cast<int>(l), one, calls[call])
                         : cache.prefill(static_cast<int>(l), one, calls[call]));
    }
  return out;
}

const std::vector<int> kCalls = {40, 1, 1, 1, 30, 1, 1};

// Rank full: the full cache's outputs.
void full_rank(const Engine& engine) {
  for (int storage : {0, 2}) {
    test::CacheConfig c = shape(2, 32, 0, 0, 0, 2), plain = c;
    c.storage = plain.storage = storage;
    plain.policy = test::Options{};
    plain.policy.name = "streaming", plain.policy.budget = 1000, plain.policy.positions = 1, plain.policy.sink = 0;
    plain.projections = {};
    Cache a(engine, c), b(engine, plain);
    const auto in = inputs(c, kCalls);
    const auto x = fed(a, in, kCalls), y = fed(b, in, kCalls);
    double off = 0;
    for (size_t i = 0; i < x.size(); ++i)
      for (size_t j = 0; j < x[i].size(); ++j)
        off = std::max(off, std::fabs(static_cast<double>(x[i][j]) - static_cast<double>(y[i][j])));
    check(off <= (storage ? 2e-2 : 1e-5), "storage %d: full rank is off by %g", storage, off);
  }
}

// Keys that are the projection's own columns: what they lose is the rest of the singular values, squared and summed; and of any keys W x
// no more than ‖x‖ times the first of them.
void errors(const Engine& engine) {
  const int d = 16, rank = 6;
  test::CacheConfig c = shape(1, d, rank, 0, 0, 2, 5);
  const int width = c.projections.width;
  const std::vector<float>& w = c.projections.keys[0];
  Cache cache(engine, c);
  Inputs in;
  in.q.assign(static_cast<size_t>(c.heads * width * d), 0.5f),
      in.v.assign(static_cast<size_t>(c.kv_heads * width * d), 1);
  for (int g = 0; g < c.kv_heads; ++g)
    for (int x = 0; x < width; ++x)
      for (int i = 0; i < d; ++i) in.k.push_back(w[static_cast<size_t>((g * d + i) * width + x)]);
  cache.prefill(0, in, width);
  const test::State held = cache.state(0);
  for (int g = 0; g < c.kv_heads; ++g) {
    const auto arrays = cache.inspect(0, g);
    const auto& sizes = arrays.at("keySpectrum").data;
    double lost = 0, rest = 0;
    for (int j = rank; j < d; ++j)
      rest += static_cast<double>(sizes[static_cast<size_t>(j)]) * static_cast<double>(sizes[static_cast<size_t>(j)]);
    double worst = 0;
    for (int x = 0; x < width; ++x) {
      double one = 0;
      for (int i = 0; i < d; ++i) {
        const size_t at = static_cast<size_t>((g * width + x) * d + i);
        one += std::pow(static_cast<double>(held.keys[at]) - static_cast<double>(in.k[at]), 2);
      }
      lost += one, worst = std::max(worst, std::sqrt(one));
    }
    check(std::fabs(lost - rest) <= 1e-5 * rest, "head %d: the keys lost %g, the singular values left out are %g", g,
          lost, rest);
    check(worst <= static_cast<double>(sizes[rank]) * (1 + 1e-5),
          "head %d: a key of unit x is off by %g, the bound is %g", g, worst, static_cast<double>(sizes[rank]));
    double sum = 0, all = 0;  // of squares: the projection's own
    for (float s : sizes) sum += static_cast<double>(s) * static_cast<double>(s);
    for (int i = 0; i < d * width; ++i)
      all += std::pow(static_cast<double>(w[static_cast<size_t>(g * d * width + i)]), 2);
    check(std::fabs(sum - all) <= 1e-5 * all, "head %d: squares of singular values %g, of the projection %g", g, sum,
          all);
    const auto& basis = arrays.at("keyBasis");
    check(basis.shape == std::vector<int>({rank, d}), "head %d: the basis is [%d][%d]", g, basis.shape[0],
          basis.shape[1]);
  }
}

std::vector<int> ranks_of(const Engine& engine, const test::CacheConfig& c) {
  Cache cache(engine, c);
  std::vector<int> ranks;
  fed(cache, inputs(c, {3}), {3});
  for (int l = 0; l < c.layers; ++l) ranks.push_back(cache.inspect(l, 0).at("keyBasis").shape[0]);
  return ranks;
}
std::string text_of(const std::vector<int>& all) {
  std::string text;
  for (int one : all) text += " " + std::to_string(one);
  return text;
}

void ramps(const Engine& engine) {
  const auto expect = [&](const test::CacheConfig& c, const std::vector<int>& due, const char* what) {
    const auto found = ranks_of(engine, c);
    check(found == due, "%s: ranks%s, expected%s", what, text_of(found).c_str(), text_of(due).c_str());
  };
  // Cumulative log condition numbers 9, 7.5, 5, 4, 1.
  const std::vector<double> given = {1.5, 2.5, 1, 3, 1};
  expect(diagonal(given, 64, 64, 32, 0), {64, 58, 48, 44, 32}, "from 64 to 32");
  expect(diagonal(given, 64, 0, 0.5, 0), {64, 58, 48, 44, 32}, "shares");
  expect(diagonal(given, 64, 64, 32, 1), {32, 38, 48, 52, 64}, "inverse");
  expect(diagonal(given, 64, 24, 0, 2), {24, 24, 24, 24, 24}, "flat");
  // Equal ones: a straight line.
  expect(diagonal(std::vector<double>(8, 1.0), 128, 128, 64, 0), {128, 118, 110, 100, 92, 82, 74, 64},
         "equal condition numbers");
  test::CacheConfig kept = diagonal(given, 64, 0, 0, 0);
  kept.policy.own["keep"] = 0.8;
  const auto found = ranks_of(engine, kept);
  check(std::abs(std::accumulate(found.begin(), found.end(), 0) - static_cast<int>(0.8 * 64 * 5)) <= 5, "keep 0.8:%s",
        text_of(found).c_str());
}

// Without rotation a query may be made short instead of keys long: the attention over latents by hand.
void absorbed(const Engine& engine) {
  test::CacheConfig c = shape(1, 16, 6, 0, 0, 2, 9);
  c.rotation.frequencies.assign(8, 0.0);
  Cache cache(engine, c);
  const std::vector<int> calls = {20, 1};
  const auto in = inputs(c, calls);
  const auto out = fed(cache, in, calls).back();
  const int group = c.heads / c.kv_heads;
  double off = 0;
  for (int h = 0; h < c.heads; ++h) {
    const int g = h / group;
    const auto arrays = cache.inspect(0, g);
    const auto part = [&](const char* basis, const float* x, int j) {
      double sum = 0;
      for (int i = 0; i < 16; ++i)
        sum += static_cast<double>(arrays.at(basis).data[static_cast<size_t>(j * 16 + i)]) * static_cast<double>(x[i]);
      return sum;
    };
    std::vector<double> weights, values(6);
    double total = 0;
    for (int t = 0; t <= 20; ++t) {
      const Inputs& from = in[t < 20 ? 0 : 1];
      const float* key = from.k.data() + (t < 20 ? (g * 20 + t) * 16 : g * 16);
      double logit = 0;
      for (int j = 0; j < 6; ++j) logit += part("keyBasis", in[1].q.data() + h * 16, j) * part("keyBasis", key, j);
      weights.push_back(std::exp(logit / 4));
      total += weights.back();
      const float* value = from.v.data() + (t < 20 ? (g * 20 + t) * 16 : g * 16);
      for (int j = 0; j < 6; ++j) values[static_cast<size_t>(j)] += weights.back() * part("valueBasis", value, j);
    }
    for (int i = 0; i < 16; ++i) {
      double due = 0;  // the value's basis, folded into what comes after
      for (int j = 0; j < 6; ++j)
        due += values[static_cast<size_t>(j)] / total *
               static_cast<double>(arrays.at("valueBasis").data[static_cast<size_t>(j * 16 + i)]);
      off = std::max(off, std::fabs(due - static_cast<double>(out[static_cast<size_t>(h * 16 + i)])));
    }
  }
  check(off <= 1e-5, "attention over latents is off by %g", off);
}

// One result on any number of threads and every instruction set; forks and tokens taken back; a chunk is its tokens one by one.
void one_result() {
  const Engine engine(1);
  for (int storage : {0, 1, 2}) {
    test::CacheConfig c = shape(2, 32, 0.75, 0.25, 0, 0, 3);
    c.storage = storage;
    // Portable kernels under a sanitizer take a minute for the long one.
    const std::vector<int> calls = {test::cases(300, 300, 60), 1, 1, 20, 1};
    const auto in = inputs(c, calls);
    Cache cache(engine, c);
    const auto expected = fed(cache, in, calls);
    for (int isa : {ZS_ISA_GENERIC, ZS_ISA_AVX2, ZS_ISA_AVX512})
      for (int threads : {1, 3}) {
        zs_engine* able = nullptr;
        if (zs_engine_create(threads, isa, &able) != ZS_OK) continue;
        zs_engine_destroy(able);
        const Engine other(threads, static_cast<zs_isa>(isa));
        Cache again(other, c);
        bool same = true;
        const auto found = fed(again, in, calls);
        for (size_t i = 0; i < found.size(); ++i) same = same && test::same_bits(found[i], expected[i]);
        check(same && test::same_bits(again.state(1), cache.state(1)),
              "storage %d: isa %d with %d threads gives other bits", storage, isa, threads);
      }
    Cache fork = cache.fork();
    const test::State before = cache.state(0);
    const std::vector<int> more = {1, 1, 12, 1};
    const auto next = inputs(c, more, 99);
    const auto feed = [&](Cache& to) {
      std::vector<std::vector<float>> out;
      for (size_t i = 0; i < next.size(); ++i) out.push_back(to.extend(static_cast<int>(i % 2), next[i], more[i / 2]));
      return out;
    };
    const auto once = feed(cache);
    check(test::same_bits(fork.state(0), before), "storage %d: a fork changed with its origin", storage);
    test::must(zs_cache_rollback(cache.handle, 15), "rollback");
    check(test::same_bits(cache.state(0), before) && test::same_bits(cache.state(1), fork.state(1)),
          "storage %d: taken back, but not as before", storage);
    check(feed(cache) == once && feed(fork) == once, "storage %d: after going back or in a fork it goes on otherwise",
          storage);
    check(zs_cache_rollback(cache.handle, calls[0]) == ZS_UNSUPPORTED, "a prompt of latents was taken back in part");
    const zs_receipt r = cache.receipt();
    check(r.weights_sum == 1 && r.positions_once == 1 && r.finite == 1 && r.compressed == 1, "storage %d: the receipt",
          storage);
  }
}

void bytes(const Engine& engine) {
  test::CacheConfig c = shape(1, 64, 16, 0, 0, 2);
  Cache cache(engine, c);
  fed(cache, inputs(c, {1000}), {1000});
  std::vector<int64_t> all(static_cast<size_t>(c.kv_heads) * ZS_REGIONS);
  test::must(zs_cache_bytes(cache.handle, all.data()), "bytes");
  for (int g = 0; g < c.kv_heads; ++g) {
    const int64_t* one = all.data() + g * ZS_REGIONS;
    check(one[ZS_CONTEXT] + one[ZS_SPARE] >= 1000 * 2 * 16 * 4 &&
              one[ZS_CONTEXT] + one[ZS_SPARE] <= 1100 * 2 * 16 * 4 + 65536,
          "head %d: %lld bytes of latents, %lld spare", g, static_cast<long long>(one[ZS_CONTEXT]),
          static_cast<long long>(one[ZS_SPARE]));
    check(one[ZS_BOOKKEEPING] >= 2 * (16 * 64 + 64) * 4, "head %d: bases are not counted: %lld", g,
          static_cast<long long>(one[ZS_BOOKKEEPING]));
  }
}

void refusals(const Engine& engine) {
  const auto refused = [&](const test::CacheConfig& c, const char* says) {
    std::string told;
    try {
      Cache cache(engine, c);
      fed(cache, inputs(c, {5}), {5});
    } catch (const std::exception& e) {
      told = e.what();
    }
    check(told.find(says) != std::string::npos, "expected \"%s\", told \"%s\"", says, told.c_str());
  };
  test::CacheConfig c = shape(2, 16, 0, 0.5, 0, 0);
  c.projections.width = 0;
  refused(c, "config.projections is NULL");
  c = shape(2, 16, 0, 0.5, 0, 0);
  c.rotation.frequencies.clear();
  refused(c, "config.rotation is NULL");
  refused(shape(2, 16, 17, 0.5, 0, 0), "rank is 17");
  refused(shape(2, 16, 0, 0.01, 0, 0), "leastRank is 0.01");
  refused(shape(2, 16, 4, 8, 0, 0), "more than rank");
  refused(shape(2, 16, 0, 0, 0.1, 0), "keep is 0.1");
  refused(shape(1, 16, 0, 0, 0.9, 0), "take ramp flat");
  refused(shape(2, 16, 0, 0, 0, 0), "expected one of both");
  refused(shape(2, 16, 0, 0.5, 0.5, 0), "expected one of both");
  refused(shape(2, 16, 8, 0.5, 0, 2), "beside ramp flat none");
  refused(shape(2, 16, 8, 0, 0, 3), "ramp is 3");
  c = shape(2, 16, 8, 0, 0, 2);
  c.projections.values[1][3] = NAN;
  refused(c, "projections.values[1] holds");
  c = shape(2, 16, 8, 0, 0, 2);
  c.policy = test::full_policy();
  refused(c, "has no use for them");
  // Other policies attended other keys.
  const test::CacheConfig from = shape(2, 16, 8, 0, 0, 2);
  Cache cache(engine, from);
  fed(cache, inputs(from, {5}), {5});
  zs_cache* made = nullptr;
  const auto policy = shape(2, 16, 6, 0, 0, 2).policy.native();
  check(zs_cache_fork_policies(cache.handle, &policy->policy, nullptr, 1, 0, &made, nullptr) == ZS_UNSUPPORTED,
        "forked under another rank");
  zs_traits traits{};
  check(zs_policy_traits(&policy->policy, &traits) == ZS_OK && traits.projects == 1 && traits.rotates == 1 &&
            traits.acts == ZS_ACTS_ALWAYS && traits.endless == 0,
        "the traits of lorc");
}

}  // namespace

int main() {
  try {
    const Engine engine(2);
    full_rank(engine);
    errors(engine);
    ramps(engine);
    absorbed(engine);
    one_result();
    bytes(engine);
    refusals(engine);
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::finish("lorc");
}
