// Forks: a copy that shares pages, and the same prompt under another policy, to the bit what prefilling under that policy gives.
#include "core/work.h"

namespace zs {

std::unique_ptr<zs_cache> cache_fork(const zs_cache& cache) {
  auto copy = std::make_unique<zs_cache>(cache);
  copy->peak_bytes = copy->bytes();
  return copy;
}

void cache_swap(zs_cache& a, zs_cache& b) noexcept {
  std::swap(a.layers, b.layers);
  std::swap(a.tape, b.tape);
  std::swap(a.notes, b.notes);
  std::swap(a.resolved, b.resolved);
  std::swap(a.is_resolved, b.is_resolved);
  std::swap(a.prompt, b.prompt);
  std::swap(a.share_of, b.share_of);
  const int64_t peak = a.peak_bytes > b.peak_bytes ? a.peak_bytes : b.peak_bytes;
  a.peak_bytes = b.peak_bytes = peak;
}

namespace {

// Rows of a prompt that scores under `policy` come from; what two policies with equal decay and rows have in common.
bool same_scores(const zs_policy& a, const zs_policy& b, int64_t tokens) {
  return a.history && b.history && a.decay == b.decay && window_of(a, tokens) == window_of(b, tokens);
}

void check_fork(const zs_cache& cache, const zs_policy& policy) {
  for (const Layer& layer : cache.layers) {
    if (layer.seq_len == 0)
      fail(ZS_INVALID, "a layer has seen no prompt: prefill every layer before forking under another policy");
    if (layer.step > 0)
      fail(ZS_UNSUPPORTED,
           "%lld tokens came after the prompt, under the old policy: fork right after the prompt, or prefill again",
           static_cast<long long>(layer.step));
    if (layer.compressed)
      fail(ZS_UNSUPPORTED, "the prompt of %lld tokens was compressed to %d slots: fork a full cache, or prefill again",
           static_cast<long long>(layer.seq_len), layer.slots());
    const int32_t window = window_of(policy, layer.seq_len);
    if (!policy.history || same_scores(cache.config.policy, policy, layer.seq_len)) continue;
    if (!layer.kept || layer.kept->rows < window)
      fail(ZS_UNSUPPORTED,
           "scores under the new policy need the last %d rows of the prompt's queries, %lld are kept: create the cache "
           "with "
           "keep_queries %d or more, or prefill again",
           window, static_cast<long long>(layer.kept ? layer.kept->rows : 0), window);
  }
}

}  // namespace

static std::unique_ptr<zs_cache> fork_policy(const zs_cache& cache, const zs_policy& policy, int32_t trace,
                                             zs_call* call) {
  const PolicyHooks& hooks = checked_policy(&policy);
  check_fork(cache, policy);
  auto made = std::make_unique<zs_cache>();
  made->engine = cache.engine;
  made->config = cache.config;
  made->config.policy = policy;
  made->config.trace = trace;
  made->prompt = cache.prompt;
  made->share_of = cache.share_of;
  made->resolved = hooks.resolve(policy, cache.share_of ? cache.share_of : cache.prompt);
  made->resolved.window = window_of(policy, cache.prompt);
  made->is_resolved = true;
  const int64_t kv_heads = cache.config.kv_heads;
  const int32_t chunks = cache.layers[0].heads[0].chunks();
  const bool again = policy.history && !same_scores(cache.config.policy, policy, cache.prompt);
  const Progress progress(call, true,
                          static_cast<int64_t>(cache.layers.size()) * kv_heads * (1 + (again ? chunks : 0)));
  int32_t index = 0;
  for (const Layer& from : cache.layers) {
    check_abort(call);
    Layer layer = from;
    for (Head& head : layer.heads) {
      head.counters = {};
      if (!policy.history || again) std::fill(head.rest_scores.begin(), head.rest_scores.end(), 0.0f);
    }
    if (again) {
      const KeptQueries& kept = *from.kept;
      const int64_t d = cache.config.head_dim, rows = kept.rows, first = kept.from;
      // Rows are counted from the prompt's start.
      const ScoredRows scored{kept.q.data() - first * d,   rows * d, d, kept.highest.data() - first,
                              kept.inverse.data() - first, rows};
      score_prompt(*made, layer.heads, scored, from.seq_len - made->resolved.window, from.seq_len, call, progress);
    }
    std::vector<std::vector<Event>> events(layer.heads.size());
    finish_prompt(*made, index++, layer, events, call, progress);
    layer.over_budget = made->resolved.budget && layer.slots() > made->resolved.budget;
    to_tape(*made, events);
    made->layers.push_back(std::move(layer));
    count_bytes(*made, made->layers.back());
  }
  return made;
}

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

zs_status zs_cache_fork_policy(zs_cache* cache, const zs_policy* policy, int32_t trace, zs_cache** out, zs_call* call) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    if (!out) zs::fail(ZS_INVALID, "out is NULL: expected a place for the fork");
    zs::checked_policy(policy);
    if (trace != 0 && trace != 1) zs::fail(ZS_INVALID, "trace is %d: expected 0 or 1", trace);
    const std::lock_guard<std::mutex> lock(cache->engine->busy);
    zs::check_abort(call);
    *out = zs::fork_policy(*cache, *policy, trace, call).release();
  });
}

}  // extern "C"
