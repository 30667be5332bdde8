#include "core/turning.h"

#include <cstdio>

#include "core/rotation.h"

namespace zs {
namespace {

// Lanes of a last tile that hold nothing stand behind the last slot: any position that the table has.
void fill_tile(int32_t* places, int32_t slots) {
  for (int32_t i = slots; i < round_up(slots, kLane); ++i) places[i] = places[slots - 1] + 1;
}

// Where each slot of the head stands, by chunk, [chunks][kChunk]; returns where the next token does.
int32_t place_slots(HeadWork& work, int64_t seq_len, int32_t* places) {
  const Head& head = *work.head;
  int32_t next = static_cast<int32_t>(seq_len);
  if (hook(*work.policy, &PolicyHooks::positions)) {
    next = call_hook(&PolicyHooks::positions, work, places);
    // Said slot by slot; segments begin at chunks of their own, so the last moves first.
    int32_t slot = head.slots(), chunk = head.chunks();
    for (auto segment = head.segments.rbegin(); segment != head.segments.rend(); ++segment) {
      slot -= segment->slots(), chunk -= segment->chunks();
      std::copy_backward(places + slot, places + slot + segment->slots(),
                         places + static_cast<int64_t>(chunk) * kChunk + segment->slots());
    }
  } else {
    int32_t* to = places;
    for (const Segment& segment : head.segments) {
      for (int32_t slot = 0; slot < segment.slots(); ++slot) to[slot] = segment.position(slot);
      to += static_cast<int64_t>(segment.chunks()) * kChunk;
    }
  }
  int32_t* at = places;
  for (const Segment& segment : head.segments) {
    if (segment.slots()) fill_tile(at, segment.slots());
    at += static_cast<int64_t>(segment.chunks()) * kChunk;
  }
  return next;
}

// Floats of one thread's turned chunk.
int64_t turned_floats(int32_t d) { return kChunk * static_cast<int64_t>(d); }

HeadWork reading(const zs_cache& cache, int32_t index, Layer& layer, int64_t g) {
  return work_on(cache, layer.heads[static_cast<size_t>(g)], index, static_cast<int32_t>(g), 0, layer.step, nullptr);
}

}  // namespace

void need_turning(const zs_cache& cache, const Layer& layer) {
  Workspace& work = cache.engine->work;
  int64_t chunks = 0, most = 0;
  for (const Head& head : layer.heads) {
    chunks += head.chunks_with_one_more();
    most = std::max<int64_t>(most, head.slots() + 1);
  }
  // A policy that says positions says them within the cache.
  cache.rotation->need(cache.endless() ? most + 1 : layer.seq_len + 2);
  work.places.resize(std::max(work.places.size(), static_cast<size_t>(chunks) * kChunk));
  work.first_place.reserve(layer.heads.size());
  work.turned_queries.need(static_cast<int64_t>(cache.config.heads) * cache.config.head_dim);
  work.turned.need(cache.engine->pool.threads() * turned_floats(cache.config.head_dim));
}

zs_view turn_step(zs_cache& cache, int32_t index, Layer& layer, zs_view q) {
  Workspace& work = cache.engine->work;
  const int32_t d = cache.config.head_dim, group = cache.group();
  const zs_view turned{work.turned_queries.data(), d, d};
  work.first_place.clear();
  int64_t first = 0;
  for (int64_t g = 0; g < cache.config.kv_heads; ++g) {
    HeadWork one = reading(cache, index, layer, g);
    const Segment& open = one.head->open();
    work.first_place.push_back(first);
    int32_t* const places = work.places.data() + first * kChunk;
    const int32_t position = place_slots(one, layer.seq_len, places);
    const int64_t chunks = one.head->chunks_with_one_more();
    int32_t* const newest = places + (one.head->chunks() - open.chunks()) * static_cast<int64_t>(kChunk) + open.slots();
    *newest = position;
    fill_tile(newest - open.slots(), open.slots() + 1);
    first += chunks;
    cache.rotation->need(position + 1);
    for (int64_t h = g * group; h < (g + 1) * group; ++h)
      cache.rotation->turn(q.data + h * q.head_stride, d, position, turned.data + h * d);
  }
  return turned;
}

KeyChunk turned_chunk(const zs_cache& cache, int64_t kv_head, int32_t c, const KeyChunk& chunk, int thread) {
  Workspace& work = cache.engine->work;
  const int32_t d = cache.config.head_dim;
  TurnTask task{};
  task.chunk = chunk;
  task.positions = work.places.data() + (work.first_place[static_cast<size_t>(kv_head)] + c) * kChunk;
  task.d = d;
  task.keys = work.turned.data() + thread * turned_floats(d);
  cache.rotation->into(task);
  cache.engine->attention->turn(task);
  return {task.keys, chunk.values, chunk.bias, chunk.slots, chunk.storage, true};
}

TurnedRows::TurnedRows(zs_cache& cache, int32_t index, Layer& layer, PageList& list, int64_t tokens)
    : cache_(cache), list_(list), kept_(list.pages), places_(list.pages.size() * kChunk) {
  int64_t end = 0;
  for (int64_t g = 0; g < cache.config.kv_heads; ++g) {
    HeadWork one = reading(cache, index, layer, g);
    int32_t* const places = places_.data() + list.start[static_cast<size_t>(g)] * kChunk;
    const int32_t causal = list.first_causal[static_cast<size_t>(g)];
    first_.push_back(place_slots(one, layer.seq_len, places));
    int32_t* const own = places + static_cast<int64_t>(causal) * kChunk;
    for (int64_t t = 0; t < tokens; ++t) own[t] = first_.back() + static_cast<int32_t>(t);
    fill_tile(own, static_cast<int32_t>(tokens));
    end = std::max(end, first_.back() + tokens);
  }
  cache.rotation->need(end);
  const int64_t page = static_cast<int64_t>(kChunk) * cache.config.head_dim;
  keys_ = Buffer(static_cast<int64_t>(kept_.size()) * page);
  for (size_t i = 0; i < kept_.size(); ++i) {
    list.pages[i].keys = keys_.data() + static_cast<int64_t>(i) * page;
    list.pages[i].float_keys = true;
  }
}

zs_view TurnedRows::rows(zs_view q, int64_t from, int64_t count, zs_call* call) {
  const int32_t d = cache_.config.head_dim, group = cache_.group();
  const int64_t heads = cache_.config.heads, page = static_cast<int64_t>(kChunk) * d;
  zs_engine& engine = *cache_.engine;
  std::vector<size_t> due;
  for (size_t g = 0; g < first_.size(); ++g)
    for (int64_t i = list_.start[g]; i < list_.start[g + 1]; ++i) {
      const int64_t row = (i - list_.start[g] - list_.first_causal[g]) * kChunk;
      if (row < 0 ? from == 0 : row >= from && row < from + count) due.push_back(static_cast<size_t>(i));
    }
  bool all = engine.pool.run(static_cast<int64_t>(due.size()), call, [&](int64_t unit, int) {
    const size_t i = due[static_cast<size_t>(unit)];
    TurnTask task{};
    task.chunk = kept_[i];
    task.positions = places_.data() + i * kChunk;
    task.d = d;
    task.keys = keys_.data() + static_cast<int64_t>(i) * page;
    cache_.rotation->into(task);
    engine.attention->turn(task);
  });
  queries_.need(heads * count * d);
  const zs_view turned{queries_.data(), count * d, d};
  all = all && engine.pool.run(heads, call, [&](int64_t h, int) {
    for (int64_t r = 0; r < count; ++r)
      cache_.rotation->turn(q.data + h * q.head_stride + r * q.row_stride, d,
                            first_[static_cast<size_t>(h / group)] + static_cast<int32_t>(from + r),
                            turned.data + h * turned.head_stride + r * d);
  });
  if (!all) check_abort(call);
  return turned;
}

void cache_check_context(const zs_cache& cache, int64_t tokens, int64_t share_of, int32_t context) {
  const int64_t stride = needs_of(*cache.policy, tokens).stride, chunk = cache.policy->chunk;
  int64_t slots = 0;
  for (int32_t layer = 0; layer < cache.config.layers; ++layer)
    for (const zs_resolved& sizes : resolved_heads(cache, layer, share_of ? share_of : tokens))
      slots = std::max<int64_t>(slots, sizes.budget);
  const auto n = [](int64_t value) { return static_cast<long long>(value); };
  if (!stride && tokens > context)
    fail(ZS_INVALID,
         "the prompt has %lld tokens and is read whole, but the model's context holds %d: give a stride, so that it is "
         "read in parts",
         n(tokens), context);
  const int64_t rows = std::max(stride, chunk);
  if (slots + rows <= context) return;
  char given[96];
  const double budget = cache.policy->budget;
  if (cache.budgets.empty() && budget < 1)
    std::snprintf(given, sizeof given, "budget %g of %lld tokens is %lld slots", budget,
                  n(share_of ? share_of : tokens), n(slots));
  else
    std::snprintf(given, sizeof given, "budget is %lld slots", n(slots));
  fail(ZS_INVALID,
       "%s; with the %lld tokens of a %s that is more than the model's context of %d, within which positions in the "
       "cache must lie: give a budget of at most %lld slots, or a smaller %s",
       given, n(rows), stride >= chunk ? "stride" : "chunk", context, n(std::max<int64_t>(0, context - rows)),
       stride >= chunk ? "stride" : "chunk");
}

}  // namespace zs
