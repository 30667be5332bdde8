// Forks: a copy that shares pages, and the same prompt under another policy, to the bit what prefilling under that policy gives.
#include <algorithm>

#include "core/work.h"

namespace zs {

std::unique_ptr<zs_cache> cache_fork(const zs_cache& cache) {
  scores_home(cache);
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

// Scores of the old policy serve the new one as they are.
bool serves(const Needs& old, const Needs& needs) { return old.scores && !old.by_query && same_sums(old, needs); }

void check_fork(const zs_cache& cache, const Policy& policy, const Needs& needs) {
  for (const Policy* one : {cache.policy.get(), &policy})
    if (hook(*one, &PolicyHooks::weights) || hook(*one, &PolicyHooks::take))
      fail(ZS_UNSUPPORTED, "%s changes keys and values as they come, and the prompt attended them so: prefill again",
           one->hooks->name);
  if (cache.needs.rotates != needs.rotates)
    fail(ZS_UNSUPPORTED, "one policy keeps keys before rotation, the other after it: prefill again");
  if (cache.needs.stride || needs.stride)
    fail(ZS_UNSUPPORTED, "a prompt that is read in strides attends only what is left of it: prefill again");
  if (cache.asked)
    fail(ZS_UNSUPPORTED, "something was asked of the cache beside its tokens, under the old policy: prefill again");
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
    const int32_t scored = needs.scores && !serves(cache.needs, needs) ? needs.rows : 0;
    const int64_t wanted = std::min<int64_t>(std::max(scored, needs.queries), layer.seq_len),
                  kept = layer.kept ? layer.kept->rows : 0;
    if (kept < wanted)
      fail(ZS_UNSUPPORTED,
           "the new policy needs the last %lld rows of the prompt's queries, %lld are kept: create the cache with "
           "keep_queries %lld or more, or prefill again",
           static_cast<long long>(wanted), static_cast<long long>(kept), static_cast<long long>(wanted));
  }
}

// A cache of the same prompt under another policy, without layers yet.
std::unique_ptr<zs_cache> under(const zs_cache& cache, const zs_policy& policy, const double* budgets, int32_t trace) {
  auto made = std::make_unique<zs_cache>();
  made->engine = cache.engine;
  made->config = cache.config;
  made->config.trace = trace;
  made->policy = checked_policy(&policy);
  made->rotation = cache.rotation;
  made->record = cache.record;
  made->scores = cache.scores;
  made->tape = cache.tape.emptied();
  made->budgets = checked_budgets(cache.config, *made->policy, budgets);
  made->needs = needs_of(*made->policy, std::max<int64_t>(cache.prompt, 1));
  made->on_device = cache.on_device;
  if (made->on_device) check_on_device(*made);
  check_fork(cache, *made->policy, made->needs);
  made->prompt = cache.prompt;
  made->share_of = cache.share_of;
  made->bad = cache.bad;
  made->is_resolved = true;
  return made;
}

// Layer `index` of `from` as the prompt of `made`, with its scores; `again`: not those that `from` has.
Layer layer_under(zs_cache& made, const zs_cache& from, int32_t index, bool again, const PromptSums* sums,
                  zs_call* call) {
  Layer layer = from.layers[static_cast<size_t>(index)];
  const std::vector<zs_resolved> sizes = resolved_heads(made, index, made.share_of ? made.share_of : made.prompt);
  for (size_t g = 0; g < layer.heads.size(); ++g) {
    Head& head = layer.heads[g];
    head.counters = {};
    head.over_step = -1;
    head.index.reset();  // the old policy's
    head.read = 0;
    head.sizes = sizes[g];
    head.sizes.window = made.needs.rows;
    if (again) std::fill(head.open().scores.begin(), head.open().scores.end(), 0.0f);
  }
  score_prompt(made, index, layer, sums, call);
  layer.scores = {};  // the old policy's
  if (!made.scores || !layer.kept || !layer.kept->rows || made.needs.rotates) return layer;
  const int64_t tokens = layer.seq_len;
  score_next(made, index, layer, tokens, tokens);
  note_last_row(made, index, layer, prompt_list(layer), scored_rows(*layer.kept, made.config.head_dim), tokens, call);
  for (int64_t g = 0; g < made.config.kv_heads; ++g) note_scores(made, index, layer, g);
  layer.scores.commit();
  return layer;
}

constexpr size_t kSumsKept = 4;  // of a layer, for forks to come: a few MB

std::shared_ptr<const PromptSums> sums_made(const KeptQueries& kept, const Needs& needs) {
  for (const auto& one : kept.sums)
    if (same_sums(one->needs, needs)) return one;
  return nullptr;
}

// Sums of the layer's prompt for each of `wanted`: those that an earlier fork has made, and the rest in as few passes as can be.
std::vector<std::shared_ptr<const PromptSums>> sums_for(const zs_cache& cache, zs_cache& any_fork, const Layer& from,
                                                        const std::vector<Needs>& wanted, zs_call* call,
                                                        const Progress& progress) {
  std::vector<std::shared_ptr<const PromptSums>> found;
  std::vector<Needs> missing;
  for (const Needs& needs : wanted)
    if (found.push_back(sums_made(*from.kept, needs)); !found.back()) missing.push_back(needs);
  if (missing.empty()) return found;
  std::vector<PromptSums> made = no_sums(cache, missing, from.seq_len);
  add_rows(any_fork, from, prompt_list(from), scored_rows(*from.kept, cache.config.head_dim), from.kept->from,
           from.seq_len, made, call, progress);
  auto& kept = from.kept->sums;
  for (size_t i = 0, next = 0; i < found.size(); ++i) {
    if (found[i]) continue;
    found[i] = std::make_shared<const PromptSums>(std::move(made[next++]));
    kept.push_back(found[i]);
  }
  if (kept.size() > kSumsKept) kept.erase(kept.begin(), kept.end() - kSumsKept);
  return found;
}

// All of `policies`, or (thrown) none.
std::vector<std::unique_ptr<zs_cache>> fork_policies(const zs_cache& cache, const zs_policy* policies,
                                                     const double* const* budgets, int32_t count, int32_t trace,
                                                     zs_call* call) {
  scores_home(cache);
  std::vector<std::unique_ptr<zs_cache>> forks;
  std::vector<Needs> wanted;  // sums that have to be made, each once
  std::vector<int> sums_of;   // of each fork: which of them; -1 = none
  for (int32_t i = 0; i < count; ++i) {
    forks.push_back(under(cache, policies[i], budgets ? budgets[i] : nullptr, trace));
    const Needs& needs = forks.back()->needs;
    sums_of.push_back(-1);
    if (!needs.scores || serves(cache.needs, needs)) continue;
    size_t at = 0;
    while (at < wanted.size() && !same_sums(wanted[at], needs)) ++at;
    if (at == wanted.size()) wanted.push_back(needs);
    sums_of.back() = static_cast<int>(at);
  }
  const int64_t layers = cache.config.layers;
  std::vector<Needs> missing;
  for (const Needs& needs : wanted)
    if (!sums_made(*cache.layers[0].kept, needs)) missing.push_back(needs);
  const Progress progress(
      call, true,
      layers * (count * static_cast<int64_t>(cache.config.kv_heads) + sum_units(cache, missing, cache.prompt)));
  std::vector<std::vector<Layer>> open(static_cast<size_t>(count));  // of each fork: layers without their end yet
  for (int32_t index = 0; index < layers; ++index) {
    check_abort(call);
    const Layer& from = cache.layers[static_cast<size_t>(index)];
    const auto sums = wanted.empty() ? std::vector<std::shared_ptr<const PromptSums>>()
                                     : sums_for(cache, *forks[0], from, wanted, call, progress);
    for (size_t i = 0; i < forks.size(); ++i) {
      zs_cache& made = *forks[i];
      const bool again = !serves(cache.needs, made.needs);
      open[i].push_back(layer_under(made, cache, index, again,
                                    sums_of[i] < 0 ? nullptr : sums[static_cast<size_t>(sums_of[i])].get(), call));
      if (made.by_model() && index + 1 < layers) continue;
      std::vector<std::vector<Event>> events;
      finish_prompt(made, index + 1 - static_cast<int32_t>(open[i].size()), open[i], events, call, progress);
      if (crosses(made, index)) {
        const size_t heads = events.size();
        events.resize(heads + 2 * static_cast<size_t>(made.config.kv_heads));
        cross(made, index, made.layers.back(), open[i].back(), 0, static_cast<int32_t>(made.prompt),
              events.data() + heads);
        count_bytes(made, made.layers.back());
      }
      to_tape(made, events);
      for (Layer& layer : open[i]) {
        made.layers.push_back(std::move(layer));
        count_bytes(made, made.layers.back());
      }
      open[i].clear();
    }
  }
  return forks;
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

zs_status zs_cache_fork_policies(zs_cache* cache, const zs_policy* policies, const double* const* budgets,
                                 int32_t count, int32_t trace, zs_cache** out, zs_call* call) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    if (!out) zs::fail(ZS_INVALID, "out is NULL: expected places for the forks");
    if (!policies) zs::fail(ZS_INVALID, "policies is NULL: expected an array of zs_policy");
    if (count < 1) zs::fail(ZS_INVALID, "count is %d: expected at least one policy", count);
    if (trace != 0 && trace != 1) zs::fail(ZS_INVALID, "trace is %d: expected 0 or 1", trace);
    const std::lock_guard<std::mutex> lock(cache->engine->busy);
    zs::check_abort(call);
    auto forks = zs::fork_policies(*cache, policies, budgets, count, trace, call);
    for (auto& fork : forks) *out++ = fork.release();
  });
}

}  // extern "C"
