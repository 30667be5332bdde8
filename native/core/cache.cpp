// The C ABI of caches: what is checked before anything runs, and the calls themselves.
#include "core/cache.h"

#include <cmath>

#include "core/work.h"

float zs_cache::scale() const { return static_cast<float>(1 / std::sqrt(static_cast<double>(config.head_dim))); }

int64_t zs_cache::bytes() const {
  int64_t all = 0;
  for (const zs::Layer& layer : layers) all += layer.bytes;
  if (constants)
    for (const auto& layer : *constants) all += layer->bytes();
  return all;
}

namespace zs {
namespace {

constexpr int64_t kMostTokens = INT32_MAX - kChunk;
constexpr int64_t kMostHeads = int64_t{1} << 24;  // layers x heads

void check_layer(const zs_cache& cache, int32_t layer) {
  if (layer < 0 || layer >= cache.config.layers)
    fail(ZS_INVALID, "layer is %d: expected 0 to %d", layer, cache.config.layers - 1);
}

void check_view(const zs_view& view, const char* name) {
  if (!view.data) fail(ZS_INVALID, "%s.data is NULL: expected float32 [heads][tokens][head_dim]", name);
}

void in_config(const char* name, int64_t value, int64_t least, int64_t most) {
  if (value < least || value > most)
    fail(ZS_INVALID, "config.%s is %lld: expected %lld to %lld", name, static_cast<long long>(value),
         static_cast<long long>(least), static_cast<long long>(most));
}

void check_config(const zs_cache_config& c) {
  if (c.struct_bytes != static_cast<int32_t>(sizeof c))
    fail(ZS_INVALID, "config.struct_bytes is %d, this library's zs_cache_config has %zu: compile against its header",
         c.struct_bytes, sizeof c);
  in_config("layers", c.layers, 1, INT32_MAX);
  in_config("heads", c.heads, 1, INT32_MAX);
  in_config("kv_heads", c.kv_heads, 1, INT32_MAX);
  if (c.heads % c.kv_heads)
    fail(ZS_INVALID, "config.heads is %d, kv_heads %d: expected a multiple, every kv head serves as many query heads",
         c.heads, c.kv_heads);
  if (c.head_dim < 2 || c.head_dim > kMostDims || c.head_dim % 2)
    fail(ZS_INVALID, "config.head_dim is %d: expected an even number from 2 to 512", c.head_dim);
  if (static_cast<double>(c.layers) * c.heads > static_cast<double>(kMostHeads))
    fail(ZS_INVALID, "config asks for %d layers of %d heads: expected at most %lld heads in all", c.layers, c.heads,
         static_cast<long long>(kMostHeads));
  if (c.storage < ZS_F32 || c.storage > ZS_BF16)
    fail(ZS_INVALID,
         "config.storage is %d: expected 0 (float32), 1 (float16) or 2 (bfloat16), the types that slots have",
         c.storage);
  in_config("trace", c.trace, 0, 1);
  in_config("keep_queries", c.keep_queries, 0, INT32_MAX);
  in_config("origins", c.origins, 0, 1);
}

// Granularity model chooses after the last layer, some policies work on neighbours: each step then goes through the layers in order.
bool in_order(const zs_cache& cache) { return cache.by_model() || hook(*cache.policy, &PolicyHooks::across); }

void check_order(const zs_cache& cache, int32_t layer, int64_t seen) {
  if (!in_order(cache)) return;
  int32_t due = 0;
  while (due < cache.config.layers && cache.layers[static_cast<size_t>(due)].seq_len > seen) ++due;
  if (layer != due)
    fail(
        ZS_INVALID, "layer %d comes out of turn, layer %d is due: %s, so give every step to layers 0 to %d in order",
        layer, due,
        cache.by_model() ? "granularity model chooses after the last layer" : "the policy works on neighbouring layers",
        cache.config.layers - 1);
}

}  // namespace

void cache_check_prefill(const zs_cache& cache, int32_t layer, int64_t tokens, int64_t share_of) {
  check_layer(cache, layer);
  if (tokens < 1 || tokens > kMostTokens)
    fail(ZS_INVALID, "tokens is %lld: expected 1 to %lld", static_cast<long long>(tokens),
         static_cast<long long>(kMostTokens));
  if (share_of < 0)
    fail(ZS_INVALID, "share_of is %lld: expected a token count, or 0 for the prompt's own",
         static_cast<long long>(share_of));
  const Layer& held = cache.layers[static_cast<size_t>(layer)];
  if (held.seq_len > 0)
    fail(ZS_INVALID, "layer %d has its prompt already (%lld tokens seen): extend it, or create another cache", layer,
         static_cast<long long>(held.seq_len));
  if (cache.is_resolved && cache.prompt != tokens)
    fail(ZS_INVALID,
         "layer %d is given a prompt of %lld tokens, another layer had %lld: expected the same prompt for all layers",
         layer, static_cast<long long>(tokens), static_cast<long long>(cache.prompt));
  resolved_heads(cache, layer, share_of ? share_of : tokens);
}

void cache_check_extend(const zs_cache& cache, int32_t layer, int64_t tokens) {
  check_layer(cache, layer);
  const Layer& held = cache.layers[static_cast<size_t>(layer)];
  if (held.seq_len == 0) fail(ZS_INVALID, "layer %d has seen no prompt: prefill it first", layer);
  if (tokens < 1 || tokens > cache.policy->chunk)
    fail(ZS_INVALID, "tokens is %lld: expected 1 to %d, the policy's chunk: cut what comes into chunks",
         static_cast<long long>(tokens), cache.policy->chunk);
  if (held.seq_len + tokens > kMostTokens)
    fail(ZS_INVALID, "%lld tokens after %lld: expected at most %lld in all", static_cast<long long>(tokens),
         static_cast<long long>(held.seq_len), static_cast<long long>(kMostTokens));
}

void cache_check_turn(const zs_cache& cache, int32_t layer, int64_t tokens) {
  if (!in_order(cache)) return;
  const int64_t last = cache.layers.back().seq_len, due = cache.layers[0].seq_len - last;
  check_order(cache, layer, last);
  if (layer > 0 && tokens != due)
    fail(ZS_INVALID, "layer %d is given %lld tokens, layer 0 had %lld: give all layers the same", layer,
         static_cast<long long>(tokens), static_cast<long long>(due));
}

std::vector<double> checked_budgets(const zs_cache_config& config, const Policy& policy, const double* budgets) {
  if (!budgets) return {};
  if (!hook(policy, &PolicyHooks::resolve))
    fail(ZS_INVALID, "budgets are given, but %s keeps every token: leave them out", policy.hooks->name);
  if (hook(policy, &PolicyHooks::allocate))
    fail(ZS_INVALID, "budgets are given, but %s shares the slots out itself: leave them out, or take %s alone",
         policy.hooks->name, policy.of ? policy.of->hooks->name : "another policy");
  const int64_t count = static_cast<int64_t>(config.layers) * config.kv_heads;
  std::vector<double> all(budgets, budgets + count);
  bool equal = true;
  for (int64_t i = 0; i < count; ++i) {
    char name[64];
    std::snprintf(name, sizeof name, "budgets[%lld][%lld]", static_cast<long long>(i / config.kv_heads),
                  static_cast<long long>(i % config.kv_heads));
    is_share_or_count(name, all[static_cast<size_t>(i)], false);
    equal = equal && all[static_cast<size_t>(i)] == all[0];
  }
  if (!equal && needs_of(policy, 1).granularity != ZS_PER_HEAD)
    fail(ZS_INVALID,
         "budgets differ by head, but under this policy the heads of a layer keep the same positions: take granularity "
         "head, or equal budgets");
  return all;
}

std::vector<zs_resolved> resolved_heads(const zs_cache& cache, int32_t layer, int64_t tokens) {
  const size_t count = static_cast<size_t>(cache.config.kv_heads);
  if (cache.budgets.empty())
    return std::vector<zs_resolved>(count, resolved_of(*cache.policy, cache.policy->budget, tokens));
  std::vector<zs_resolved> sizes;
  for (size_t g = 0; g < count; ++g) {
    try {
      sizes.push_back(resolved_of(*cache.policy, cache.budgets[static_cast<size_t>(layer) * count + g], tokens));
    } catch (const Error& e) {
      fail(e.status, "layer %d, kv head %zu: %s", layer, g, e.message.c_str());
    }
  }
  return sizes;
}

}  // namespace zs

extern "C" {

zs_status zs_cache_create(zs_engine* engine, const zs_cache_config* config, zs_cache** out) {
  return zs::guard([&] {
    if (!engine) zs::fail(ZS_INVALID, "engine is NULL: expected one from zs_engine_create");
    if (!config) zs::fail(ZS_INVALID, "config is NULL: expected a zs_cache_config");
    if (!out) zs::fail(ZS_INVALID, "out is NULL: expected a place for the cache");
    zs::check_config(*config);
    auto cache = std::make_unique<zs_cache>();
    cache->engine = engine;
    cache->config = *config;
    cache->config.budgets = nullptr;
    cache->config.policy = {};
    cache->config.rotation = nullptr;
    cache->config.projections = nullptr;
    cache->policy = zs::checked_policy(&config->policy);
    cache->budgets = zs::checked_budgets(*config, *cache->policy, config->budgets);
    cache->needs = zs::needs_of(*cache->policy, 1);
    if (config->rotation) cache->rotation = std::make_shared<zs::Rotation>(*config->rotation, config->head_dim);
    if ((cache->needs.rotates || cache->needs.alters != ZS_ACTS_NEVER) &&
        zs::hook(*cache->policy, &zs::PolicyHooks::select))
      zs::fail(
          ZS_UNSUPPORTED,
          "%s chooses which slots are read, and keeps them otherwise than they are read: only one of both is built",
          cache->policy->hooks->name);
    if (cache->needs.rotates && !cache->rotation)
      zs::fail(
          ZS_INVALID,
          "%s as it is set keeps keys before rotation, and config.rotation is NULL: give the model's rotation, and q "
          "and k before it",
          cache->policy->hooks->name);
    if (config->projections) {
      if (!zs::hook(*cache->policy, &zs::PolicyHooks::weights))
        zs::fail(ZS_INVALID, "config.projections are given, but %s has no use for them: leave them NULL",
                 cache->policy->hooks->name);
      cache->projections = std::make_shared<zs::GivenProjections>(*config->projections, *config);
    }
    cache->on_device = engine->device != nullptr;
    if (cache->on_device) zs::check_on_device(*cache);
    cache->layers.resize(static_cast<size_t>(config->layers));
    for (zs::Layer& layer : cache->layers)
      layer.heads.assign(static_cast<size_t>(config->kv_heads), zs::Head(cache->geometry(), config->origins != 0));
    *out = cache.release();
  });
}

void zs_cache_destroy(zs_cache* cache) {
  if (!cache) return;
  const std::lock_guard<std::mutex> lock(cache->engine->busy);  // pages may be shared with a cache at work
  delete cache;
}

zs_status zs_cache_prefill(zs_cache* cache, int32_t layer, zs_view q, zs_view k, zs_view v, int64_t tokens,
                           int64_t share_of, zs_view out, zs_call* call) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    const std::lock_guard<std::mutex> lock(cache->engine->busy);
    zs::cache_check_prefill(*cache, layer, tokens, share_of);
    zs::cache_check_turn(*cache, layer, tokens);
    zs::check_view(q, "q");
    zs::check_view(k, "k");
    zs::check_view(v, "v");
    zs::check_view(out, "out");
    zs::check_abort(call);
    zs::need_constants(*cache, call);
    zs::cache_prefill(*cache, layer, q, k, v, tokens, share_of, out, call, true);
  });
}

zs_status zs_cache_extend(zs_cache* cache, int32_t layer, zs_view q, zs_view k, zs_view v, int64_t tokens, zs_view out,
                          zs_call* call) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    const std::lock_guard<std::mutex> lock(cache->engine->busy);
    zs::cache_check_extend(*cache, layer, tokens);
    zs::cache_check_turn(*cache, layer, tokens);
    zs::check_view(q, "q");
    zs::check_view(k, "k");
    zs::check_view(v, "v");
    zs::check_view(out, "out");
    zs::check_abort(call);
    zs::cache_extend(*cache, layer, q, k, v, tokens, out, call, true);
  });
}

}  // extern "C"
