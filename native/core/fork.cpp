// Forks: a copy that shares pages, and the same prompt under another policy, to the bit what prefilling under that policy gives.
#include <algorithm>

#include "core/work.h"

namespace zs {

std::unique_ptr<zs_cache> cache_fork(const zs_cache& cache) {
  auto copy = std::make_unique<zs_cache>(cache);
  copy->peak_bytes = copy->bytes();
  return copy;
}

void cache_swap(zs_cache& a, zs_cache& b) noexcept {
  const int64_t peak = a.peak_bytes > b.peak_bytes ? a.peak_bytes : b.peak_bytes;
  std::swap(a, b);
  a.peak_bytes = b.peak_bytes = peak;
}

namespace {

// What the two have in common with equal needs.
bool same_scores(const Needs& a, const Needs& b) {
  return a.scores && b.scores && !a.by_query && !b.by_query && a.decay == b.decay && a.rows == b.rows;
}

void check_fork(const zs_cache& cache, const Needs& needs) {
  for (const Layer& layer : cache.layers) {
    if (layer.seq_len == 0)
      fail(ZS_INVALID, "a layer has seen no prompt: prefill every layer before forking under another policy");
    if (layer.seq_len > cache.prompt)
      fail(ZS_UNSUPPORTED,
           "%lld tokens came after the prompt, under the old policy: fork right after the prompt, or prefill again",
           static_cast<long long>(layer.seq_len - cache.prompt));
    for (const Head& head : layer.heads)
      if (head.compressed)
        fail(ZS_UNSUPPORTED,
             "the prompt of %lld tokens was compressed to %d slots: fork a full cache, or prefill again",
             static_cast<long long>(layer.seq_len), head.slots());
    if (!needs.scores || same_scores(cache.needs, needs)) continue;
    if (!layer.kept || layer.kept->rows < needs.rows)
      fail(ZS_UNSUPPORTED,
           "scores under the new policy need the last %d rows of the prompt's queries, %lld are kept: create the cache "
           "with keep_queries %d or more, or prefill again",
           needs.rows, static_cast<long long>(layer.kept ? layer.kept->rows : 0), needs.rows);
  }
}

std::unique_ptr<zs_cache> fork_policy(const zs_cache& cache, const zs_policy& policy, const double* budgets,
                                      int32_t trace, zs_call* call) {
  auto made = std::make_unique<zs_cache>();
  made->engine = cache.engine;
  made->config = cache.config;
  made->config.trace = trace;
  made->policy = checked_policy(&policy);
  made->budgets = checked_budgets(cache.config, *made->policy, budgets);
  made->needs = needs_of(*made->policy, std::max<int64_t>(cache.prompt, 1));
  check_fork(cache, made->needs);
  made->prompt = cache.prompt;
  made->share_of = cache.share_of;
  made->bad = cache.bad;
  made->is_resolved = true;
  const Needs& needs = made->needs;
  const int64_t kv_heads = cache.config.kv_heads, layers = cache.config.layers;
  const bool again = !same_scores(cache.needs, needs);
  const Progress progress(call, true, layers * (kv_heads + (again ? score_units(*made, cache.prompt) : 0)));
  std::vector<Layer> all;
  const auto finish = [&](int32_t first) {
    std::vector<std::vector<Event>> events;
    finish_prompt(*made, first, all, events, call, progress);
    to_tape(*made, events);
    for (Layer& layer : all) {
      made->layers.push_back(std::move(layer));
      count_bytes(*made, made->layers.back());
    }
    all.clear();
  };
  for (int32_t index = 0; index < layers; ++index) {
    check_abort(call);
    const Layer& from = cache.layers[static_cast<size_t>(index)];
    Layer layer = from;
    const std::vector<zs_resolved> sizes = resolved_heads(*made, index, cache.share_of ? cache.share_of : cache.prompt);
    for (size_t g = 0; g < layer.heads.size(); ++g) {
      Head& head = layer.heads[g];
      head.counters = {};
      head.over_budget = false;
      head.sizes = sizes[g];
      head.sizes.window = needs.rows;
      if (again) std::fill(head.open().scores.begin(), head.open().scores.end(), 0.0f);
    }
    ScoredRows rows{};  // counted from the prompt's start
    if (again && needs.scores) {
      const KeptQueries& kept = *from.kept;
      const int64_t d = cache.config.head_dim, first = kept.from;
      rows = {kept.q.data() - first * d,   kept.rows * d, d, kept.highest.data() - first,
              kept.inverse.data() - first, kept.rows};
    }
    score_prompt(*made, index, layer, again ? &rows : nullptr, call, progress);
    all.push_back(std::move(layer));
    if (!made->by_model()) finish(index);
  }
  if (made->by_model()) finish(0);
  return made;
}

}  // namespace
}  // namespace zs

extern "C" {

zs_status zs_cache_fork(zs_cache* cache, zs_cache** out) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    if (!out) zs::fail(ZS_INVALID, "out is NULL: expected a place for the fork");
    const std::lock_guard<std::mutex> lock(cache->engine->busy);
    *out = zs::cache_fork(*cache).release();
  });
}

zs_status zs_cache_fork_policy(zs_cache* cache, const zs_policy* policy, const double* budgets, int32_t trace,
                               zs_cache** out, zs_call* call) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    if (!out) zs::fail(ZS_INVALID, "out is NULL: expected a place for the fork");
    if (!policy) zs::fail(ZS_INVALID, "policy is NULL: expected a zs_policy");
    if (trace != 0 && trace != 1) zs::fail(ZS_INVALID, "trace is %d: expected 0 or 1", trace);
    const std::lock_guard<std::mutex> lock(cache->engine->busy);
    zs::check_abort(call);
    *out = zs::fork_policy(*cache, *policy, budgets, trace, call).release();
  });
}

}  // extern "C"
