// Tokens on a living cache: one (a decode step, spec 5) in place, or a chunk of several (spec 5b) on a copy that replaces the layer when
// all is done. Order of work: attend, update scores, choose, merge, place.
#include <algorithm>
#include <cmath>

#include "core/work.h"

namespace zs {
namespace {

// A decode step that reads less than this is over well within the time an abort may take: it is not cut, and each head's upkeep follows
// its last chunk at once. Cannot change results.
constexpr int64_t kShortStepBytes = int64_t{32} << 20;

constexpr int64_t kStepEvents = 3;  // most that one token makes in a head: merge or drop, leave, admit

// Where a head of a layer stands; the same for all heads.
struct Place {
  int64_t step;
  int32_t ring;
  bool compressed;
};

// The last token of the rest has had its attention: it stays, or one leaves.
void enter(const zs_cache& cache, HeadWork& work, Place& place) {
  const PolicyHooks& hooks = hooks_of(cache.config.policy);
  work.step = ++place.step;
  work.ring = place.ring;
  Head& head = *work.head;
  const size_t last = static_cast<size_t>(head.rest.slots() - 1);
  if (!hooks.compress || head.slots() <= cache.resolved.budget) {
    work.note(ZS_ADMIT, head.positions[last], head.slots() - 1, -1, head.rest_scores[last], kNone, 1, 0);
  } else if (!place.compressed && hooks.compress_underfull(cache.config.policy)) {
    hooks.compress(work);
    place.compressed = true;
  } else {
    if (!place.compressed) hooks.start(work);
    place.compressed = true;
    hooks.evict(work);
  }
  place.ring = work.ring;
}

// True where the next token meets a full cache that never was compressed.
bool fills_up(const zs_cache& cache, const Layer& layer) {
  return cache.resolved.budget && !layer.compressed && layer.slots() >= cache.resolved.budget;
}

// Room and pages of its own for one more token; throws std::bad_alloc.
void reserve_token(Head& head, bool compressed) {
  head.reserve(1);
  if (compressed) {  // any slot may be written
    head.residual.own_all();
    head.rest.own_all();
  } else {
    head.rest.own_slot(head.rest.slots());
  }
}

void reserve_token(Layer& layer) {
  for (Head& head : layer.heads) reserve_token(head, layer.compressed);
}

// Empty lists for the events of one call, with room for a step's; throws std::bad_alloc.
void need_notes(zs_cache& cache) {
  cache.notes.resize(static_cast<size_t>(cache.config.kv_heads));
  for (auto& head : cache.notes) {
    head.clear();
    if (cache.config.trace) head.reserve(kStepEvents);
  }
}

// While a head's chunks are read, what its end wants is fetched: with chunk c its scores (unless another thread may want them: what one
// core has fetched can be dearer for another than memory), and with the i-th a share of the residual slots, which are read last, since
// they lie elsewhere.
void fetch_beside(Head& head, int32_t i, int32_t c, const KeyChunk& chunk, bool scores) {
  constexpr int64_t kLine = 64, kMost = int64_t{1} << 14;  // of many residual slots the first: reading on needs no help
  const auto fetch = [](const void* from, int64_t bytes) {
    for (int64_t at = 0; at < bytes; at += kLine) __builtin_prefetch(static_cast<const char*>(from) + at, 0, 2);
  };
  if (scores) fetch(head.chunk_scores(c), chunk.slots * 4);
  if (!head.residual.chunks() || i >= head.rest.chunks()) return;
  const KeyChunk first = head.residual.chunk(0, nullptr);
  const char* const keys = static_cast<const char*>(first.keys);
  const char* const end = static_cast<const char*>(first.values) + first.slots * head.residual.geometry().padded() * 4;
  const int64_t share = round_up(std::min<int64_t>(end - keys, kMost) / head.rest.chunks(), kLine);
  fetch(keys + i * share, share);
}

struct StepMemory {
  int32_t chunks, group;
  int64_t padded;
  float *e, *highest, *sum, *factor, *partial;
  float* probs(int64_t g, int32_t c) const { return e + (g * chunks + c) * group * kChunk; }
  int64_t stat(int64_t g, int32_t c) const { return (g * chunks + c) * group; }
};

// May throw std::bad_alloc; for one token more than the layer holds.
StepMemory step_memory(const zs_cache& cache, const Layer& layer) {
  zs_engine& engine = *cache.engine;
  const int64_t kv_heads = cache.config.kv_heads;
  StepMemory m{};
  const Head& head = layer.heads[0];
  m.chunks = head.residual.chunks() + static_cast<int32_t>(round_up(head.rest.slots() + 1, kChunk) / kChunk);
  m.group = cache.group();
  m.padded = round_up(cache.config.head_dim, kLane);
  const int64_t stats = kv_heads * m.chunks * m.group;
  engine.work.probs.need(stats * kChunk);
  engine.work.statistics.need(3 * stats);
  engine.work.partial.need(stats * m.padded);
  m.e = engine.work.probs.data();
  m.highest = engine.work.statistics.data();
  m.sum = m.highest + stats;
  m.factor = m.sum + stats;
  m.partial = engine.work.partial.data();
  return m;
}

// One token through one layer that has room for it. Where no hook allocates (the layer does not fill up) only an abort can stop it; then
// (false) nothing has changed.
bool step(zs_cache& cache, int32_t index, Layer& layer, const StepMemory& m, zs_view q, zs_view k, zs_view v,
          zs_view out, std::vector<std::vector<Event>>& events, const zs_call* call, const Progress& progress) {
  zs_engine& engine = *cache.engine;
  const int32_t d = cache.config.head_dim, group = m.group, chunks = m.chunks;
  const int64_t kv_heads = cache.config.kv_heads;
  const AttentionKernels& kernels = *engine.attention;
  const bool history = cache.config.policy.history != 0;
  const int32_t position = static_cast<int32_t>(layer.seq_len);
  for (int64_t g = 0; g < kv_heads; ++g)
    layer.heads[static_cast<size_t>(g)].append(k.data + g * k.head_stride, v.data + g * v.head_stride, position);
  const Place start{layer.step, layer.ring, layer.compressed};
  Place end = start;

  const auto attend = [&](int64_t g, int32_t i) {
    Head& head = layer.heads[static_cast<size_t>(g)];
    const int32_t c = (i + head.residual.chunks()) % chunks;
    DecodeTask task{};
    task.chunk = head.chunk(c);
    fetch_beside(head, i, c, task.chunk, history && engine.pool.threads() == 1);
    task.q = q.data + g * group * q.head_stride;
    task.q_stride = q.head_stride;
    task.group = group;
    task.d = d;
    task.scale = cache.scale();
    task.e = m.probs(g, c);
    task.e_stride = kChunk;
    task.highest = m.highest + m.stat(g, c);
    task.sum = m.sum + m.stat(g, c);
    task.out = m.partial + m.stat(g, c) * m.padded;
    kernels.decode(task);
  };
  const auto finish = [&](int64_t g, int thread) {
    Head& head = layer.heads[static_cast<size_t>(g)];
    const int64_t at = m.stat(g, 0);
    kernels.merge(m.highest + at, m.sum + at, m.partial + at * m.padded, chunks, group, d, m.factor + at,
                  out.data + g * group * out.head_stride, out.head_stride);
    if (history)
      for (int32_t c = 0; c < chunks; ++c)
        kernels.scores(m.probs(g, c), kChunk, m.factor + m.stat(g, c), group, head.chunk(c).slots,
                       cache.config.policy.decay, head.chunk_scores(c));
    HeadWork work =
        work_on(cache, head, index, static_cast<int32_t>(g), thread, -1, 0, &events[static_cast<size_t>(g)]);
    Place place = start;
    enter(cache, work, place);
    if (g == 0) end = place;
    progress.one();
  };

  const int64_t bytes = kv_heads * layer.slots() * cache.geometry().slot_bytes();
  bool all = true;
  if (bytes < kShortStepBytes && kv_heads <= 256) {
    std::atomic<int32_t> left[256];
    for (int64_t g = 0; g < kv_heads; ++g) left[g].store(chunks, std::memory_order_relaxed);
    engine.run(kv_heads * chunks, nullptr, [&](int64_t unit, int thread) {
      const int64_t g = unit / chunks;
      attend(g, static_cast<int32_t>(unit % chunks));
      if (left[g].fetch_sub(1, std::memory_order_acq_rel) == 1) finish(g, thread);
    });
  } else {
    all = engine.pool.run(kv_heads * chunks, call,
                          [&](int64_t unit, int) { attend(unit / chunks, static_cast<int32_t>(unit % chunks)); });
    if (all) engine.run(kv_heads, nullptr, finish);
  }
  if (!all) {
    for (Head& head : layer.heads) {  // the token goes again
      head.rest.resize(head.rest.slots() - 1);
      head.positions.pop_back();
      head.links.pop_back();
    }
    return false;
  }
  layer.step = end.step;
  layer.ring = end.ring;
  layer.compressed = end.compressed;
  ++layer.seq_len;
  layer.kept.reset();
  if (cache.resolved.budget && layer.slots() > cache.resolved.budget) layer.over_budget = true;
  return true;
}

// Several tokens through one layer, on a copy.
void chunk_of_tokens(zs_cache& cache, int32_t index, Layer& layer, zs_view q, zs_view k, zs_view v, int64_t tokens,
                     zs_view out, std::vector<std::vector<Event>>& events, zs_call* call, bool report) {
  zs_engine& engine = *cache.engine;
  const int32_t d = cache.config.head_dim, n = static_cast<int32_t>(tokens);
  const int64_t kv_heads = cache.config.kv_heads;
  const bool history = cache.config.policy.history != 0;
  const int32_t old_chunks = layer.heads[0].chunks(), fresh_chunks = static_cast<int32_t>(round_up(n, kChunk) / kChunk);
  const int32_t chunks = old_chunks + fresh_chunks;
  const int64_t blocks = row_blocks(cache, tokens);
  const Progress progress(call, report, kv_heads * (blocks + (history ? chunks : 0) + 1));

  std::vector<Segment> fresh(static_cast<size_t>(kv_heads), Segment(cache.geometry()));
  std::vector<KeyChunk> pages;
  for (int64_t g = 0; g < kv_heads; ++g) {
    Segment& own = fresh[static_cast<size_t>(g)];
    own.reserve(n);
    own.resize(n);
    for (int32_t from = 0; from < n; from += kChunk)
      own.write_rows(k.data + g * k.head_stride + from * k.row_stride, k.row_stride,
                     v.data + g * v.head_stride + from * v.row_stride, v.row_stride, from,
                     n - from < kChunk ? n - from : kChunk);
    for (int32_t c = 0; c < chunks; ++c)
      pages.push_back(c < old_chunks ? layer.heads[static_cast<size_t>(g)].chunk(c)
                                     : own.chunk(c - old_chunks, nullptr));
  }

  Buffer statistics(2 * static_cast<int64_t>(cache.config.heads) * tokens);
  float *highest = statistics.data(), *inverse = highest + cache.config.heads * tokens;
  attend_rows(cache, pages, old_chunks, q, tokens, out, highest, inverse, call, progress);

  // Scores of old slots and of the chunk's own tokens.
  const int64_t whole = round_up(n, kLane);
  std::vector<float> fresh_scores(static_cast<size_t>(kv_heads * whole), 0.0f);
  if (history) {
    const ScoredRows rows{q.data, q.head_stride, q.row_stride, highest, inverse, tokens};
    sum_columns(cache, rows, 0, tokens, kv_heads, chunks, call, progress, [&](int64_t g, int32_t c, ColumnsTask& task) {
      const int32_t own = c - old_chunks;
      task.chunk = pages[static_cast<size_t>(g * chunks + c)];
      task.causal = own >= 0;
      task.first = own >= 0 ? static_cast<int64_t>(own) * kChunk : 0;
      task.acc = own >= 0 ? fresh_scores.data() + g * whole + static_cast<int64_t>(own) * kChunk
                          : layer.heads[static_cast<size_t>(g)].chunk_scores(c);
    });
  }
  check_abort(call);

  // Then they enter one after another.
  const Place start{layer.step, layer.ring, layer.compressed};
  Place end = start;
  const bool all = engine.run(kv_heads, call, [&](int64_t g, int thread) {
    const size_t i = static_cast<size_t>(g);
    Head& head = layer.heads[i];
    HeadWork work = work_on(cache, head, index, static_cast<int32_t>(g), thread, -1, 0, &events[i]);
    Place place = start;
    std::vector<float> key(static_cast<size_t>(d)), value(static_cast<size_t>(d));
    for (int32_t t = 0; t < n; ++t) {
      if (aborted(call)) return;
      reserve_token(head, place.compressed);
      fresh[i].read(t, key.data(), value.data());
      head.append(key.data(), value.data(), static_cast<int32_t>(layer.seq_len + t));
      head.rest_scores[static_cast<size_t>(head.rest.slots() - 1)] = fresh_scores[static_cast<size_t>(g * whole + t)];
      enter(cache, work, place);
    }
    if (g == 0) end = place;
    progress.one();
  });
  if (!all) check_abort(call);
  check_abort(call);
  layer.step = end.step;
  layer.ring = end.ring;
  layer.compressed = end.compressed;
  layer.seq_len += tokens;
  layer.kept.reset();
  if (cache.resolved.budget && layer.slots() > cache.resolved.budget) layer.over_budget = true;
}

}  // namespace

bool cache_reserve_step(zs_cache& cache) {
  for (const Layer& layer : cache.layers)
    if (fills_up(cache, layer)) return false;
  need_upkeep(cache);
  need_notes(cache);
  for (Layer& layer : cache.layers) {
    reserve_token(layer);
    step_memory(cache, layer);
  }
  if (cache.config.trace) cache.tape.reserve(kStepEvents * cache.config.layers * cache.config.kv_heads);
  return true;
}

void cache_extend(zs_cache& cache, int32_t layer_index, zs_view q, zs_view k, zs_view v, int64_t tokens, zs_view out,
                  zs_call* call, bool report) {
  Layer& layer = cache.layers[static_cast<size_t>(layer_index)];
  check_abort(call);
  need_upkeep(cache);
  need_notes(cache);
  const auto one_token = [&](Layer& to) {
    reserve_token(to);
    const StepMemory memory = step_memory(cache, to);
    const Progress progress(call, report, cache.config.kv_heads);
    if (!step(cache, layer_index, to, memory, q, k, v, out, cache.notes, call, progress)) check_abort(call);
  };
  if (tokens == 1 && !fills_up(cache, layer)) {
    if (cache.config.trace) cache.tape.reserve(kStepEvents * cache.config.kv_heads);
    one_token(layer);
    to_tape(cache, cache.notes);
  } else {
    Layer made = layer;
    if (tokens == 1)
      one_token(made);
    else
      chunk_of_tokens(cache, layer_index, made, q, k, v, tokens, out, cache.notes, call, report);
    to_tape(cache, cache.notes);
    layer = std::move(made);
  }
  count_bytes(cache, layer);
}

}  // namespace zs
