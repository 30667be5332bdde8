// One result: the same queries, keys and values give the same bits on every instruction set and with every number of
// threads. The portable kernels run on fewer and smaller configurations: their fused multiply-add is done in software.
// Of every eight configurations one keeps keys before rotation and reads its prompt in strides, one merges layers.
// Arguments: none, or the seed of one configuration.
#include "test/caches.h"

namespace {

struct Result {
  std::vector<std::vector<float>> outputs;
  std::vector<test::State> states;
  std::vector<uint8_t> events;
  zs_receipt receipt{};
};

template <class T>
void append(std::vector<uint8_t>& to, const T* column, int64_t count) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(column);
  if (count) to.insert(to.end(), bytes, bytes + static_cast<size_t>(count) * sizeof(T));
}

Result run(const test::Engine& engine, const test::Config& config) {
  Result result;
  test::Cache cache(engine, config.cache);
  std::vector<test::Source> sources;
  for (int layer = 0; layer < config.cache.layers; ++layer) sources.emplace_back(config, layer);
  for (size_t call = 0; call < config.calls.size(); ++call)
    for (int layer = 0; layer < config.cache.layers; ++layer) {
      const test::Inputs in = sources[static_cast<size_t>(layer)].next(config.calls[call]);
      result.outputs.push_back(call ? cache.extend(layer, in, config.calls[call])
                                    : cache.prefill(layer, in, config.calls[call], config.share_of));
    }
  for (int layer = 0; layer < config.cache.layers; ++layer) result.states.push_back(cache.state(layer));
  const zs_events e = cache.events();
  for (const uint8_t* column : {e.action, e.reason}) append(result.events, column, e.count);
  for (const uint16_t* column : {e.layer, e.kv_head}) append(result.events, column, e.count);
  for (const int32_t* column : {e.step, e.position, e.slot, e.target, e.rank}) append(result.events, column, e.count);
  for (const float* column : {e.score, e.threshold, e.similarity, e.target_score, e.weight, e.target_weight})
    append(result.events, column, e.count);
  result.receipt = cache.receipt();
  return result;
}

void same(const Result& a, const Result& b, const char* name, const test::Config& config) {
  bool outputs = a.outputs.size() == b.outputs.size(), states = a.states.size() == b.states.size();
  for (size_t i = 0; outputs && i < a.outputs.size(); ++i) outputs = test::same_bits(a.outputs[i], b.outputs[i]);
  for (size_t i = 0; states && i < a.states.size(); ++i) states = test::same_bits(a.states[i], b.states[i]);
  const bool events = test::same_bits(a.events, b.events),
             receipts = !std::memcmp(&a.receipt, &b.receipt, sizeof a.receipt);
  test::check(outputs && states && events && receipts, "%s differs in%s%s%s%s: %s", name, outputs ? "" : " outputs",
              states ? "" : " states", events ? "" : " events", receipts ? "" : " the receipt", config.text().c_str());
}

std::string described(zs_engine* engine) { return zs_engine_describe(engine); }

test::Config config_of(uint64_t seed, bool small) {
  test::Config config = test::random_config(seed, small);
  if (seed % 4) return config;
  test::Random random(seed);
  config.cache.policy = test::fixed_policy();
  config.cache.budgets.clear();
  if (seed % 8 == 0) {
    config.cache.layers = random.upto(2, 4);
    config.cache.policy.name = "minicache", config.cache.policy.budget = 0;
    config.cache.policy.own = {
        {"start", 0}, {"t", random.unit()}, {"retain", random.unit() / 4}, {"retention", random.upto(0, 1)}};
    return config;
  }
  const int least = test::random_streaming(random, config.cache, config.calls[0]);
  config.cache.policy.budget = std::max(least, random.upto(1, config.calls[0]));
  for (size_t call = 1; call < config.calls.size(); ++call)
    config.cache.policy.chunk = std::max(config.cache.policy.chunk, config.calls[call]);
  return config;
}

}  // namespace

int main(int count, char** arguments) {
  const uint64_t only = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 0;
  const int cases = only ? 1 : test::cases(10000, 1000, 40), portable = only ? 1 : test::cases(400, 300, 10);
  const bool small = test::cases(0, 0, 1) == 1;
  struct Other {
    const char* name;
    int threads;
    zs_isa isa;
    std::unique_ptr<test::Engine> engine;
  };
  Other others[] = {{"best, 2 threads", 2, ZS_ISA_BEST, nullptr},
                    {"best, 4 threads", 4, ZS_ISA_BEST, nullptr},
                    {"AVX2, 1 thread", 1, ZS_ISA_AVX2, nullptr},
                    {"AVX-512, 1 thread", 1, ZS_ISA_AVX512, nullptr}};
  try {
    const test::Engine one(1), generic(1, ZS_ISA_GENERIC);
    for (Other& other : others) {
      zs_engine* engine = nullptr;
      if (zs_engine_create(other.threads, other.isa, &engine) == ZS_UNSUPPORTED) {
        std::printf("  not compared: %s (%s)\n", other.name, zs_last_error());
        continue;
      }
      // One thread of the best instruction set is what the others are compared with.
      const bool again = other.threads == 1 && described(engine) == described(one.handle);
      zs_engine_destroy(engine);
      if (!again) other.engine = std::make_unique<test::Engine>(other.threads, other.isa);
    }
    for (int i = 0; i < cases; ++i) {
      const test::Config config = config_of(only ? only : static_cast<uint64_t>(i) + 1, small);
      const Result first = run(one, config);
      for (const Other& other : others)
        if (other.engine) same(first, run(*other.engine, config), other.name, config);
    }
    for (int i = 0; i < portable; ++i) {
      const test::Config config = config_of(only ? only : static_cast<uint64_t>(i) + 1000001, true);
      same(run(one, config), run(generic, config), "generic", config);
    }
  } catch (const std::exception& e) {
    test::check(false, "%s", e.what());
  }
  return test::finish("identical");
}
