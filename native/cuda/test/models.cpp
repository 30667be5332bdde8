// A model on a device beside the same on the CPU: logits, rows, slots, scores, events, what is recorded, and receipts are equal to the bit, and a
// token that can go through it there does. Arguments: none, or the seed of one case.
#include <algorithm>
#include <cstring>
#include <utility>

#include "core/engine.h"
#include "cuda/backend/device.h"
#include "cuda/backend/model.h"
#include "cuda/test/goes.h"
#include "model/runner.h"
#include "test/results.h"
#include "test/tiny_model.h"
#include "zslab/record.h"

namespace {

using test::Cache;
using test::Engine;
using test::Random;
using test::TinyModel;

// The device's own, but it counts tokens and may be told to fail before one.
struct Watched : zs::DeviceModel {
  std::unique_ptr<zs::DeviceModel> of;
  int tokens = 0, launched = 0, passes = 0;
  int64_t at_once() const { return static_cast<zs::cuda::GpuModel&>(*of).whole().launched(); }
  bool fails = false;

  explicit Watched(std::unique_ptr<zs::DeviceModel> model) : of(std::move(model)) {}
  void load(zs::DevicePart part, int32_t layer, int64_t outputs, int64_t k, const void* rows) override {
    of->load(part, layer, outputs, k, rows);
  }
  void load(zs::DeviceNorm norm, int32_t layer, const float* weights) override { of->load(norm, layer, weights); }
  void loaded() override { of->loaded(); }
  zs::DeviceRows rows(int32_t layer) override { return of->rows(layer); }
  void begin(int32_t id, const float* angles, bool logits) override {
    if (std::exchange(fails, false)) zs::fail(ZS_INTERNAL, "the device failed: it was told to");
    of->begin(id, angles, logits);
  }
  bool launches() override {
    const bool more = of->launches();
    launched += more;
    return more;
  }
  void abandon() override { of->abandon(); }
  void embed() override { of->embed(); }
  void project(int32_t layer) override { of->project(layer); }
  void feed_forward(int32_t layer) override { of->feed_forward(layer); }
  void choose() override { of->choose(); }
  void head() override { of->head(); }
  bool end(float* logits) override { return ++tokens, of->end(logits); }
  void take() override { of->take(); }
  zs::DeviceTaken taken(int32_t layer) override { return of->taken(layer); }
  std::unique_ptr<zs::DevicePass> pass(int64_t rows, int64_t chunk) override { return ++passes, of->pass(rows, chunk); }
};

struct Case {
  uint64_t seed;
  TinyModel tiny;
  int32_t weights;
  test::Config config;
  bool records, breaks;  // rows are recorded; weights become infinite on the way

  explicit Case(uint64_t seed) : seed(seed), tiny(sizes(seed), seed) {
    Random random(seed * 11 + 5);
    weights = random.one_in(2) ? ZS_BF16 : ZS_F32;
    config = test::config_that_goes(random, seed, true);
    const test::CacheConfig shape = tiny.cache_config();
    config.cache.layers = shape.layers, config.cache.heads = shape.heads, config.cache.kv_heads = shape.kv_heads;
    config.cache.head_dim = shape.head_dim, config.cache.trace = 1;
    std::vector<double>& budgets = config.cache.budgets;
    if (!budgets.empty()) config.cache.policy.budget = *std::max_element(budgets.begin(), budgets.end());
    budgets.clear();
    for (int i = random.upto(5, 30); i > 0; --i) config.calls.push_back(random.one_in(8) ? random.upto(2, 9) : 1);
    for (test::Options* at = &config.cache.policy; at; at = at->of.get()) at->chunk = std::max(at->chunk, 9);
    test::Options& policy = config.cache.policy;
    if (random.one_in(3) && (policy.name == "zsmerge" || policy.name == "evict-only")) policy.granularity = 2;
    records = random.one_in(4);
    breaks = random.one_in(8);
  }

  static zs_model_config sizes(uint64_t seed) {
    Random random(seed);
    zs_model_config c = random.one_in(2) ? test::even_sizes() : test::odd_sizes();
    c.layers = random.upto(1, 3), c.kv_heads = random.upto(1, 2), c.heads = c.kv_heads * random.upto(1, 4);
    c.tied_output = random.one_in(2);
    return c;
  }
};

struct Results {
  test::Outputs rows;  // logits, what was given, what was recorded
  test::Result cache;

  // There are many that are no numbers, and which of them one is nobody's business.
  static void one_nan(std::vector<float>& all) {
    for (float& x : all)
      if (x != x) x = NAN;
  }
  void keep(std::vector<float> row) {
    one_nan(row);
    rows.push_back(std::move(row));
  }
};
// Tokens through models on the device, how many of them were one launch, and how often launches were made one by one.
int64_t at_once = 0;
int went = 0, launched = 0, together = 0;
int passed = 0;  // how often several tokens went through one at once

// An infinite weight of a norm, from here on, there and here.
void break_weights(zs_model& model) {
  const int32_t last = model.config.layers - 1;
  float* const norm = model.weights.layers[static_cast<size_t>(last)].attention_norm;
  norm[1] = INFINITY;
  if (model.device) model.device->load(zs::DeviceNorm::kAttention, last, norm);
}

// All that is recorded, one after another.
std::vector<float> recorded(const Cache& cache) {
  const test::CacheConfig& c = cache.config;
  std::vector<float> all;
  for (int32_t layer = 0; layer < c.layers; ++layer)
    for (int32_t head = 0; head < c.kv_heads; ++head) {
      zs_recorded sizes{};
      test::must(zs_cache_recorded(cache.handle, layer, head, &sizes), "recorded");
      const int64_t d = c.head_dim, group = c.heads / c.kv_heads;
      std::vector<float> one(static_cast<size_t>((2 * sizes.tokens + group * (sizes.queries + sizes.outputs)) * d));
      float *const keys = one.data(), *const values = keys + sizes.tokens * d,
                   *const queries = values + sizes.tokens * d;
      test::must(
          zs_cache_record_read(cache.handle, layer, head, keys, values, queries, queries + sizes.queries * group * d),
          "record_read");
      all.insert(all.end(), one.begin(), one.end());
    }
  return all;
}

// The device fails before the token: that is told, and nothing has changed.
void fail_before(const test::Model& model, Watched& watched, const Cache& cache, const zs_forward& forward,
                 const test::Config& config) {
  test::Result before, after;
  test::look(cache, before);
  watched.fails = true;
  const zs_status status = zs_model_forward(model.handle, cache.handle, &forward, nullptr);
  test::check(status == ZS_INTERNAL && !watched.fails, "a device that fails gives status %d: %s", status,
              config.text().c_str());
  test::look(cache, after);
  test::same(before, after, "a cache whose device failed", config);
}

Results run(const Engine& engine, const Case& c) {
  Random random(c.seed);
  const test::Model model(engine, c.tiny, c.weights);
  Watched* watched = nullptr;
  if (model.handle->device) {
    auto made = std::make_unique<Watched>(std::move(model.handle->device));
    watched = made.get();
    model.handle->device = std::move(made);
  }
  Cache cache(engine, c.config.cache);
  const zs_model_config& shape = c.tiny.config;
  if (c.records) {
    const std::vector<uint8_t> heads(static_cast<size_t>(shape.layers * shape.kv_heads), 1);
    test::must(zs_cache_record(cache.handle, heads.data(), 4), "record");
  }
  const int64_t row = int64_t{shape.head_dim} * (2 * shape.heads + 2 * shape.kv_heads);
  Results results;
  int64_t alone = 0;  // tokens that could go through the model on the device
  for (size_t call = 0; call < c.config.calls.size(); ++call) {
    const int count = c.config.calls[call];
    const std::vector<int32_t> ids = test::some_ids(c.tiny, count, c.seed * 100 + call);
    const bool scored = random.one_in(4);
    const std::vector<int32_t> targets = test::some_ids(c.tiny, count, c.seed * 200 + call);
    const bool given = call && random.one_in(4), logits = !random.one_in(4), fails = random.one_in(8);
    if (c.breaks && call == c.config.calls.size() / 2) break_weights(*model.handle);
    if (random.one_in(8)) {
      Cache fork = cache.fork();
      std::swap(cache.handle, fork.handle);
    }
    std::vector<float> scores(static_cast<size_t>(logits ? shape.vocabulary : 0)),
        rows(static_cast<size_t>(given ? shape.layers * row * count : 0));
    const int64_t last = count - 1;
    zs_forward f{};
    f.struct_bytes = sizeof f, f.ids = ids.data(), f.tokens = count;
    if (logits) f.rows = &last, f.row_count = 1, f.logits = scores.data();
    if (given) f.given = rows.data();
    std::vector<double> logprobs(static_cast<size_t>(scored ? count : 0));
    if (scored) f.targets = targets.data(), f.logprobs = logprobs.data();
    if (watched && call && count == 1 && zs::cache_steps_on_device(*cache.handle) &&
        zs::cache_reserve_step(*cache.handle)) {
      ++alone;
      if (fails) fail_before(model, *watched, cache, f, c.config);
    }
    const zs_status status = zs_model_forward(model.handle, cache.handle, &f, nullptr);
    if (call == 0 && status == ZS_INVALID) return results;  // a budget that was drawn for other heads
    test::must(status, "forward");
    results.keep(std::move(scores));
    results.keep(std::move(rows));
    std::vector<float> halves(2 * logprobs.size());  // the bits of doubles
    for (double& one : logprobs)
      if (one != one) one = NAN;
    if (scored) std::memcpy(halves.data(), logprobs.data(), halves.size() * sizeof(float));
    results.rows.push_back(std::move(halves));
  }
  test::look(cache, results.cache);
  if (c.breaks) {
    for (test::State& state : results.cache.states)
      for (std::vector<float>* all : {&state.keys, &state.values, &state.scores}) Results::one_nan(*all);
    results.cache.events.clear();
    test::check(!results.cache.receipt.finite, "a receipt does not tell of queries that are no numbers: %s",
                c.config.text().c_str());
  }
  if (c.records) results.keep(recorded(cache));
  if (watched) {
    test::check(watched->tokens == alone, "%d of %d tokens went through the model on the device: %s", watched->tokens,
                static_cast<int>(alone), c.config.text().c_str());
    went += watched->tokens;
    if (cache.handle->by_model()) together += watched->tokens;
    launched += watched->launched;
    at_once += watched->at_once();
    test::check(watched->launched + watched->at_once() <= watched->tokens,
                "launches of %d tokens were made %d times, and %lld times as one: %s", watched->tokens,
                watched->launched, static_cast<long long>(watched->at_once()), c.config.text().c_str());
    passed += watched->passes;
  }
  return results;
}

}  // namespace

int main(int count, char** arguments) {
  const uint64_t only = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 0;
  const int cases = only ? 1 : test::alike(200, 60, 10);
  try {
    // Without libraries of products on either side, so that all rows have one order of sums.
    setenv("ZSLAB_CUBLASLT", "none", 1);
    const Engine cpu(1, ZS_ISA_GENERIC), device(1, ZS_ISA_GENERIC);
    device.handle->use(std::make_unique<zs::cuda::GpuDevice>(zs::DeviceOptions{0, int64_t{1} << 30}));
    for (int i = 0; i < cases; ++i) {
      const Case c(only ? only : static_cast<uint64_t>(i) + 1);
      zs::gpu::vary_order(c.seed);
      zs::gpu::vary_together(c.seed % 2 == 0 ? 0 : c.seed % 4 == 1 ? 1 << 20 : 3 + static_cast<int>(c.seed / 4 % 3));
      const Results a = run(cpu, c), b = run(device, c);
      test::check(test::same_bits(a.rows, b.rows), "rows of the device differ: %s", c.config.text().c_str());
      test::same(a.cache, b.cache, "the device", c.config);
    }
    test::check(only || went > 5 * cases, "only %d tokens of %d cases went through a model on the device", went, cases);
    test::check(only || passed > cases, "several tokens went through a model on the device only %d times", passed);
    test::check(only || together > cases, "only %d tokens went through caches whose layers choose together", together);
    test::check(only || (4 * at_once > went && 4 * at_once < 3 * went), "%lld of %d tokens were one launch",
                static_cast<long long>(at_once), went);
    // Of a full cache's tokens each 128th has other launches, of a compressed one's hardly any; here caches are short, and forked often.
    test::check(only || 5 * launched < 4 * (went - at_once), "%d tokens made their launches %d times", went, launched);
  } catch (const std::exception& e) {
    test::check(false, "it stopped: %s", e.what());
  }
  std::printf(
      "  %d cases, %d tokens on the device, %lld of them in one launch, launches made %d times; several at once %d "
      "times\n",
      cases, went, static_cast<long long>(at_once), launched, passed);
  return test::finish("models");
}
