// The model runner: against a plain double-precision forward pass, the same bits for any thread count, unharmed caches after an abort.
#include <dirent.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>

#include "test/tiny_model.h"
#include "zslab/record.h"

namespace {

using test::Cache;
using test::check;
using test::Engine;
using test::even_sizes;
using test::Model;
using test::odd_sizes;
using test::some_ids;
using test::super_sizes;
using test::TinyModel;
using test::worst;

constexpr int32_t kWeights[] = {ZS_F32, ZS_BF16, ZS_WEIGHTS_FILE};

std::vector<zs_isa> instruction_sets() {
  std::vector<zs_isa> found;
  for (zs_isa isa : {ZS_ISA_GENERIC, ZS_ISA_AVX2, ZS_ISA_AVX512}) {
    zs_engine* engine = nullptr;
    if (zs_engine_create(1, isa, &engine) == ZS_OK) found.push_back(isa);
    zs_engine_destroy(engine);
  }
  return found;
}

void against_doubles() {
  for (const zs_model_config& shape : {even_sizes(), odd_sizes(), super_sizes()}) {
    const bool large = shape.hidden == super_sizes().hidden;
    const std::vector<int> prompts = large ? std::vector<int>{25} : std::vector<int>{1, 7, 24, 25, 37};
    for (uint64_t seed = 1; seed <= static_cast<uint64_t>(large ? test::cases(11, 2, 1) : test::cases(8, 3, 1));
         ++seed) {
      const TinyModel tiny(shape, seed);
      const std::vector<int32_t> ids = some_ids(tiny, prompts.back() + 19, seed);
      for (int32_t weights : kWeights) {
        const auto judge = tiny.logits(ids, weights == ZS_BF16);
        for (zs_isa isa : instruction_sets()) {
          const Engine engine(2, isa);
          const Model model(engine, tiny, weights);
          // With many rows bfloat16 weights may meet inputs rounded to bfloat16, where the CPU multiplies that; elsewhere they are widened.
          const double near = 2e-4, many = weights == ZS_BF16 && isa == ZS_ISA_AVX512 ? 0.1 : near;
          for (int prompt : prompts) {
            Cache cache(engine, tiny.cache_config());
            size_t at = 0;
            const auto feed = [&](int count, double limit) {
              const std::vector<int32_t> part(ids.begin() + static_cast<long>(at),
                                              ids.begin() + static_cast<long>(at) + count);
              const double error = worst(model.forward(cache, part), judge, at);
              check(error <= limit, "hidden %d, weights %d, isa %d, prompt %d: %d rows from %zu are off by %g",
                    shape.hidden, weights, isa, prompt, count, at, error);
              at += static_cast<size_t>(count);
            };
            const double after = prompt > 24 ? many : near;  // what came before is in the cache
            feed(prompt, after);
            feed(1, after);
            feed(5, after);
            feed(12, many);
            feed(1, many);
          }
        }
      }
    }
  }
}

// Prompt, chunk and steps under a policy that compresses; everything that comes out.
std::vector<float> story(const Engine& engine, const TinyModel& tiny, int32_t weights,
                         std::vector<test::State>* states) {
  const Model model(engine, tiny, weights);
  test::CacheConfig config = tiny.cache_config(weights < 0 ? ZS_F16 : weights);
  config.policy = test::count_policy(24, 8, 4);
  config.policy.chunk = 32;
  Cache cache(engine, config);
  std::vector<float> all = model.forward(cache, some_ids(tiny, 200, 5));
  for (int count : {1, 20, 6, 1, 1}) {
    const std::vector<float> more = model.forward(cache, some_ids(tiny, count, static_cast<uint64_t>(count)));
    all.insert(all.end(), more.begin(), more.end());
  }
  for (int layer = 0; layer < config.layers; ++layer) states->push_back(cache.state(layer));
  return all;
}

void threads() {
  for (const zs_model_config& shape : {even_sizes(), odd_sizes(), super_sizes()})
    for (int32_t weights : kWeights) {
      const TinyModel tiny(shape, 11);
      std::vector<test::State> expected;
      const std::vector<float> alone = story(Engine(1), tiny, weights, &expected);
      for (zs_isa isa : instruction_sets()) {
        if (weights == ZS_BF16) break;  // more than 24 rows are a library's, where the CPU multiplies bfloat16
        std::vector<test::State> states;
        check(test::same_bits(story(Engine(1, isa), tiny, weights, &states), alone),
              "hidden %d, weights %d: logits differ with instruction set %d", shape.hidden, weights, isa);
      }
      for (int count : {2, 4}) {
        std::vector<test::State> states;
        check(test::same_bits(story(Engine(count), tiny, weights, &states), alone),
              "hidden %d, weights %d: logits differ with %d threads", shape.hidden, weights, count);
        for (size_t i = 0; i < states.size(); ++i)
          check(test::same_bits(states[i], expected[i]), "hidden %d, weights %d: layer %zu differs with %d threads",
                shape.hidden, weights, i, count);
      }
    }
}

int threads_of_this_process() {
  DIR* tasks = opendir("/proc/self/task");
  int count = 0;
  for (dirent* one = tasks ? readdir(tasks) : nullptr; one; one = readdir(tasks)) count += one->d_name[0] != '.';
  if (tasks) closedir(tasks);
  return count;
}

void no_threads_of_others() {
  const TinyModel tiny(even_sizes(), 3);
  const Engine engine(2);
  const int before = threads_of_this_process();
  for (int32_t weights : kWeights) {
    const Model model(engine, tiny, weights);
    Cache cache(engine, tiny.cache_config());
    model.forward(cache, some_ids(tiny, 300, 1));
  }
  check(threads_of_this_process() == before, "%d threads became %d", before, threads_of_this_process());
}

void rows_and_targets() {
  for (int i = 0; i < 6; ++i) {
    const zs_model_config shape = i % 2 ? odd_sizes() : even_sizes();
    const TinyModel tiny(shape, 21);
    const Engine engine(2);
    const Model model(engine, tiny, kWeights[i / 2]);
    const std::vector<int32_t> ids = some_ids(tiny, 60, 2);
    const size_t width = static_cast<size_t>(shape.vocabulary);
    Cache all(engine, tiny.cache_config()), few(engine, tiny.cache_config()), scored(engine, tiny.cache_config());
    zs_call call{};
    const std::vector<float> every = model.forward(all, ids, {}, &call);
    check(call.done == 60 && call.total == 60, "progress ended at %d of %d", static_cast<int>(call.done),
          static_cast<int>(call.total));
    const std::vector<int64_t> rows{0, 13, 59};
    const std::vector<float> some = model.forward(few, ids, rows);
    for (size_t i = 0; i < rows.size(); ++i)
      check(!std::memcmp(&some[i * width], &every[static_cast<size_t>(rows[i]) * width], width * sizeof(float)),
            "row %d depends on the other rows asked for", static_cast<int>(rows[i]));
    for (const int64_t row : {int64_t{59}, int64_t{40}, int64_t{20}}) {
      Cache alone(engine, tiny.cache_config());
      check(!std::memcmp(model.forward(alone, ids, {row}).data(), &every[static_cast<size_t>(row) * width],
                         width * sizeof(float)),
            "row %d has other logits where no row before it is asked for", static_cast<int>(row));
    }
    std::vector<int32_t> targets(ids.begin() + 1, ids.end());
    targets.push_back(-1);
    targets[17] = -1;
    std::vector<double> logprobs(60, 99);
    std::vector<float> logits(3 * width);
    zs_forward f{};
    f.struct_bytes = sizeof f, f.ids = ids.data(), f.tokens = 60, f.targets = targets.data(),
    f.logprobs = logprobs.data();
    f.rows = rows.data(), f.row_count = 3, f.logits = logits.data();
    test::must(zs_model_forward(model.handle, scored.handle, &f, nullptr), "score");
    check(test::same_bits(logits, some), "targets change logits");
    for (size_t r = 0; r < 60; ++r) {
      double sum = 0;
      for (size_t i = 0; i < width; ++i) sum += std::exp(static_cast<double>(every[r * width + i]));
      const double expected =
          targets[r] < 0 ? 0 : static_cast<double>(every[r * width + static_cast<size_t>(targets[r])]) - std::log(sum);
      check(std::abs(logprobs[r] - expected) <= 1e-5, "logprob of row %zu is %g, not %g", r, logprobs[r], expected);
    }
  }
}

// What attention was given and gave is told as the cache recorded it, bit for bit.
void what_attention_is_given() {
  for (const zs_model_config& shape : {even_sizes(), odd_sizes()}) {
    const TinyModel tiny(shape, 23);
    const Engine engine(2);
    const Model model(engine, tiny, ZS_F32);
    Cache cache(engine, tiny.cache_config());
    const std::vector<uint8_t> heads(static_cast<size_t>(shape.layers * shape.kv_heads), 1);
    test::must(zs_cache_record(cache.handle, heads.data(), 0), "record");
    model.forward(cache, some_ids(tiny, 20, 1));
    const std::vector<int32_t> turn = some_ids(tiny, 5, 2);
    const size_t d = static_cast<size_t>(shape.head_dim), kv_heads = static_cast<size_t>(shape.kv_heads),
                 group = static_cast<size_t>(shape.heads) / kv_heads, token = 2 * (group + 1) * kv_heads * d;
    std::vector<float> given(static_cast<size_t>(shape.layers) * turn.size() * token);
    zs_forward f{};
    f.struct_bytes = sizeof f, f.ids = turn.data(), f.tokens = 5, f.given = given.data();
    test::must(zs_model_forward(model.handle, cache.handle, &f, nullptr), "turn");
    for (size_t layer = 0; layer < static_cast<size_t>(shape.layers); ++layer)
      for (size_t head = 0; head < kv_heads; ++head) {
        std::vector<float> keys(25 * d), values(25 * d), queries(5 * group * d), outputs(5 * group * d), told[4];
        test::must(zs_cache_record_read(cache.handle, static_cast<int32_t>(layer), static_cast<int32_t>(head),
                                        keys.data(), values.data(), queries.data(), outputs.data()),
                   "record_read");
        for (size_t t = 0; t < 5; ++t) {
          const float* const of = given.data() + (layer * 5 + t) * token;
          const auto add = [&](int part, size_t first, size_t count) {
            told[part].insert(told[part].end(), of + first * d, of + (first + count) * d);
          };
          const size_t all = group * kv_heads;
          add(0, head * group, group), add(1, all + head, 1), add(2, all + kv_heads + head, 1);
          add(3, all + 2 * kv_heads + head * group, group);
        }
        keys.erase(keys.begin(), keys.end() - static_cast<int64_t>(5 * d));
        values.erase(values.begin(), values.end() - static_cast<int64_t>(5 * d));
        check(test::same_bits(told[0], queries) && test::same_bits(told[1], keys) && test::same_bits(told[2], values) &&
                  test::same_bits(told[3], outputs),
              "layer %zu, kv head %zu: another thing was given than recorded", layer, head);
      }
  }
}

void compared_rows() {
  std::vector<std::unique_ptr<Engine>> engines;
  for (zs_isa isa : instruction_sets()) engines.push_back(std::make_unique<Engine>(1, isa));
  test::Random random(5);
  for (int seed = 0; seed < 20; ++seed) {
    const size_t count = static_cast<size_t>(random.upto(1, 203));
    std::vector<float> p(count), q(count);
    for (auto* row : {&p, &q})
      for (float& x : *row) x = static_cast<float>(random.upto(-4000, 4000)) / 200;
    if (seed % 2 && count > 9) p[3] = q[5] = p[7] = q[7] = -INFINITY;
    double sums[2] = {}, kl = 0;
    for (size_t i = 0; i < p.size(); ++i)
      sums[0] += std::exp(static_cast<double>(p[i])), sums[1] += std::exp(static_cast<double>(q[i]));
    for (size_t i = 0; i < p.size(); ++i) {
      const double share = std::exp(static_cast<double>(p[i])) / sums[0];
      if (share > 0) kl += share * (std::log(share) - static_cast<double>(q[i]) + std::log(sums[1]));
    }
    const auto best = [](const std::vector<float>& row) {
      return std::max_element(row.begin(), row.end()) - row.begin();
    };
    const auto compared = [&](const Engine& engine, const std::vector<float>& a, const std::vector<float>& b) {
      zs_compared c{};
      test::must(zs_compare_logits(engine.handle, a.data(), b.data(), static_cast<int64_t>(count), &c), "compare");
      return c;
    };
    const zs_compared first = compared(*engines[0], p, q);
    for (const auto& engine : engines) {
      const zs_compared c = compared(*engine, p, q);
      const bool as_far = std::isinf(kl) ? c.kl == kl : std::abs(c.kl - kl) <= 1e-9;
      check(as_far && std::abs(c.log_sum_p - std::log(sums[0])) <= 1e-9 &&
                std::abs(c.log_sum_q - std::log(sums[1])) <= 1e-9,
            "rows %d: KL %g, expected %g", seed, c.kl, kl);
      check(c.best_p == best(p) && c.best_q == best(q), "rows %d: another largest", seed);
      check(c.kl == first.kl && c.log_sum_p == first.log_sum_p && c.log_sum_q == first.log_sum_q,
            "rows %d: other instructions, another result", seed);
      check(compared(*engine, q, q).kl == 0, "of equal rows KL is not 0");
    }
    q.assign(count, -INFINITY);
    q.back() = NAN;
    const zs_compared none = compared(*engines[0], p, q);
    check(none.best_p == best(p) && none.best_q == -1 && std::isnan(none.kl), "rows %d: a largest of nothing", seed);
    p.back() = NAN, p[0] = 100;
    check(compared(*engines[0], p, q).best_p == 0, "rows %d: NaN is the largest", seed);
  }
}

void aborts() {
  const TinyModel tiny(even_sizes(), 31);
  const Engine engine(2);
  const Model model(engine, tiny, ZS_F32);
  const std::vector<int32_t> prompt = some_ids(tiny, 1500, 1), turn = some_ids(tiny, 60, 2), token{3};
  Cache judge(engine, tiny.cache_config()), cache(engine, tiny.cache_config());
  const std::vector<float> last = model.forward(judge, prompt, {1499});
  std::vector<float> logits(112);
  const int64_t row = 0;
  const auto stopped = [&](const std::vector<int32_t>& ids, bool at_once) {
    zs_call call{};
    zs_forward f{};
    f.struct_bytes = sizeof f, f.ids = ids.data(), f.tokens = static_cast<int64_t>(ids.size());
    f.rows = &row, f.row_count = 1, f.logits = logits.data();
    call.abort = at_once;
    std::atomic<bool> over{false};
    std::thread other([&] {
      while (!over && !__atomic_load_n(&call.done, __ATOMIC_RELAXED)) std::this_thread::yield();
      __atomic_store_n(&call.abort, 1, __ATOMIC_RELAXED);
    });
    const zs_status status = zs_model_forward(model.handle, cache.handle, &f, &call);
    over = true;
    other.join();
    return status;
  };
  check(stopped(prompt, true) == ZS_ABORTED && cache.state(0).layer.slots == 0,
        "a prompt stopped at once left something");
  zs_status status = ZS_OK;
  for (int attempt = 0; attempt < 50 && status == ZS_OK; ++attempt) {  // a busy machine may set the flag too late
    Cache fresh(engine, tiny.cache_config());
    std::swap(fresh.handle, cache.handle);
    status = stopped(prompt, false);
  }
  check(status == ZS_ABORTED, "a prompt was never stopped on its way: status %d, %s", status, zs_last_error());
  check(cache.state(0).layer.slots == 0 && cache.receipt().admitted == 0, "a stopped prompt left something");
  check(test::same_bits(model.forward(cache, prompt, {1499}), last),
        "after a stopped prompt the same prompt gives something else");
  const test::State before = cache.state(1);
  check(stopped(turn, true) == ZS_ABORTED && stopped(token, true) == ZS_ABORTED, "a turn or step was not stopped");
  check(test::same_bits(cache.state(1), before), "a stopped turn changed the cache");
  check(test::same_bits(model.forward(cache, turn), model.forward(judge, turn)), "a stopped turn changed what follows");
  zs_call call{};
  call.abort = 1;
  zs_model* none = nullptr;
  zs_model_config config = tiny.config;
  const char* path = tiny.path.c_str();
  check(zs_model_load(engine.handle, &path, 1, &config, tiny.table.data(), static_cast<int64_t>(tiny.table.size()),
                      &none, &call) == ZS_ABORTED &&
            !none,
        "loading was not stopped");
}

}  // namespace

int main() {
  try {
    against_doubles();
    threads();
    no_threads_of_others();
    rows_and_targets();
    what_attention_is_given();
    compared_rows();
    aborts();
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::finish("model");
}
