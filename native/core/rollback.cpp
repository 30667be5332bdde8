// The newest tokens taken back, where nothing but their slots came of them: what a draft that was refused, or another try, needs.
#include <algorithm>

#include "core/work.h"

namespace zs {
namespace {

// One sentence where `tokens` cannot be taken back.
void check_rollback(const zs_cache& cache, int64_t tokens) {
  const int64_t seen = cache.layers[0].seq_len;
  const char* const name = cache.policy->hooks->name;
  if (tokens < 1 || tokens >= seen)
    fail(ZS_INVALID, "tokens is %lld of %lld seen: expected at least 1, and one that stays",
         static_cast<long long>(tokens), static_cast<long long>(seen));
  if (seen - tokens < cache.asked)
    fail(ZS_UNSUPPORTED,
         "something was asked of the cache when it had seen %lld tokens: take back at most %lld, or fork before it",
         static_cast<long long>(cache.asked), static_cast<long long>(seen - cache.asked));
  if (cache.needs.scores && cache.needs.upkeep)
    fail(ZS_UNSUPPORTED,
         "under %s the attention of the last %lld tokens is in the scores of all: fork before them, and go on from the "
         "fork",
         name, static_cast<long long>(tokens));
  for (const Layer& layer : cache.layers) {
    if (layer.seq_len != seen || !layer.waiting.empty())
      fail(ZS_INVALID, "layers have seen different numbers of tokens (%lld, %lld): give each step to all of them first",
           static_cast<long long>(seen), static_cast<long long>(layer.seq_len));
    const int64_t most = acts_always(cache) ? 0 : layer.step;
    for (const Head& head : layer.heads)
      if ((head.compressed && tokens > most) ||
          !head.newest_stand(static_cast<int32_t>(seen - tokens), static_cast<int32_t>(seen)))
        fail(ZS_UNSUPPORTED,
             "%s has compressed the cache, of the last %lld tokens only %lld stand where they came: fork before them, "
             "and go "
             "on from the fork",
             name, static_cast<long long>(tokens), static_cast<long long>(most));
  }
}

}  // namespace

void cache_rollback(zs_cache& cache, int64_t tokens) {
  check_rollback(cache, tokens);
  const int64_t left = cache.layers[0].seq_len - tokens;
  const bool told = hook(*cache.policy, &PolicyHooks::rollback) != nullptr;
  for (size_t l = 0; l < cache.layers.size(); ++l) {  // what can fail comes first
    Layer& layer = cache.layers[l];
    books_home(layer);
    need_upkeep(cache, layer);
    for (Head& head : layer.heads) {
      if (told) head.own_index();
      head.reserve_moves(0);
    }
    if (crosses(cache, static_cast<int32_t>(l))) cross_reserve(cache.layers[l - 1], layer, 0);
  }
  cache.tape.forget(static_cast<int32_t>(left));
  for (size_t l = 0; l < cache.layers.size(); ++l) {
    Layer& layer = cache.layers[l];
    layer.seq_len = left;
    layer.step = std::max<int64_t>(0, left - cache.prompt);
    layer.kept.reset();
    layer.recording.forget(left);
    layer.scores.forget(left);
    for (size_t g = 0; g < layer.heads.size(); ++g) {
      Head& head = layer.heads[g];
      for (int64_t t = 0; t < tokens; ++t) head.forget(static_cast<int32_t>(left + tokens - 1 - t));
      head.counters.admitted -= tokens;
      head.read = 0;
      if (head.over_step > layer.step) head.over_step = -1;
      if (!told) continue;
      HeadWork work = work_on(cache, head, static_cast<int32_t>(l), static_cast<int32_t>(g), 0, layer.step, nullptr);
      call_hook(&PolicyHooks::rollback, work);
    }
    count_bytes(cache, layer);
  }
  if (cache.bad.position >= left) cache.bad = {};
}

}  // namespace zs

extern "C" zs_status zs_cache_rollback(zs_cache* cache, int64_t tokens) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    const std::lock_guard<std::mutex> lock(cache->engine->busy);
    zs::cache_rollback(*cache, tokens);
  });
}
