// What slots are worth, step by step: the scores are the cache's own and probabilities add up; the same for any number of threads; what
// would be too much is refused and changes nothing; copies and tokens that are taken back go their own ways.
#include <cmath>

#include "test/caches.h"
#include "zslab/record.h"

namespace {

using test::Cache;
using test::check;
using test::Engine;

constexpr int kLayers = 2, kKvHeads = 2, kGroup = 2;

struct Scored {
  zs_scored sizes{};
  std::vector<int32_t> steps, first, positions;
  std::vector<int64_t> starts;
  std::vector<float> scores, probabilities;
};

Scored scored(const Cache& cache, int layer, int kv_head) {
  Scored s;
  test::must(zs_cache_scored(cache.handle, layer, kv_head, &s.sizes), "scored");
  const size_t rows = static_cast<size_t>(s.sizes.rows), slots = static_cast<size_t>(s.sizes.slots);
  s.steps.resize(rows), s.first.resize(rows), s.positions.resize(rows), s.starts.resize(rows + 1);
  s.scores.resize(slots), s.probabilities.resize(slots);
  test::must(zs_cache_scores_read(cache.handle, layer, kv_head, s.steps.data(), s.first.data(), s.positions.data(),
                                  s.starts.data(), s.scores.data(), s.probabilities.data()),
             "scores_read");
  return s;
}

bool same(const Scored& a, const Scored& b) {
  return test::same_bits(a.steps, b.steps) && test::same_bits(a.starts, b.starts) &&
         test::same_bits(a.scores, b.scores) && test::same_bits(a.probabilities, b.probabilities);
}

void keep(const Cache& cache, int64_t every, int64_t most) {
  const std::vector<uint8_t> heads(kLayers * kKvHeads, 1);
  test::must(zs_cache_record_scores(cache.handle, heads.data(), every, most), "record_scores");
}

void one_case(const Engine& one, const Engine& two, int seed) {
  test::Random random(static_cast<uint64_t>(seed));
  test::Config config;
  config.seed = static_cast<uint64_t>(seed);
  config.cache.layers = kLayers, config.cache.heads = kKvHeads * kGroup, config.cache.kv_heads = kKvHeads;
  config.cache.head_dim = 6;
  config.cache.policy = test::fixed_policy();
  const bool whole = seed % 2 == 0;
  config.cache.policy.budget = whole ? 4096 : 24;
  const int every = random.upto(1, 3), prompt = random.upto(3, 300), steps = random.upto(1, 20);
  Cache cache(one, config.cache), other(two, config.cache), plain(one, config.cache);
  for (const Cache* c : {&cache, &other}) keep(*c, every, int64_t{1} << 40);
  std::vector<test::Source> sources;
  for (int layer = 0; layer < kLayers; ++layer) sources.emplace_back(config, layer);
  int64_t tokens = 0, rows = 0;
  for (int call = 0; tokens < prompt + steps; ++call) {
    const int64_t count = call ? std::min<int64_t>(random.upto(1, 3), prompt + steps - tokens) : prompt;
    const int64_t last = call ? tokens + count - prompt : 0, before = call ? tokens - prompt : -1;
    for (int layer = 0; layer < kLayers; ++layer) {
      const test::Inputs in = sources[static_cast<size_t>(layer)].next(static_cast<int>(count));
      std::vector<float> expected;
      for (Cache* c : {&plain, &cache, &other}) {
        const std::vector<float> out = call ? c->extend(layer, in, count) : c->prefill(layer, in, count);
        if (c == &plain) expected = out;
        check(test::same_bits(out, expected), "seed %d: keeping scores changes what attention gives", seed);
      }
    }
    tokens += count;
    rows += last / every * every > before;
    const Scored now = scored(cache, 1, 1);
    check(now.sizes.rows == rows, "seed %d: %lld rows of %lld", seed, static_cast<long long>(now.sizes.rows),
          static_cast<long long>(rows));
    if (!rows || now.positions.back() != tokens - 1) continue;
    const size_t from = static_cast<size_t>(now.starts.end()[-2]), to = static_cast<size_t>(now.starts.back());
    double sum = 0;
    for (size_t i = from; i < to; ++i) sum += static_cast<double>(now.probabilities[i]);
    check(std::fabs(sum - 1) < 1e-5, "seed %d: probabilities add up to %g", seed, sum);
    const test::State state = cache.state(1);
    for (int64_t slot = 0; whole && slot < state.slots(1); ++slot)
      check(now.scores[from + static_cast<size_t>(slot)] == state.scores[state.at(1, slot)],
            "seed %d: slot %lld has another score in the cache", seed, static_cast<long long>(slot));
  }
  for (int layer = 0; layer < kLayers; ++layer)
    for (int g = 0; g < kKvHeads; ++g)
      check(same(scored(cache, layer, g), scored(other, layer, g)), "seed %d: another number of threads", seed);

  // A copy goes on by itself; what would be too much is refused by the first layer, and the others then wait for nothing.
  Cache copy = cache.fork();
  const Scored before = scored(copy, 0, 0);
  const int64_t next = static_cast<int64_t>(kLayers) * kKvHeads * (cache.state(0).slots(0) + 1) * 8;
  keep(copy, 1, next);
  check(scored(copy, 0, 0).sizes.rows == 0 && same(before, scored(cache, 0, 0)), "seed %d: copies share", seed);
  for (int time = 0; time < 2; ++time)
    for (int layer = 0; layer < kLayers; ++layer) {
      const test::Inputs in = sources[static_cast<size_t>(layer)].next(1);
      std::vector<float> out;
      const test::State state = copy.state(layer);
      const zs_status status = copy.try_extend(layer, in, 1, out);
      check(status == (time ? ZS_INVALID : ZS_OK), "seed %d: call %d gives %d", seed, time, static_cast<int>(status));
      if (time) check(test::same_bits(state, copy.state(layer)), "seed %d: what is refused changed the cache", seed);
    }
  check(scored(copy, 1, 1).sizes.bytes == next && scored(copy, 1, 1).sizes.rows == 1, "seed %d: bytes", seed);
  if (seed != 1) return;

  const std::vector<uint8_t> heads = {1, 0, 0, 0};
  zs_scored sizes;
  check(
      zs_cache_record_scores(nullptr, heads.data(), 1, 0) == ZS_INVALID &&
          zs_cache_record_scores(cache.handle, nullptr, 1, 0) == ZS_INVALID &&
          zs_cache_record_scores(cache.handle, heads.data(), 0, 0) == ZS_INVALID &&
          zs_cache_record_scores(cache.handle, heads.data(), 1, -1) == ZS_INVALID &&
          zs_cache_scored(plain.handle, 0, 0, &sizes) == ZS_INVALID &&
          zs_cache_scored(cache.handle, kLayers, 0, &sizes) == ZS_INVALID &&
          zs_cache_scored(cache.handle, 0, -1, &sizes) == ZS_INVALID &&
          zs_cache_scored(cache.handle, 0, 0, nullptr) == ZS_INVALID &&
          zs_cache_scores_read(plain.handle, 0, 0, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr) == ZS_INVALID,
      "what is missing or was not kept is taken");
  Cache late(one, config.cache);
  keep(late, 1, 0);
  const test::Inputs in = test::Source(config, 0).next(prompt);
  std::vector<float> out;
  check(late.try_prefill(0, in, prompt, 0, out) == ZS_INVALID, "a prompt that is too much is taken");
}

}  // namespace

int main() {
  const Engine one(1), two(2);
  const int count = test::cases(400, 60, 30);
  for (int seed = 1; seed <= count; ++seed) one_case(one, two, seed);
  return test::finish("scores");
}
