// Keys that are kept before rotation, and prompts read in strides: what must hold whatever the numbers. That every output is right is
// judged by the reference (guests.cpp, streaming).
#include <functional>
#include <thread>

#include "test/tiny_model.h"

namespace {

using test::Cache;
using test::check;
using test::Engine;
using test::Inputs;
using test::Model;
using test::Random;
using test::TinyModel;

test::CacheConfig shape(int budget, int sink, int stride) {
  test::CacheConfig c;
  c.layers = 2, c.heads = 6, c.kv_heads = 2, c.head_dim = 16;
  c.policy.name = "streaming";
  c.policy.budget = budget, c.policy.sink = sink, c.policy.positions = 1, c.policy.stride = stride;
  c.rotation = test::rotation_of(12, 10000, true);
  return c;
}

struct Story {
  std::vector<std::vector<float>> outputs;
  std::vector<test::State> states;
};

// A prompt and then `after` steps, in every layer.
Story read(Cache& cache, uint64_t seed, int prompt, int after) {
  Story story;
  test::Config config;
  config.cache = cache.config, config.seed = seed;
  for (int layer = 0; layer < cache.config.layers; ++layer) {
    test::Source source(config, layer);
    story.outputs.push_back(cache.prefill(layer, source.next(prompt), prompt));
    for (int i = 0; i < after; ++i) story.outputs.push_back(cache.extend(layer, source.next(1), 1));
    story.states.push_back(cache.state(layer));
  }
  return story;
}

// Rows of [heads][tokens][d], turned to their tokens' own positions in single precision, as a caller does it.
void turn(std::vector<float>& x, const test::CacheConfig& c, int tokens, int first) {
  const size_t d = static_cast<size_t>(c.head_dim), pairs = c.rotation.frequencies.size();
  for (size_t row = 0; row < x.size() / d; ++row)
    for (size_t i = 0; i < pairs; ++i) {
      const double angle = static_cast<double>(first + static_cast<int>(row) % tokens) * c.rotation.frequencies[i];
      const float cosine = static_cast<float>(std::cos(angle)), sine = static_cast<float>(std::sin(angle));
      float &a = x[row * d + (c.rotation.halves ? i : 2 * i)],
            &b = x[row * d + (c.rotation.halves ? i + pairs : 2 * i + 1)];
      const float before = a;
      a = before * cosine - b * sine;
      b = before * sine + b * cosine;
    }
}

// While nothing has left, places are positions: the full cache of rotated keys, to the bit where they are kept in float32.
void exact(const Engine& engine) {
  for (int stride : {0, 1, 7, 64, 256}) {
    const test::CacheConfig config = shape(400, 4, stride);
    test::CacheConfig full = config;
    full.policy.name = "full";
    Cache a(engine, config), b(engine, full);
    test::Config text;
    text.cache = config, text.seed = 3;
    test::Source source(text, 0);
    for (int at = 0, tokens = 300; at < 400; at += tokens, tokens = 1) {
      Inputs in = source.next(tokens);
      const auto own = at ? a.extend(0, in, tokens) : a.prefill(0, in, tokens);
      turn(in.q, config, tokens, at), turn(in.k, config, tokens, at);
      const auto all = at ? b.extend(0, in, tokens) : b.prefill(0, in, tokens);
      double off = 0;
      for (size_t i = 0; i < own.size(); ++i) off = std::max(off, std::fabs(static_cast<double>(own[i] - all[i])));
      check(at || stride == 0 || stride == 256 ? test::same_bits(own, all) : off <= 1e-6,
            "stride %d: token %d differs from the full cache by %g", stride, at, off);
    }
  }
}

// How a prompt is cut changes what its rows attend, never who stays.
void who_stays(const Engine& engine) {
  for (int budget : {6, 50, 256, 300}) {
    std::vector<Story> stories;
    for (int stride : {1, 5, 256, 1000}) {
      Cache cache(engine, shape(budget, 3, stride));
      stories.push_back(read(cache, 5, 330, 40));
      check(test::same_bits(stories.back().states[1].positions, stories[0].states[1].positions),
            "budget %d: stride %d keeps others than stride 1", budget, stride);
      const zs_receipt r = cache.receipt();
      check(r.weights_sum == 1 && r.positions_once == 1 && r.budget_held == 1 && r.finite == 1 && r.compressed == 1,
            "budget %d stride %d: the receipt", budget, stride);
      const zs_events events = cache.events();
      bool steps = true;
      for (int64_t i = 0; i < events.count; ++i)
        steps = steps && (events.action[i] != ZS_ADMIT || events.step[i] == std::max(0, events.position[i] - 330 + 1));
      check(steps, "budget %d stride %d: an admitted token's step is not its own", budget, stride);
    }
  }
}

// A prompt in strides of one is a prompt of one token and then steps, to the bit.
void token_by_token(const Engine& engine) {
  test::CacheConfig config = shape(20, 2, 1);
  Cache whole(engine, config), stepped(engine, config);
  test::Config text;
  text.cache = config, text.seed = 8;
  test::Source source(text, 0);
  std::vector<Inputs> tokens;
  Inputs all;
  const size_t d = static_cast<size_t>(config.head_dim), count = 50;
  for (size_t t = 0; t < count; ++t) tokens.push_back(source.next(1));
  const auto gather = [&](std::vector<float> Inputs::* of, int heads) {
    for (size_t h = 0; h < static_cast<size_t>(heads); ++h)
      for (const Inputs& one : tokens) {
        const auto from = (one.*of).begin() + static_cast<long>(h * d);
        (all.*of).insert((all.*of).end(), from, from + static_cast<long>(d));
      }
  };
  gather(&Inputs::q, config.heads), gather(&Inputs::k, config.kv_heads), gather(&Inputs::v, config.kv_heads);
  const auto out = whole.prefill(0, all, count);
  for (size_t t = 0; t < count; ++t) {
    const auto one = t ? stepped.extend(0, tokens[t], 1) : stepped.prefill(0, tokens[0], 1);
    for (size_t h = 0; h < static_cast<size_t>(config.heads); ++h)
      check(!std::memcmp(&one[h * d], &out[(h * count + t) * d], d * sizeof(float)), "row %zu head %zu differs", t, h);
  }
  check(test::same_bits(whole.state(0), stepped.state(0)), "the states differ");
}

// A prompt that is given up leaves nothing, and the next one is as if it had never been; forks and further turns are their own.
void given_up_and_forked(const Engine& engine) {
  const test::CacheConfig config = shape(30, 2, 16);
  test::Config text;
  text.cache = config, text.seed = 13;
  Cache cache(engine, config), other(engine, config);
  const Inputs in = test::Source(text, 0).next(200);
  std::vector<float> out;
  zs_call call{};
  call.abort = 1;
  const test::State empty = cache.state(0);
  check(cache.try_prefill(0, in, 200, 0, out, &call) == ZS_ABORTED, "an aborted prompt was read");
  zs_status status = ZS_OK;
  const Inputs much = test::Source(text, 0).next(6000);
  for (int attempt = 0; attempt < 50 && status == ZS_OK; ++attempt) {  // a busy machine may set the flag too late
    Cache fresh(engine, config);
    std::swap(fresh.handle, cache.handle);
    call.abort = 0, call.done = 0;
    std::thread watch([&] {
      while (!__atomic_load_n(&call.done, __ATOMIC_RELAXED)) std::this_thread::yield();
      __atomic_store_n(&call.abort, 1, __ATOMIC_RELAXED);
    });
    status = cache.try_prefill(0, much, 6000, 0, out, &call);
    watch.join();
  }
  check(status == ZS_ABORTED, "a prompt was never stopped between its strides");
  check(test::same_bits(cache.state(0), empty) && cache.events().count == 0, "an aborted prompt left something");
  check(test::same_bits(cache.prefill(0, in, 200), other.prefill(0, in, 200)), "after an aborted prompt");
  Cache copy = cache.fork();
  const Inputs more = test::Source(text, 1).next(40);
  const auto told = cache.extend(0, more, 40);
  check(test::same_bits(copy.state(0), other.state(0)), "the fork changed with its origin");
  check(test::same_bits(copy.extend(0, more, 40), told) && test::same_bits(copy.state(0), cache.state(0)),
        "the fork goes on differently");
  zs_cache* made = nullptr;
  const auto full = test::full_policy().native();
  Cache fresh(engine, config);
  fresh.prefill(0, in, 200), fresh.prefill(1, in, 200);
  check(zs_cache_fork_policies(fresh.handle, &full->policy, nullptr, 1, 1, &made, nullptr) == ZS_UNSUPPORTED,
        "keys before rotation cannot be those after it");
}

// Text that is longer than the model's context: bounded positions, the same bits on any number of threads, memory that stays.
void beyond_the_context() {
  zs_model_config sizes = test::even_sizes();
  sizes.context = 96;
  const TinyModel tiny(sizes, 4);
  test::CacheConfig config = tiny.cache_config();
  config.policy.name = "streaming";
  config.policy.budget = 40, config.policy.sink = 4, config.policy.positions = 1, config.policy.stride = 32;
  config.policy.chunk = 32;
  config.rotation = test::rotation_of(sizes.rope_dims, 10000);
  const std::vector<int32_t> ids = test::some_ids(tiny, 700, 6);
  std::vector<float> first;
  for (int threads : {1, 2, 3}) {
    const Engine engine(threads);
    const Model model(engine, tiny, ZS_F32);
    Cache cache(engine, config);
    std::vector<float> all = model.forward(cache, {ids.begin(), ids.begin() + 500});
    const int64_t bytes = zs_cache_peak_bytes(cache.handle);
    for (size_t at = 500; at < ids.size(); at += at < 660 ? 32 : 1) {
      const auto end = ids.begin() + static_cast<long>(std::min(ids.size(), at + (at < 660 ? 32 : 1)));
      const auto more = model.forward(cache, {ids.begin() + static_cast<long>(at), end});
      all.insert(all.end(), more.begin(), more.end());
    }
    check(bytes < 120 * 1024, "%lld bytes for 40 slots", static_cast<long long>(bytes));
    check(cache.state(0).layer.seq_len == 700 && cache.state(1).slots() == 40, "not all was read");
    bool finite = true;
    for (float x : all) finite = finite && std::isfinite(x);
    check(finite, "a logit is not finite");
    if (first.empty()) first = all;
    check(test::same_bits(all, first), "%d threads give other bits", threads);

    // While nothing has left the logits are the model's own.
    Cache within(engine, config);
    const auto judge = tiny.logits({ids.begin(), ids.begin() + 40}, false);
    const auto own = model.forward(within, {ids.begin(), ids.begin() + 40});
    double off = 0;
    for (size_t i = 0; i < own.size(); ++i)
      off = std::max(off, std::fabs(static_cast<double>(own[i]) - judge[i / judge[0].size()][i % judge[0].size()]));
    check(off <= 2e-4, "within the budget logits are off by %g", off);
  }

  const Engine engine(1);
  const Model model(engine, tiny, ZS_F32);
  const auto refused = [&](const test::CacheConfig& with, int tokens, const char* says) {
    Cache cache(engine, with);
    std::string told;
    try {
      model.forward(cache, {ids.begin(), ids.begin() + tokens});
    } catch (const std::exception& e) {
      told = e.what();
    }
    check(told.find(says) != std::string::npos, "expected \"%s\", told \"%s\"", says, told.c_str());
    check(cache.state(0).layer.seq_len == 0, "a refused prompt left something");
  };
  test::CacheConfig wrong = config;
  wrong.policy.budget = 65;
  refused(wrong, 10, "budget is 65 slots; with the 32 tokens of a stride that is more than the model's context of 96");
  wrong.policy.budget = 0.5;
  refused(wrong, 500, "give a budget of at most 64 slots");
  wrong.policy.budget = 40, wrong.policy.stride = 0;
  refused(wrong, 97, "read whole");
  wrong = config;
  wrong.rotation.halves = true;
  refused(wrong, 10, "another rotation");
  wrong = tiny.cache_config();
  refused(wrong, 97, "more than the model's context of 96");
}

// What cannot be, said when it is asked for.
void refusals(const Engine& engine) {
  const auto refused = [&](const test::CacheConfig& with, const char* says) {
    std::string told;
    try {
      Cache cache(engine, with);
    } catch (const std::exception& e) {
      told = e.what();
    }
    check(told.find(says) != std::string::npos, "expected \"%s\", told \"%s\"", says, told.c_str());
  };
  test::CacheConfig c = shape(30, 2, 16);
  c.rotation.frequencies.clear();
  refused(c, "config.rotation is NULL");
  c = shape(30, 2, 16);
  c.policy.positions = 0;
  refused(c, "positions absolute");
  c = shape(30, 2, -1);
  refused(c, "stride is -1");
  c = shape(30, 2, 1);
  c.policy.positions = 2;
  refused(c, "positions is 2");
  c = shape(30, 2, 1);
  c.rotation.frequencies.resize(9);
  refused(c, "rotation.dims is 18");
  c.rotation.frequencies = {1, INFINITY};
  refused(c, "rotation.frequencies[1]");

  const auto policy = shape(30, 2, 1).policy.native();
  const auto changed = [&](const std::function<void(zs_rotation&)>& change, const char* says) {
    test::CacheConfig with = shape(30, 2, 1);
    zs_cache_config native = with.native(*policy);
    zs_rotation rotation = *native.rotation;
    change(rotation);
    native.rotation = &rotation;
    zs_cache* cache = nullptr;
    check(zs_cache_create(engine.handle, &native, &cache) == ZS_INVALID &&
              std::string(zs_last_error()).find(says) != std::string::npos,
          "expected \"%s\", told \"%s\"", says, zs_last_error());
  };
  for (int x : {0, 4, INT32_MAX}) changed([&](zs_rotation& r) { r.struct_bytes = x; }, "struct_bytes");
  for (int x : {0, -2, 1, 3, 18, INT32_MAX, INT32_MIN}) changed([&](zs_rotation& r) { r.dims = x; }, "rotation.dims");
  for (int x : {-1, 2}) changed([&](zs_rotation& r) { r.halves = x; }, "rotation.halves");
  for (double x : {0.0, -1.0, static_cast<double>(NAN), static_cast<double>(INFINITY)})
    changed([&](zs_rotation& r) { r.frequencies = nullptr, r.base = x; }, "rotation.base");
  zs_traits traits{};
  check(zs_policy_traits(&policy->policy, &traits) == ZS_OK && traits.rotates == 1 && traits.endless == 1 &&
            traits.stride == 1 && traits.acts == ZS_ACTS_ALWAYS,
        "the traits of streaming");
}

}  // namespace

int main() {
  try {
    for (int threads : {1, 3}) {
      const Engine engine(threads);
      exact(engine);
      who_stays(engine);
      token_by_token(engine);
      given_up_and_forked(engine);
      refusals(engine);
    }
    beyond_the_context();
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::finish("turning");
}
