// A prompt: causal attention over all its rows, scores from its last rows, then the first compression (spec 4). Memory O(tokens).
#include <cmath>
#include <cstring>

#include "core/work.h"

namespace zs {

void to_tape(zs_cache& cache, const std::vector<std::vector<Event>>& events) {
  int64_t count = 0;
  for (const auto& head : events) count += static_cast<int64_t>(head.size());
  if (count == 0) return;
  cache.tape.reserve(count);
  for (const auto& head : events)
    for (const Event& event : head) cache.tape.append(event);
}

int64_t layer_bytes(const Layer& layer) {
  int64_t bytes = layer.kept ? layer.kept->bytes() : 0;
  for (const Head& head : layer.heads)
    bytes += head.residual.allocated() * head.residual.geometry().slot_bytes() +
             head.rest.allocated() * head.rest.geometry().slot_bytes() + head.bookkeeping_bytes();
  return bytes;
}

void count_bytes(zs_cache& cache, Layer& layer) {
  layer.bytes = layer_bytes(layer);
  const int64_t now = cache.bytes();
  if (now > cache.peak_bytes) cache.peak_bytes = now;
}

int64_t row_blocks(const zs_cache& cache, int64_t tokens) {
  const int32_t unit_rows = rows_per_unit(cache.group());
  return round_up(tokens, unit_rows) / unit_rows;
}

void attend_rows(zs_cache& cache, const std::vector<KeyChunk>& pages, int32_t first_causal, zs_view q, int64_t tokens,
                 zs_view out, float* highest, float* inverse, zs_call* call, const Progress& progress) {
  zs_engine& engine = *cache.engine;
  const int32_t group = cache.group(), d = cache.config.head_dim, unit_rows = rows_per_unit(group);
  const int64_t kv_heads = cache.config.kv_heads, blocks = row_blocks(cache, tokens);
  const int64_t chunks = static_cast<int64_t>(pages.size()) / kv_heads, scratch = rows_scratch(group, d);
  engine.work.threads.need(scratch * engine.pool.threads());
  const bool all = engine.pool.run(kv_heads * blocks, call, [&](int64_t unit, int thread) {
    // The last rows see most slots: they go first, so that no thread is left with a long one.
    const int64_t g = unit % kv_heads, block = blocks - 1 - unit / kv_heads;
    RowsTask task{};
    task.chunks = pages.data() + g * chunks;
    task.first_causal = first_causal;
    task.row = block * unit_rows;
    task.rows = static_cast<int32_t>(tokens - task.row < unit_rows ? tokens - task.row : unit_rows);
    task.chunk_count = first_causal + static_cast<int32_t>((task.row + task.rows - 1) / kChunk + 1);
    task.q = q.data + g * group * q.head_stride;
    task.q_head = q.head_stride;
    task.q_row = q.row_stride;
    task.group = group;
    task.d = d;
    task.scale = cache.scale();
    task.out = out.data + g * group * out.head_stride;
    task.out_head = out.head_stride;
    task.out_row = out.row_stride;
    task.highest = highest + g * group * tokens;
    task.inverse = inverse + g * group * tokens;
    task.stat_stride = tokens;
    task.scratch = engine.work.threads.data() + thread * scratch;
    task.abort = abort_flag(call);
    engine.attention->rows(task);
    progress.one();
  });
  if (!all) check_abort(call);
  check_abort(call);
}

void sum_columns(zs_cache& cache, const ScoredRows& rows, int64_t from, int64_t to, int64_t heads, int64_t chunks,
                 zs_call* call, const Progress& progress,
                 const std::function<void(int64_t g, int32_t c, ColumnsTask& task)>& place) {
  zs_engine& engine = *cache.engine;
  const int32_t group = cache.group(), d = cache.config.head_dim;
  const int64_t scratch = columns_scratch(d);
  engine.work.threads.need(scratch * engine.pool.threads());
  const bool all = engine.pool.run(heads * chunks, call, [&](int64_t unit, int thread) {
    const int64_t g = unit / chunks;
    ColumnsTask task{};
    place(g, static_cast<int32_t>(unit % chunks), task);
    task.from = from;
    task.to = to;
    task.q = rows.q + g * group * rows.q_head;
    task.q_head = rows.q_head;
    task.q_row = rows.q_row;
    task.group = group;
    task.d = d;
    task.scale = cache.scale();
    task.highest = rows.highest + g * group * rows.stat_stride;
    task.inverse = rows.inverse + g * group * rows.stat_stride;
    task.stat_stride = rows.stat_stride;
    task.decay = cache.config.policy.decay;
    task.scratch = engine.work.threads.data() + thread * scratch;
    task.abort = abort_flag(call);
    engine.attention->columns(task);
    progress.one();
  });
  if (!all) check_abort(call);
  check_abort(call);
}

void score_prompt(zs_cache& cache, std::vector<Head>& heads, const ScoredRows& rows, int64_t from, int64_t to,
                  zs_call* call, const Progress& progress) {
  sum_columns(cache, rows, from, to, static_cast<int64_t>(heads.size()), heads[0].rest.chunks(), call, progress,
              [&](int64_t g, int32_t c, ColumnsTask& task) {
                Head& head = heads[static_cast<size_t>(g)];
                task.chunk = head.rest.chunk(c, nullptr);
                task.first = static_cast<int64_t>(c) * kChunk;
                task.causal = true;
                task.acc = head.chunk_scores(c);
              });
}

void finish_prompt(zs_cache& cache, int32_t layer, Layer& made, std::vector<std::vector<Event>>& events, zs_call* call,
                   const Progress& progress) {
  const PolicyHooks& hooks = hooks_of(cache.config.policy);
  const bool compress = hooks.compress && made.seq_len > cache.resolved.budget;
  need_upkeep(cache);
  std::vector<int32_t> ring(made.heads.size(), -1);
  const bool all = cache.engine->run(static_cast<int64_t>(made.heads.size()), call, [&](int64_t g, int thread) {
    const size_t i = static_cast<size_t>(g);
    HeadWork work = work_on(cache, made.heads[i], layer, static_cast<int32_t>(g), thread, -1, 0, &events[i]);
    if (compress) {
      hooks.compress(work);
      ring[i] = work.ring;
    } else {
      const Head& head = made.heads[i];
      for (int32_t slot = 0; slot < head.rest.slots(); ++slot)
        work.note(ZS_ADMIT, head.positions[static_cast<size_t>(slot)], slot, -1,
                  head.rest_scores[static_cast<size_t>(slot)], kNone, 1, 0);
    }
    progress.one();
  });
  if (!all) check_abort(call);
  made.compressed = compress;
  made.ring = ring[0];
  if (compress) made.kept.reset();
}

namespace {

std::shared_ptr<const KeptQueries> keep_queries(const zs_cache& cache, zs_view q, int64_t tokens, const float* highest,
                                                const float* inverse) {
  auto kept = std::make_shared<KeptQueries>();
  const int32_t heads = cache.config.heads, d = cache.config.head_dim;
  kept->rows = cache.config.keep_queries < tokens ? cache.config.keep_queries : tokens;
  kept->from = tokens - kept->rows;
  kept->q = Buffer(heads * kept->rows * d);
  kept->highest = Buffer(heads * kept->rows);
  kept->inverse = Buffer(heads * kept->rows);
  for (int32_t h = 0; h < heads; ++h) {
    for (int64_t r = 0; r < kept->rows; ++r)
      std::memcpy(kept->q.data() + (h * kept->rows + r) * d,
                  q.data + h * q.head_stride + (kept->from + r) * q.row_stride, sizeof(float) * static_cast<size_t>(d));
    const size_t bytes = sizeof(float) * static_cast<size_t>(kept->rows);
    std::memcpy(kept->highest.data() + h * kept->rows, highest + h * tokens + kept->from, bytes);
    std::memcpy(kept->inverse.data() + h * kept->rows, inverse + h * tokens + kept->from, bytes);
  }
  return kept;
}

}  // namespace

void cache_prefill(zs_cache& cache, int32_t layer, zs_view q, zs_view k, zs_view v, int64_t tokens, int64_t share_of,
                   zs_view out, zs_call* call, bool report) {
  zs_engine& engine = *cache.engine;
  const int32_t heads = cache.config.heads, kv_heads = cache.config.kv_heads;
  const int32_t n = static_cast<int32_t>(tokens);
  const zs_resolved before = cache.resolved;
  const bool first = !cache.is_resolved;
  // Hooks read the resolved sizes; a failure takes them back.
  if (first) {
    cache.resolved = hooks_of(cache.config.policy).resolve(cache.config.policy, share_of ? share_of : tokens);
    cache.resolved.window = window_of(cache.config.policy, tokens);
  }
  struct Undo {
    zs_cache& cache;
    const zs_resolved& before;
    bool armed = true;
    ~Undo() {
      if (armed) cache.resolved = before;
    }
  } undo{cache, before};

  const int32_t chunks = static_cast<int32_t>(round_up(n, kChunk) / kChunk);
  const int64_t blocks = row_blocks(cache, tokens);
  const bool history = cache.config.policy.history != 0;
  const Progress progress(call, report, kv_heads * (chunks + blocks + (history ? chunks : 0) + 1));

  Layer made;
  made.seq_len = tokens;
  made.heads.assign(static_cast<size_t>(kv_heads), Head(cache.geometry()));
  for (Head& head : made.heads) {
    head.reserve(n);
    head.rest.resize(n);
    head.rest_scores.assign(static_cast<size_t>(round_up(n, kLane)), 0.0f);
    head.positions.resize(static_cast<size_t>(n));
    for (int32_t t = 0; t < n; ++t) head.positions[static_cast<size_t>(t)] = t;
    head.links.assign(static_cast<size_t>(n), kLinkEnd);
  }
  check_abort(call);
  bool all = engine.pool.run(static_cast<int64_t>(kv_heads) * chunks, call, [&](int64_t unit, int) {
    const int64_t g = unit / chunks, from = unit % chunks * kChunk;
    const int32_t count = static_cast<int32_t>(tokens - from < kChunk ? tokens - from : kChunk);
    made.heads[static_cast<size_t>(g)].rest.write_rows(k.data + g * k.head_stride + from * k.row_stride, k.row_stride,
                                                       v.data + g * v.head_stride + from * v.row_stride, v.row_stride,
                                                       static_cast<int32_t>(from), count);
    progress.one();
  });
  if (!all) check_abort(call);

  // Attention, and of every row its highest logit and 1 / sum.
  Buffer statistics(2 * static_cast<int64_t>(heads) * tokens);
  float *highest = statistics.data(), *inverse = highest + heads * tokens;
  std::vector<KeyChunk> pages;
  for (const Head& head : made.heads)
    for (int32_t c = 0; c < chunks; ++c) pages.push_back(head.rest.chunk(c, nullptr));
  attend_rows(cache, pages, 0, q, tokens, out, highest, inverse, call, progress);

  if (history) {
    const ScoredRows rows{q.data, q.head_stride, q.row_stride, highest, inverse, tokens};
    score_prompt(cache, made.heads, rows, tokens - cache.resolved.window, tokens, call, progress);
  }
  if (cache.config.keep_queries > 0 && !(cache.resolved.budget && tokens > cache.resolved.budget))
    made.kept = keep_queries(cache, q, tokens, highest, inverse);
  const int64_t full = layer_bytes(made);
  std::vector<std::vector<Event>> events(static_cast<size_t>(kv_heads));
  finish_prompt(cache, layer, made, events, call, progress);
  made.over_budget = cache.resolved.budget && made.slots() > cache.resolved.budget;
  to_tape(cache, events);

  undo.armed = false;
  Layer& held = cache.layers[static_cast<size_t>(layer)];
  held = std::move(made);
  if (first) {
    cache.is_resolved = true;
    cache.prompt = tokens;
    cache.share_of = share_of;
  }
  count_bytes(cache, held);
  // While this layer was read its whole prompt was held.
  const int64_t peak = cache.bytes() - held.bytes + (full > held.bytes ? full : held.bytes);
  if (peak > cache.peak_bytes) cache.peak_bytes = peak;
}

}  // namespace zs
