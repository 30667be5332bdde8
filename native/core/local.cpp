// What heads' queries would have read with nothing removed, beside what a policy's slots made of it: checks, and a unit of work for each
// kv head (zs_cache_local).
#include "core/local_head.h"
#include "core/work.h"

namespace zs {
namespace {

long long n(int64_t value) { return value; }

void check_arrays(const zs_local& l) {
  for (const auto& [count, name] :
       {std::pair<int64_t, const char*>{l.calls, "calls"}, {l.seeds, "seeds"}, {l.rows, "rows"}, {l.losses, "losses"}})
    if (count < 0) fail(ZS_INVALID, "%s is %lld: expected 0 or more", name, n(count));
  if (!l.events) fail(ZS_INVALID, "events is NULL: give those of the policy's cache");
  if ((l.calls && !(l.given && l.tokens)) || (l.seeds && !l.seeded))
    fail(ZS_INVALID, "an array of the calls or seeds is NULL: give all of them");
  const bool rows = l.positions && l.firsts && l.error && l.dropped && l.plain && l.missed && l.blurred;
  if (l.rows && !rows) fail(ZS_INVALID, "an array of the rows is NULL: give all of them");
  if (l.losses && !(l.probability && l.worst && l.change && l.worst_row))
    fail(ZS_INVALID, "an array of the losses is NULL: give all of them");
  const zs_events& e = *l.events;
  if (e.count < 0 ||
      (e.count && !(e.step && e.layer && e.kv_head && e.action && e.reason && e.position && e.slot && e.target)))
    fail(ZS_INVALID, "events have %lld rows and columns that are NULL: give those that are read", n(e.count));
}

// The prompt as it came, in every head.
void check_prompt(const zs_cache& cache, const zs_local& l) {
  if (cache.needs.rotates || takes(cache) || hook(*cache.policy, &PolicyHooks::weights))
    fail(ZS_UNSUPPORTED, "%s changes keys or values as they come: give a full cache that has read the prompt",
         cache.policy->hooks->name);
  for (const Layer& layer : cache.layers)
    for (const Head& head : layer.heads)
      if (l.prompt < 1 || layer.seq_len < l.prompt || head.compressed || head.segments.size() != 1 || !head.plain() ||
          head.slots() != layer.seq_len)
        fail(ZS_INVALID, "the cache has read %lld tokens and holds %d: expected all of a prompt of %lld as they came",
             n(layer.seq_len), head.slots(), n(l.prompt));
}

void check_rows(const zs_cache& cache, const zs_local& l) {
  int64_t tokens = l.prompt;
  for (int64_t c = 0; c < l.calls; ++c) {
    if (l.tokens[c] < 1 || l.tokens[c] > INT32_MAX - tokens || !l.given[c])
      fail(ZS_INVALID, "tokens[%lld] is %lld: expected 1 or more, with what was given of them", n(c), n(l.tokens[c]));
    tokens += l.tokens[c];
  }
  for (int64_t s = 0; s < l.seeds; ++s)
    for (int i = 0; i < 4; ++i) {
      const int64_t most = i == 0 ? cache.config.layers : i == 1 ? cache.config.kv_heads : tokens;
      if (const int32_t value = l.seeded[4 * s + i]; value < 0 || value >= most)
        fail(ZS_INVALID, "seeded[%lld] has %d: expected 0 to %lld there", n(s), value, n(most - 1));
    }
  for (int64_t r = 0; r < l.rows; ++r)
    if (l.positions[r] < l.prompt || l.positions[r] >= tokens || l.firsts[r] < l.prompt ||
        l.firsts[r] > l.positions[r] || (r && (l.positions[r] <= l.positions[r - 1] || l.firsts[r] < l.firsts[r - 1])))
      fail(ZS_INVALID, "positions[%lld] is %d, of a call from %d on: expected ascending ones from %lld to %lld", n(r),
           l.positions[r], l.firsts[r], n(l.prompt), n(tokens - 1));
}

// By head; throws where what is lost is another number of tokens.
std::vector<HeadEvents> events_by_head(const zs_cache& cache, const zs_local& l) {
  std::vector<HeadEvents> heads(static_cast<size_t>(cache.config.layers) * static_cast<size_t>(cache.config.kv_heads));
  const zs_events& e = *l.events;
  int32_t losses = 0;
  for (int64_t row = 0; row < e.count; ++row) {
    if (e.layer[row] >= cache.config.layers || e.kv_head[row] >= cache.config.kv_heads)
      fail(ZS_INVALID, "events[%lld] is of layer %d, kv head %d: expected those of the cache", n(row), e.layer[row],
           e.kv_head[row]);
    HeadEvents& head = heads[static_cast<size_t>(e.layer[row]) * static_cast<size_t>(cache.config.kv_heads) +
                             static_cast<size_t>(e.kv_head[row])];
    head.rows.push_back(row);
    if (loses(e, row)) head.losses.push_back(losses++);
  }
  if (losses != l.losses)
    fail(ZS_INVALID, "losses is %lld, but the events have %d: give a place for each merge and drop", n(l.losses),
         losses);
  return heads;
}

void measure(zs_cache& cache, const zs_local& l, zs_call* call) {
  check_arrays(l);
  check_prompt(cache, l);
  check_rows(cache, l);
  const std::vector<HeadEvents> events = events_by_head(cache, l);
  const Progress progress(call, true, static_cast<int64_t>(events.size()));
  cache.engine->run(static_cast<int64_t>(events.size()), call, [&](int64_t unit, int) {
    const int32_t layer = static_cast<int32_t>(unit / cache.config.kv_heads),
                  kv_head = static_cast<int32_t>(unit % cache.config.kv_heads);
    LocalHead(cache, l, layer, kv_head, events[static_cast<size_t>(unit)], call).run();
    progress.one();
  });
  check_abort(call);
}

}  // namespace
}  // namespace zs

extern "C" zs_status zs_cache_local(zs_cache* cache, const zs_local* local, zs_call* call) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    if (!local) zs::fail(ZS_INVALID, "local is NULL: expected what to measure");
    if (local->struct_bytes != static_cast<int32_t>(sizeof(zs_local)))
      zs::fail(ZS_INVALID, "struct_bytes is %d: expected sizeof(zs_local)", local->struct_bytes);
    const std::lock_guard<std::mutex> lock(cache->engine->busy);
    zs::measure(*cache, *local, call);
  });
}
