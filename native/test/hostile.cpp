// Every function of the C ABI with bad arguments: a status and a sentence, never a crash, and the object still works
// afterwards.
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>

#include "test/caches.h"
#include "zslab/model.h"

namespace {

using test::check;

int refusals = 0;

// Expects `status` (or any failure, -1) and a sentence that contains `word`.
void refused(zs_status given, int status, const char* what, const char* word = "") {
  const std::string sentence = zs_last_error();
  check(given != ZS_OK && (status < 0 || given == status) && sentence.size() >= 12 &&
            sentence.find(word) != std::string::npos,
        "%s: status %d, \"%s\"", what, given, sentence.c_str());
  ++refusals;
}

test::CacheConfig shape() {
  test::CacheConfig c;
  c.layers = 2, c.heads = 4, c.kv_heads = 2, c.head_dim = 8, c.trace = 1;
  c.policy = test::count_policy(8, 2, 1);
  c.policy.chunk = 4;
  return c;
}

void engines() {
  zs_engine* engine = nullptr;
  refused(zs_engine_create(1, ZS_ISA_BEST, nullptr), ZS_INVALID, "engine: no place for the result");
  for (int threads : {-1, 257, INT32_MAX, INT32_MIN})
    refused(zs_engine_create(threads, ZS_ISA_BEST, &engine), ZS_INVALID, "engine: threads", "threads");
  for (int isa : {-2, 3, 99, INT32_MAX}) refused(zs_engine_create(1, isa, &engine), -1, "engine: isa");
  zs_engine_destroy(nullptr);
  zs_cache_destroy(nullptr);
  zs_model_destroy(nullptr);
  check(zs_engine_describe(nullptr) != nullptr || true, "describe of nothing");
  check(zs_cache_peak_bytes(nullptr) <= 0 && zs_model_bytes(nullptr) <= 0, "bytes of nothing");
}

// A policy whose block is wrong, and one that is wrong around it.
void each_policy(const std::function<void(const zs_policy&, const char*)>& bad) {
  const auto with = [&](const char* name, const std::function<void(test::Options&)>& change) {
    test::Options p = shape().policy;
    change(p);
    bad(p.native()->policy, name);
  };
  const auto around = [&](const char* name, const std::function<void(zs_policy&)>& change) {
    const auto good = shape().policy.native();
    zs_policy p = good->policy;
    change(p);
    bad(p, name);
  };
  const double nan = NAN, infinite = INFINITY;
  around("struct_bytes", [](zs_policy& p) { p.struct_bytes -= 4; });
  around("struct_bytes", [](zs_policy& p) { p.struct_bytes = 0; });
  for (const char* name : {static_cast<const char*>(nullptr), "", "zsmerg", "ZSMERGE", "nobody's policy"})
    around("name", [=](zs_policy& p) { p.name = name; });
  for (int bytes : {0, -1, 1, 8, INT32_MAX})
    around("parameter_bytes", [=](zs_policy& p) { p.parameter_bytes = bytes; });
  around("parameters", [](zs_policy& p) { p.parameters = nullptr; });
  around("of", [](zs_policy& p) { p.of = &p; });
  for (double x : {nan, infinite, -infinite, -1.0, 0.0, 1e300, 8.5})
    with("budget", [=](test::Options& p) { p.budget = x; });
  for (double x : {nan, infinite, -infinite, -0.5, -1.0, 0.0, 1e300, 2.5, 8.0})
    with("recent", [=](test::Options& p) { p.recent = x; });
  for (double x : {nan, infinite, -infinite, -0.5, -1.0, 1e300, 1.5, 6.0})
    with("residual", [=](test::Options& p) { p.residual = x; });
  for (int x : {-1, 5, INT32_MAX, INT32_MIN}) with("sink", [=](test::Options& p) { p.sink = x; });
  for (int x : {-1, INT32_MIN}) {
    with("least_budget", [=](test::Options& p) { p.least_budget = x; });
    with("least_recent", [=](test::Options& p) { p.least_recent = x; });
    with("least_residual", [=](test::Options& p) { p.least_residual = x; });
  }
  for (int x : {-1, 2}) with("raise_counts", [=](test::Options& p) { p.raise_counts = x; });
  for (double x : {nan, infinite, -infinite}) with("alpha", [=](test::Options& p) { p.alpha = static_cast<float>(x); });
  for (double x : {nan, infinite, 0.0, -0.5, 1.0001, 2.0})
    with("decay", [=](test::Options& p) { p.decay = static_cast<float>(x); });
  for (int x : {-1, 2}) with("history", [=](test::Options& p) { p.history = x; });
  for (int x : {-1, 3, INT32_MAX}) with("similarity", [=](test::Options& p) { p.similarity = x; });
  for (int x : {-1, 2}) with("score_merge", [=](test::Options& p) { p.score_merge = x; });
  for (int x : {-1, 2}) with("init", [=](test::Options& p) { p.init = x; });
  for (int x : {-1, 2}) with("underfull", [=](test::Options& p) { p.underfull = x; });
  for (int x : {-1, 3}) with("granularity", [=](test::Options& p) { p.granularity = x; });
  for (int x : {-1, 3}) with("aggregate", [=](test::Options& p) { p.aggregate = x; });
  for (int x : {-1, 2}) with("keys", [=](test::Options& p) { p.keys = x; });
  for (int x : {-1, 2}) with("values", [=](test::Options& p) { p.values = x; });
  for (int x : {1, 2}) {
    with("aggregate without history", [=](test::Options& p) { p.aggregate = x, p.history = 0; });
    with("aggregate of fixed keys", [=](test::Options& p) { p.aggregate = x, p.keys = 1; });
    with("aggregate of fixed values", [=](test::Options& p) { p.aggregate = x, p.values = 1; });
  }
  for (int x : {-2, INT32_MIN}) with("window", [=](test::Options& p) { p.window = x; });
  for (int x : {0, -1, INT32_MIN}) with("chunk", [=](test::Options& p) { p.chunk = x; });
}

void policies() {
  zs_resolved r{};
  const auto held = shape().policy.native();
  const zs_policy good = held->policy;
  refused(zs_policy_resolve(nullptr, 10, &r), ZS_INVALID, "resolve: no policy");
  refused(zs_policy_resolve(&good, 10, nullptr), ZS_INVALID, "resolve: no place for the result");
  for (int64_t tokens : {int64_t{0}, int64_t{-1}, INT64_MIN})
    refused(zs_policy_resolve(&good, tokens, &r), ZS_INVALID, "resolve: tokens");
  test::Options share;
  share.budget = 0.9;
  check(zs_policy_resolve(&share.native()->policy, INT64_MAX, &r) != ZS_OK || r.budget > 0, "a share of everything");
  each_policy([&](const zs_policy& p, const char* name) { refused(zs_policy_resolve(&p, 10, &r), -1, name); });
  check(zs_policy_resolve(&good, 10, &r) == ZS_OK && r.context == 5, "a good policy is refused: %s", zs_last_error());
}

void creation(const test::Engine& engine) {
  zs_cache* cache = nullptr;
  const auto with = [&](const char* name, int status, const std::function<void(zs_cache_config&)>& change) {
    const auto policy = shape().policy.native();
    zs_cache_config c = shape().native(*policy);
    change(c);
    refused(zs_cache_create(engine.handle, &c, &cache), status, name);
  };
  const auto policy = shape().policy.native();
  const zs_cache_config good = shape().native(*policy);
  refused(zs_cache_create(nullptr, &good, &cache), ZS_INVALID, "create: no engine");
  refused(zs_cache_create(engine.handle, nullptr, &cache), ZS_INVALID, "create: no configuration");
  refused(zs_cache_create(engine.handle, &good, nullptr), ZS_INVALID, "create: no place for the result");
  for (int x : {0, -1, 8, INT32_MAX})
    with("create: struct_bytes", ZS_INVALID, [=](zs_cache_config& c) { c.struct_bytes = x; });
  for (int x : {0, -1, INT32_MIN}) {
    with("create: layers", ZS_INVALID, [=](zs_cache_config& c) { c.layers = x; });
    with("create: heads", ZS_INVALID, [=](zs_cache_config& c) { c.heads = x; });
    with("create: kv_heads", ZS_INVALID, [=](zs_cache_config& c) { c.kv_heads = x; });
  }
  with("create: heads not a multiple", ZS_INVALID, [](zs_cache_config& c) { c.heads = 5; });
  for (int x : {0, -2, 1, 3, 7, 513, 514, INT32_MAX, INT32_MIN})
    with("create: head_dim", ZS_INVALID, [=](zs_cache_config& c) { c.head_dim = x; });
  for (int x : {-1, 3, INT32_MAX}) with("create: storage", ZS_INVALID, [=](zs_cache_config& c) { c.storage = x; });
  // As eight or four bits a number would be.
  with("create: storage", ZS_INVALID, [](zs_cache_config& c) { c.storage = ZS_BF16 + 1; });
  check(std::strstr(zs_last_error(), "storage is 3: expected 0 (float32), 1 (float16) or 2 (bfloat16)"),
        "an unknown storage: %s", zs_last_error());
  for (int x : {-1, 2}) with("create: trace", ZS_INVALID, [=](zs_cache_config& c) { c.trace = x; });
  for (int x : {-1, 2}) with("create: origins", ZS_INVALID, [=](zs_cache_config& c) { c.origins = x; });
  for (double x : {0.0, -1.0, static_cast<double>(NAN), 8.5, 1e300}) {
    const std::vector<double> budgets{8, 8, x, 8};
    with("create: budgets", ZS_INVALID, [&](zs_cache_config& c) { c.budgets = budgets.data(); });
  }
  with("create: keep_queries", ZS_INVALID, [](zs_cache_config& c) { c.keep_queries = -1; });
  // More heads than memory holds: an error, at once.
  with("create: everything huge", -1,
       [](zs_cache_config& c) { c.layers = c.heads = c.kv_heads = INT32_MAX, c.head_dim = 512; });
  each_policy([&](const zs_policy& p, const char* name) {
    zs_cache_config c = shape().native(*policy);
    c.policy = p;
    const zs_status status = zs_cache_create(engine.handle, &c, &cache);
    if (status != ZS_OK) return refused(status, -1, name);
    // What depends on the prompt may be said at the prompt.
    test::Cache made(cache, shape());
    test::Inputs in{std::vector<float>(4 * 8), std::vector<float>(2 * 8), std::vector<float>(2 * 8)};
    std::vector<float> out;
    refused(made.try_prefill(0, in, 1, 0, out), -1, name);
    check(made.state(0).layer.slots == 0, "%s: a refused prompt left something", name);
  });
}

void calls(const test::Engine& engine) {
  test::Cache cache(engine, shape());
  test::Config config;
  config.cache = shape(), config.seed = 5;
  test::Source source(config, 0);
  const test::Inputs in = source.next(12);
  std::vector<float> out(in.q.size());
  const zs_view q = cache.view(in.q, 12), k = cache.view(in.k, 12), v = cache.view(in.v, 12), o = cache.view(out, 12),
                none{};
  const auto prefill = [&](int layer, zs_view q, zs_view k, zs_view v, int64_t tokens, int64_t of, zs_view o) {
    return zs_cache_prefill(cache.handle, layer, q, k, v, tokens, of, o, nullptr);
  };
  const auto extend = [&](int layer, zs_view q, zs_view k, zs_view v, int64_t tokens, zs_view o) {
    return zs_cache_extend(cache.handle, layer, q, k, v, tokens, o, nullptr);
  };
  zs_resolved resolved{};
  refused(zs_cache_resolved(cache.handle, 0, 0, &resolved), ZS_INVALID, "resolved before the first prompt");
  refused(zs_cache_prefill(nullptr, 0, q, k, v, 12, 0, o, nullptr), ZS_INVALID, "prefill: no cache");
  refused(zs_cache_extend(nullptr, 0, q, k, v, 1, o, nullptr), ZS_INVALID, "extend: no cache");
  refused(extend(0, q, k, v, 1, o), ZS_INVALID, "extend before the prompt");
  for (int layer : {-1, 2, INT32_MAX, INT32_MIN})
    refused(prefill(layer, q, k, v, 12, 0, o), ZS_INVALID, "prefill: layer", "layer");
  refused(prefill(0, none, k, v, 12, 0, o), ZS_INVALID, "prefill: no q");
  refused(prefill(0, q, none, v, 12, 0, o), ZS_INVALID, "prefill: no k");
  refused(prefill(0, q, k, none, 12, 0, o), ZS_INVALID, "prefill: no v");
  refused(prefill(0, q, k, v, 12, 0, none), ZS_INVALID, "prefill: no out");
  for (int64_t tokens : {int64_t{0}, int64_t{-1}, INT64_MIN, INT64_MAX, int64_t{1} << 40})
    refused(prefill(0, q, k, v, tokens, 0, o), -1, "prefill: tokens");
  for (int64_t of : {int64_t{-1}, INT64_MIN}) refused(prefill(0, q, k, v, 12, of, o), ZS_INVALID, "prefill: share_of");
  check(cache.state(0).layer.slots == 0 && cache.receipt().admitted == 0, "refused prompts left something");

  check(prefill(0, q, k, v, 12, 0, o) == ZS_OK, "a good prompt is refused: %s", zs_last_error());
  const test::State state = cache.state(0);
  refused(prefill(0, q, k, v, 12, 0, o), ZS_INVALID, "a second prompt");
  refused(extend(1, q, k, v, 1, o), ZS_INVALID, "extend of a layer without a prompt");
  for (int64_t tokens : {int64_t{0}, int64_t{-1}, INT64_MIN, int64_t{5}, INT64_MAX})
    refused(extend(0, q, k, v, tokens, o), ZS_INVALID, "extend: tokens");
  for (int layer : {-1, 2, INT32_MAX}) refused(extend(layer, q, k, v, 1, o), ZS_INVALID, "extend: layer", "layer");
  refused(extend(0, none, k, v, 1, o), ZS_INVALID, "extend: no q");
  refused(extend(0, q, none, v, 1, o), ZS_INVALID, "extend: no k");
  refused(extend(0, q, k, none, 1, o), ZS_INVALID, "extend: no v");
  refused(extend(0, q, k, v, 1, none), ZS_INVALID, "extend: no out");
  check(test::same_bits(cache.state(0), state), "refused calls changed the cache");

  zs_cache* copy = nullptr;
  const auto held = shape().policy.native();
  const zs_policy policy = held->policy;
  refused(zs_cache_fork(nullptr, &copy), ZS_INVALID, "fork: no cache");
  refused(zs_cache_fork(cache.handle, nullptr), ZS_INVALID, "fork: no place for the result");
  refused(zs_cache_fork_policies(nullptr, &policy, nullptr, 1, 1, &copy, nullptr), ZS_INVALID, "fork_policy: no cache");
  refused(zs_cache_fork_policies(cache.handle, nullptr, nullptr, 1, 1, &copy, nullptr), ZS_INVALID,
          "fork_policy: no policy");
  refused(zs_cache_fork_policies(cache.handle, &policy, nullptr, 1, 1, nullptr, nullptr), ZS_INVALID,
          "fork_policy: no place for the result");
  refused(zs_cache_fork_policies(cache.handle, &policy, nullptr, 1, 1, &copy, nullptr), ZS_UNSUPPORTED,
          "fork_policy of a compressed cache");
  each_policy([&](const zs_policy& p, const char* name) {
    refused(zs_cache_fork_policies(cache.handle, &p, nullptr, 1, 1, &copy, nullptr), -1, name);
  });

  zs_layer_state layer{};
  zs_events events{};
  zs_receipt receipt{};
  std::vector<int64_t> bytes(4 * ZS_REGIONS);
  refused(zs_cache_layer(nullptr, 0, &layer), ZS_INVALID, "layer: no cache");
  refused(zs_cache_layer(cache.handle, 0, nullptr), ZS_INVALID, "layer: no place");
  refused(zs_cache_heads(nullptr, 0, nullptr), ZS_INVALID, "heads: no cache");
  refused(zs_cache_heads(cache.handle, 0, nullptr), ZS_INVALID, "heads: no place");
  for (int g : {-1, 2, INT32_MAX})
    refused(zs_cache_resolved(cache.handle, 0, g, &resolved), ZS_INVALID, "resolved: kv_head", "kv_head");
  for (int at : {-1, 2, INT32_MAX}) {
    refused(zs_cache_layer(cache.handle, at, &layer), ZS_INVALID, "layer: layer", "layer");
    refused(zs_cache_state(cache.handle, at, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr), ZS_INVALID,
            "state: layer", "layer");
  }
  refused(zs_cache_state(nullptr, 0, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr), ZS_INVALID,
          "state: no cache");
  check(zs_cache_state(cache.handle, 0, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr) == ZS_OK,
        "state: any pointer may be NULL");
  refused(zs_cache_resolved(nullptr, 0, 0, &resolved), ZS_INVALID, "resolved: no cache");
  refused(zs_cache_resolved(cache.handle, 0, 0, nullptr), ZS_INVALID, "resolved: no place");
  const auto visit = [](void*, const zs_array*) { check(false, "zsmerge shows arrays of its own"); };
  refused(zs_cache_inspect(nullptr, 0, 0, visit, nullptr), ZS_INVALID, "inspect: no cache");
  refused(zs_cache_inspect(cache.handle, 0, 0, nullptr, nullptr), ZS_INVALID, "inspect: no visitor");
  for (int at : {-1, 2, INT32_MAX}) {
    refused(zs_cache_inspect(cache.handle, at, 0, visit, nullptr), ZS_INVALID, "inspect: layer", "layer");
    refused(zs_cache_inspect(cache.handle, 0, at, visit, nullptr), ZS_INVALID, "inspect: kv_head", "kv_head");
  }
  check(zs_cache_inspect(cache.handle, 0, 0, visit, nullptr) == ZS_OK, "inspect: %s", zs_last_error());
  refused(zs_cache_events(nullptr, &events), ZS_INVALID, "events: no cache");
  refused(zs_cache_events(cache.handle, nullptr), ZS_INVALID, "events: no place");
  refused(zs_cache_receipt(nullptr, &receipt), ZS_INVALID, "receipt: no cache");
  refused(zs_cache_receipt(cache.handle, nullptr), ZS_INVALID, "receipt: no place");
  refused(zs_cache_bytes(nullptr, bytes.data()), ZS_INVALID, "bytes: no cache");
  refused(zs_cache_bytes(cache.handle, nullptr), ZS_INVALID, "bytes: no place");
  check(extend(0, q, k, v, 3, o) == ZS_OK && cache.state(0).layer.seq_len == 15,
        "after all refusals a good call works: %s", zs_last_error());
}

// Not a number, infinities and huge values go through: the receipt says so, nothing is read out of bounds.
void values(const test::Engine& engine) {
  const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f};
  for (float x : bad)
    for (int storage = 0; storage < 3; ++storage)
      for (int where = 0; where < 3; ++where)
        for (int init = 0; init < 2; ++init) {
          test::Config config;
          config.cache = shape(), config.cache.storage = storage, config.seed = 9;
          config.cache.policy.init = init, config.cache.policy.similarity = where;
          test::Cache cache(engine, config.cache);
          test::Source source(config, 0);
          for (int call = 0; call < 4; ++call) {
            const int tokens = call ? call : 12;
            test::Inputs in = source.next(tokens);
            std::vector<float>&into = where == 0 ? in.q : where == 1 ? in.k : in.v, out;
            for (size_t i = 0; i < into.size(); i += call ? 1 : 3) into[i] = x;
            check((call ? cache.try_extend(0, in, tokens, out) : cache.try_prefill(0, in, tokens, 0, out)) == ZS_OK,
                  "%g is refused: %s", static_cast<double>(x), zs_last_error());
          }
          const test::State state = cache.state(0);
          check(state.slots() == 8 && state.layer.seq_len == 18, "%g: %d slots", static_cast<double>(x), state.slots());
          const zs_receipt receipt = cache.receipt();
          bool finite = true;
          for (const auto* column : {&state.keys, &state.values, &state.weights, &state.scores})
            for (float e : *column) finite = finite && std::isfinite(e);
          check(
              receipt.positions_once && receipt.budget_held && (receipt.finite != 0) == (finite && receipt.bad_row < 0),
              "%g in %c: the receipt says finite %d, the state %d", static_cast<double>(x), "qkv"[where],
              receipt.finite, finite);
        }
}

void models(const test::Engine& engine) {
  zs_model* model = nullptr;
  zs_model_config config{};
  config.struct_bytes = sizeof config;
  config.layers = 1, config.heads = config.kv_heads = 1, config.head_dim = 4, config.hidden = 4,
  config.feed_forward = 4, config.vocabulary = 4;
  config.context = 8, config.rope_dims = 4, config.rope_base = 10000, config.norm_eps = 1e-5f, config.tied_output = 1;
  zs_tensor tensor{"token_embd.weight", ZS_T_F32, 2, {4, 4}, 0, 64, 0};
  const auto load = [&](const char* path, const zs_model_config* c, const zs_tensor* t, int64_t n) {
    return zs_model_load(engine.handle, &path, 1, c, t, n, &model, nullptr);
  };
  const char* x = "x";
  refused(zs_model_load(nullptr, &x, 1, &config, &tensor, 1, &model, nullptr), ZS_INVALID, "load: no engine");
  refused(zs_model_load(engine.handle, &x, 1, &config, &tensor, 1, nullptr, nullptr), ZS_INVALID, "load: no place");
  refused(load(nullptr, &config, &tensor, 1), ZS_INVALID, "load: no path");
  refused(load("x", nullptr, &tensor, 1), ZS_INVALID, "load: no configuration");
  refused(load("x", &config, nullptr, 1), ZS_INVALID, "load: no tensors");
  refused(load("x", &config, &tensor, -1), ZS_INVALID, "load: a negative count");
  refused(load("/nowhere/at/all.gguf", &config, &tensor, 1), -1, "load: no such file");
  zs_model_config wrong = config;
  wrong.struct_bytes = 4;
  refused(load("x", &wrong, &tensor, 1), ZS_INVALID, "load: struct_bytes");
  for (int x : {0, -1, INT32_MIN}) {
    for (int32_t zs_model_config::* field :
         {&zs_model_config::layers, &zs_model_config::heads, &zs_model_config::kv_heads, &zs_model_config::head_dim,
          &zs_model_config::hidden, &zs_model_config::feed_forward, &zs_model_config::vocabulary,
          &zs_model_config::context}) {
      wrong = config;
      wrong.*field = x;
      refused(load("/dev/null", &wrong, &tensor, 1), -1, "load: a size");
    }
  }
  const std::vector<std::function<void(zs_tensor&)>> changes = {[](zs_tensor& t) { t.name = nullptr; },
                                                                [](zs_tensor& t) { t.type = 99; },
                                                                [](zs_tensor& t) { t.type = -1; },
                                                                [](zs_tensor& t) { t.dims = 0; },
                                                                [](zs_tensor& t) { t.dims = 3; },
                                                                [](zs_tensor& t) { t.offset = -1; },
                                                                [](zs_tensor& t) { t.offset = INT64_MAX; },
                                                                [](zs_tensor& t) { t.bytes = -1; },
                                                                [](zs_tensor& t) { t.bytes = INT64_MAX; },
                                                                [](zs_tensor& t) { t.shape[0] = -1; },
                                                                [](zs_tensor& t) { t.shape[1] = INT64_MAX; }};
  for (const auto& change : changes) {
    zs_tensor bad = tensor;
    change(bad);
    refused(load("/dev/null", &config, &bad, 1), -1, "load: a tensor");
  }
  refused(zs_model_forward(nullptr, nullptr, nullptr, nullptr), ZS_INVALID, "forward: nothing");
}

}  // namespace

int main() {
  try {
    engines();
    policies();
    const test::Engine engine(2);
    creation(engine);
    calls(engine);
    values(engine);
    models(engine);
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  std::printf("  %d refusals\n", refusals);
  return test::finish("hostile");
}
