// Whole caches on a device beside the same on the CPU: outputs, slots, scores, events and receipts are equal to the bit, whatever is asked of
// them on the way: forks, tokens that leave, stay or come back by request, several tokens at once, tokens taken back, another alpha. Steps of
// full caches are done on the device, and so are first compressions at the end of prompts, and by the CPU only where all layers choose together.
// Arguments: none, or the seed of one configuration.
#include "core/cache.h"
#include "core/device_compress.h"
#include "core/step.h"
#include "cuda/backend/device.h"
#include "cuda/test/goes.h"
#include "test/reference_golden.h"
#include "test/results.h"
#include "zslab/asked.h"
#include "zslab/device.h"

namespace {

using test::Cache;
using test::Config;
using test::Engine;
using test::Random;

int kept_on = 0;     // of caches that ran out of memory: how many went on
int read_here = 0;   // and of prompts how many the CPU read
int compressed = 0;  // heads that a prompt was compressed in, on the device
int together = 0;    // steps on the device in which somebody left a layer by the sum of its heads' scores

// With more single tokens than the configurations of other tests.
Config config_of(uint64_t seed, bool small) {
  Random random(seed * 7 + 1);
  Config config = test::config_that_goes(random, seed, small);
  if (config.cache.head_dim > 256) config.cache.head_dim = 64;
  for (int i = random.upto(5, small ? 30 : 90); i > 0; --i) config.calls.push_back(1);
  config.cache.trace = 1;
  return config;
}

// What is asked of a cache between two calls; each of `status` what came of it.
class Asking {
 public:
  explicit Asking(uint64_t seed) : random_(seed) {}

  void ask(Cache& cache, std::vector<float>& told) {
    if (!random_.one_in(6)) return;
    zs_layer_state layer{};
    test::must(zs_cache_layer(cache.handle, 0, &layer), "layer");
    const int32_t seen = static_cast<int32_t>(layer.seq_len), position = random_.upto(0, seen - 1);
    int32_t done = 0;
    zs_status status = ZS_OK;
    switch (random_.upto(0, 6)) {
      case 0:
        status = zs_cache_evict(cache.handle, position, nullptr, &done);
        break;
      case 1:
      case 2:
        status = zs_cache_pin(cache.handle, position, nullptr, &done);
        break;
      case 3: {
        const size_t count = static_cast<size_t>(cache.config.layers * cache.config.kv_heads * cache.config.head_dim);
        std::vector<float> keys(count), values(count);
        for (float& x : keys) x = random_.element();
        for (float& x : values) x = random_.element();
        status = zs_cache_unevict(cache.handle, position, nullptr, keys.data(), values.data(), &done);
        break;
      }
      case 4: {  // goes on as a fork of itself
        Cache fork = cache.fork();
        std::swap(cache.handle, fork.handle);
        break;
      }
      case 5:
        status = zs_cache_rollback(cache.handle, random_.upto(1, 3));
        break;
      case 6: {
        const test::State state = cache.state(random_.upto(0, cache.config.layers - 1));
        told.insert(told.end(), state.scores.begin(), state.scores.end());
        break;
      }
    }
    told.push_back(static_cast<float>(status)), told.push_back(static_cast<float>(done));
  }

 private:
  Random random_;
};

// Heads that hold what they may, so that with the next token somebody leaves each.
bool is_full(const zs_cache& cache, const zs::Layer& layer) {
  return cache.needs.acts == ZS_ACTS_ALWAYS &&
         std::all_of(layer.heads.begin(), layer.heads.end(), [](const auto& head) {
           return head.compressed && head.slots() == head.sizes.budget && head.missing == 0;
         });
}

// Counts heads whose first compression is its own.
struct Counting : zs::cuda::GpuDevice {
  using GpuDevice::GpuDevice;
  int heads = 0;
  void compress(const zs::DeviceCompressionShape& shape, const std::vector<zs::DeviceCompression>& of) override {
    GpuDevice::compress(shape, of);
    heads += static_cast<int>(of.size());
  }
};
int compressed_there(const Engine& engine) {
  const auto* const device = dynamic_cast<const Counting*>(engine.handle->device.get());
  return device ? device->heads : 0;
}
int compressed_in(const zs_cache& cache) {
  int heads = 0;
  for (const zs::Layer& layer : cache.layers)
    for (const zs::Head& head : layer.heads) heads += head.compressed;
  return heads;
}

struct Attended {
  int64_t here = 0, there = 0;
};
Attended attended(const Cache& cache) {
  Attended rows;
  test::must(zs_cache_attended(cache.handle, &rows.here, &rows.there), "attended");
  return rows;
}

test::Result run(const Engine& engine, const Config& config) {
  test::Result result;
  Cache cache(engine, config.cache);
  std::vector<test::Source> sources = test::sources_of(config);
  Asking asking(config.seed);
  const bool summed = test::choose_together(config.cache);
  for (size_t call = 0; call < config.calls.size(); ++call) {
    const zs_cache& of = *cache.handle;
    std::vector<bool> full;
    for (const zs::Layer& layer : of.layers) full.push_back(config.calls[call] == 1 && is_full(of, layer));
    const Attended before = attended(cache);
    const int compressed_before = compressed_there(engine);
    for (std::vector<float>& out : test::run(cache, config, sources, call, call + 1))
      result.outputs.push_back(std::move(out));
    if (engine.handle->device && call == 0) {
      const int made = compressed_there(engine) - compressed_before, wanted = of.by_model() ? 0 : compressed_in(of);
      test::check(made == wanted, "%d heads of a prompt were compressed on the device, not %d: %s", made, wanted,
                  config.text().c_str());
      compressed += made;
    }
    if (engine.handle->device && (call == 0 || (config.calls[call] > 1 && !zs::selects(of)))) {
      const Attended after = attended(cache);
      test::check(after.here == before.here && after.there - before.there == config.calls[call] * config.cache.layers,
                  "of %d rows in %d layers %lld attended on the device: %s", config.calls[call], config.cache.layers,
                  static_cast<long long>(after.there - before.there), config.text().c_str());
    }
    for (size_t l = 0; engine.handle->device && !of.by_model() && l < full.size(); ++l) {
      if (!full[l]) continue;
      test::check(of.layers[l].device.away, "a step on the device was done by the CPU: %s", config.text().c_str());
      together += summed;
    }
    result.outputs.emplace_back();
    asking.ask(cache, result.outputs.back());
  }
  test::look(cache, result);
  return result;
}

// A device whose memory others take at some step: whatever a step lacks it for is said, and the cache is as it was; once the others have gone
// it goes on.
void runs_out(uint64_t seed) {
  Random random(seed);
  Config config;
  config.seed = seed;
  config.cache.layers = random.upto(1, 2), config.cache.kv_heads = random.upto(1, 2);
  config.cache.heads = config.cache.kv_heads * random.upto(1, 3);
  config.cache.head_dim = 16, config.cache.storage = random.upto(0, 2), config.cache.trace = 1;
  // Around a page and the room for a head's books, which begins at one.
  const int prompt = random.one_in(2) ? random.upto(195, 204) : random.upto(20, 250);
  config.cache.policy = random.one_in(2) ? test::full_policy() : test::count_policy(prompt - random.upto(0, 8), 6, 2);
  config.cache.policy.granularity = random.upto(0, 1);
  const Engine cpu(1), device(1);
  device.handle->use(std::make_unique<zs::cuda::GpuDevice>(zs::DeviceOptions{0, 600000}));

  std::vector<float> out;
  std::vector<std::unique_ptr<Cache>> others;
  Config other = config;
  other.cache.layers = other.cache.kv_heads = other.cache.heads = 1, other.cache.policy = test::full_policy();
  const test::Inputs more = test::Source(other, 0).next(1);
  const auto crowd = [&] {
    for (const int tokens : {250, 60, 1})
      for (const Cache* first = nullptr;; first = first ? first : others.back().get()) {
        test::Source source(other, 0);
        const test::Inputs in = source.next(tokens);
        // Whoever is a fork of the first has a page of its own after a step.
        others.push_back(std::make_unique<Cache>(first ? first->fork() : Cache(device, other.cache)));
        if (!first) others.back()->prefill(0, in, tokens);
        if (others.back()->try_extend(0, source.next(1), 1, out) == ZS_OK) continue;
        others.pop_back();
        break;
      }
  };
  Cache on(device, config.cache), beside(cpu, config.cache);
  std::vector<test::Source> sources = test::sources_of(config);
  const auto same = [&](const char* when) {
    test::Result a, b;
    test::look(beside, a);
    test::look(on, b);
    test::same(a, b, when, config);
  };
  std::vector<test::Inputs> prompts;
  std::vector<std::vector<float>> read;
  for (int layer = 0; layer < config.cache.layers; ++layer) {
    prompts.push_back(sources[static_cast<size_t>(layer)].next(prompt));
    read.push_back(beside.prefill(layer, prompts.back(), prompt));
    test::check(test::same_bits(on.prefill(layer, prompts.back(), prompt), read.back()), "outputs differ: %s",
                config.text().c_str());
  }
  const int crowded = random.upto(0, 8);
  bool lacked = false;
  for (int step = 0; step < 64; ++step) {
    if (step == crowded) {
      crowd();
      // A prompt that there is no memory for is read on the CPU.
      Cache late(device, config.cache);
      for (size_t layer = 0; layer < prompts.size(); ++layer)
        test::check(test::same_bits(late.prefill(static_cast<int>(layer), prompts[layer], prompt), read[layer]),
                    "outputs of a prompt without memory differ: %s", config.text().c_str());
      read_here += attended(late).here > 0;
    }
    for (int layer = 0; layer < config.cache.layers; ++layer) {
      const test::Inputs in = sources[static_cast<size_t>(layer)].next(1);
      std::vector<float> had;
      for (int tries = 0;; ++tries) {
        const zs_status status = on.try_extend(layer, in, 1, had);
        if (status != ZS_OUT_OF_MEMORY) {
          test::must(status, "a step");
          break;
        }
        lacked = true;
        test::check(std::strstr(zs_last_error(), "memory"), "a step without memory says: %s", zs_last_error());
        same("what ran out of memory");
        if (!others.empty())
          others.front()->try_extend(0, more, 1,
                                     out);  // whoever has worked where it works goes on, too, or says why not
        if (tries == 1) others.clear();
        if (!test::check(tries < 2, "a step lacks memory that nobody else has: %s", zs_last_error())) return;
      }
      const std::vector<float> wanted = beside.extend(layer, in, 1);
      test::check(test::same_bits(had, wanted), "outputs differ: %s", config.text().c_str());
    }
  }
  same("what went on after running out of memory");
  kept_on += lacked;
}

// A cache that was there before its engine got a device stays on the CPU: nobody has looked whether it can go there.
void stays_where_it_was() {
  Config config = config_of(3, true);
  config.cache.policy = test::fixed_policy();
  std::vector<test::Result> results;
  for (const bool moves : {false, true}) {
    const Engine engine(1);
    test::Result result;
    Cache cache(engine, config.cache);
    std::vector<test::Source> sources = test::sources_of(config);
    for (size_t call = 0; call < config.calls.size(); ++call) {
      if (moves && call == 1) engine.handle->use(std::make_unique<zs::cuda::GpuDevice>(zs::DeviceOptions{0, 1 << 24}));
      for (std::vector<float>& out : test::run(cache, config, sources, call, call + 1))
        result.outputs.push_back(std::move(out));
    }
    test::look(cache, result);
    test::check(attended(cache).there == 0, "a cache went onto a device that came after it");
    results.push_back(std::move(result));
  }
  test::same(results[0], results[1], "a cache whose engine got a device", config);
}

// Who has worked in a workspace that could not be made larger has to see that it is not there any more.
void workspace_runs_out() {
  zs::cuda::Workspace work(std::make_shared<zs::cuda::Pool>(100000));
  work.need(1000);
  const int64_t version = work.version();
  bool refused = false;
  try {
    work.need(100000);
  } catch (const zs::Error& e) {
    refused = e.status == ZS_OUT_OF_MEMORY;
  }
  test::check(refused && work.version() != version, "a workspace that is gone has the version of the former one");
}

// A golden run of the public implementation (which the CPU's is judged by elsewhere), and more steps.
test::Result golden_run(const Engine& engine, const test::Json& c) {
  const int kMore = test::cases(256, 256, 32);
  const int layers = c["layers"].whole(), prompt = c["promptTokens"].whole(), tokens = prompt + c["steps"].whole();
  const test::Json& set = c["reference"];
  Config config;
  test::CacheConfig& cache = config.cache;
  cache.layers = layers, cache.heads = c["heads"].whole(), cache.kv_heads = c["kvHeads"].whole();
  cache.head_dim = c["headDim"].whole(), cache.trace = 1;
  test::Options& p = cache.policy;
  p.budget = set["cache_budget"].number, p.recent = set["cache_tail"].number, p.residual = set["cache_dense"].number;
  p.least_budget = 0, p.least_recent = 2, p.raise_counts = 1;
  p.alpha = static_cast<float>(set["scale_factor"].number), p.decay = static_cast<float>(set["shrink_factor"].number);
  p.similarity = set["metric"].text == "l2" ? ZS_L2 : ZS_DOT;
  p.score_merge = set["score_update"].text == "sum" ? 1 : 0;
  p.underfull = 1, p.window = -1;
  const test::GoldenInputs in = test::golden_inputs(c);
  test::Result result;
  Cache whole(engine, cache);
  const auto rows = [&](int layer, int from, int count) {
    const auto of = [&](const std::vector<float>& all, int heads) {
      return test::golden_rows(all, layer, tokens, heads, cache.head_dim, from, count);
    };
    return test::Inputs{of(in.q, cache.heads), of(in.k, cache.kv_heads), of(in.v, cache.kv_heads)};
  };
  for (int layer = 0; layer < layers; ++layer)
    result.outputs.push_back(whole.prefill(layer, rows(layer, 0, prompt), prompt, prompt));
  for (int step = 0; step < tokens - prompt + kMore;
       ++step)  // of those beyond the recorded ones the inputs begin again
    for (int layer = 0; layer < layers; ++layer)
      result.outputs.push_back(whole.extend(layer, rows(layer, (prompt + step) % tokens, 1), 1));
  test::look(whole, result);
  return result;
}

void golden(const Engine& cpu, const Engine& device) {
  const test::Json all = test::Json::golden("zsmerge_reference.json");
  for (const test::Json& c : all["cases"].items) {
    Config named;
    const test::Result a = golden_run(cpu, c), b = golden_run(device, c);
    test::check(!a.events.empty(), "%s has no events", c["name"].text.c_str());
    test::same(a, b, ("the device on golden case " + c["name"].text).c_str(), named);
  }
}

}  // namespace

int main(int count, char** arguments) {
  const uint64_t only = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 0;
  const int cases = only ? 1 : test::alike(240, 60, 12);
  const bool small = test::cases(0, 0, 1) == 1;
  try {
    const Engine cpu(1), device(1);
    device.handle->use(std::make_unique<Counting>(zs::DeviceOptions{0, int64_t{1} << 30}));
    if (!only) {
      golden(cpu, device);
      workspace_runs_out();
      stays_where_it_was();
      const int little = test::alike(120, 60, 8);
      for (int i = 0; i < little; ++i) runs_out(static_cast<uint64_t>(i) + 1);
      test::check(read_here * 2 >= little, "only %d of %d prompts lacked memory", read_here, little);
      test::check(kept_on * 5 >= little, "only %d of %d caches ran out of memory and went on", kept_on, little);
    }
    for (int i = 0; i < cases; ++i) {
      const Config config = config_of(only ? only : static_cast<uint64_t>(i) + 1, small);
      zs::gpu::vary_order(config.seed);
      test::same(run(cpu, config), run(device, config), "the device", config);
    }
    test::check(only || compressed >= cases, "only %d heads of prompts were compressed on the device", compressed);
    test::check(only || together >= 4 * cases, "only %d steps of heads that choose together lost somebody", together);
  } catch (const std::exception& e) {
    test::check(false, "%s", e.what());
  }
  return test::finish("caches");
}
