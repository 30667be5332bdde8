// A prompt in one layer: causal attention over its rows as they come and scores from the last of them, then the first compression (spec
// 4). Memory O(tokens): keys, values and bookkeeping of all.
#include "core/prompt.h"

#include <cstring>
#include <utility>

#include "core/prompt_on_device.h"

namespace zs {
namespace {

// The prompt's tokens in empty heads, without keys and values yet.
Layer prompt_layer(const zs_cache& cache, int32_t index, int64_t tokens, int64_t share_of) {
  const int32_t n = static_cast<int32_t>(tokens);
  const std::vector<zs_resolved> sizes = resolved_heads(cache, index, share_of ? share_of : tokens);
  Layer made;
  made.seq_len = tokens;
  made.heads.assign(sizes.size(), Head(cache.geometry(), cache.config.origins != 0));
  for (size_t g = 0; g < sizes.size(); ++g) {
    Head& head = made.heads[g];
    head.sizes = sizes[g];
    head.sizes.window = cache.needs.rows;
    head.reserve(n);
    head.open().resize(n);
    for (int32_t t = 0; t < n; ++t) head.open().positions[static_cast<size_t>(t)] = t;
    if (head.origins) head.links.assign(static_cast<size_t>(n), kLinkEnd);
  }
  return made;
}

int64_t work_units(const zs_cache& cache, int32_t index, int64_t tokens) {
  const int64_t kv_heads = cache.config.kv_heads, chunks = round_up(tokens, kChunk) / kChunk;
  const bool last = index + 1 == cache.config.layers;
  const int64_t finished = !cache.by_model() ? kv_heads : last ? kv_heads * cache.config.layers : 0;
  return kv_heads * (chunks + row_blocks(cache, tokens)) + sum_units(cache, {cache.needs}, tokens) + finished;
}

std::shared_ptr<KeptQueries> queries_of(const zs_cache& cache, int64_t tokens, int64_t rows) {
  auto kept = std::make_shared<KeptQueries>();
  const int64_t heads = cache.config.heads;
  kept->rows = std::min(rows, tokens);
  kept->from = tokens - kept->rows;
  kept->q = Buffer(heads * kept->rows * cache.config.head_dim);
  kept->highest = Buffer(heads * kept->rows);
  kept->inverse = Buffer(heads * kept->rows);
  return kept;
}

}  // namespace

Prompt::Prompt(zs_cache& cache, int32_t layer, int64_t tokens, int64_t share_of, zs_call* call, bool report)
    : cache_(cache),
      index_(layer),
      tokens_(tokens),
      share_of_(share_of),
      call_(call),
      undo_{cache, std::exchange(cache.needs, needs_of(*cache.policy, tokens))},  // the rows that count
      progress_(call, report, work_units(cache, layer, tokens)),
      made_(prompt_layer(cache, layer, tokens, share_of)),
      sums_(no_sums(cache, {cache.needs}, tokens)),
      kept_(queries_of(cache, tokens, std::max(cache.config.keep_queries, cache.needs.queries))),
      record_(record_block(cache, layer, 0, tokens)) {
  score_next(cache, layer, made_, tokens, tokens);
  list_ = prompt_list(made_);
  taken_.need(cache.engine->pool.threads() * take_floats(cache));
  if (cache.needs.rotates) {
    Layer empty;
    empty.heads.assign(made_.heads.size(), Head(cache.geometry(), false));
    turned_.emplace(cache, layer, empty, list_, tokens);
  }
  check_abort(call);
}

void Prompt::write(zs_view k, zs_view v, int64_t count) {
  const int64_t chunks = round_up(count, kChunk) / kChunk;
  const bool all = cache_.engine->pool.run(cache_.config.kv_heads * chunks, call_, [&](int64_t unit, int thread) {
    const int64_t g = unit / chunks, from = unit % chunks * kChunk;
    Head& head = made_.heads[static_cast<size_t>(g)];
    HeadWork work = work_on(cache_, head, index_, static_cast<int32_t>(g), thread, 0, nullptr);
    write_rows(work, head.open().pages, from_row(k, from), from_row(v, from), static_cast<int32_t>(read_ + from),
               static_cast<int32_t>(std::min<int64_t>(count - from, kChunk)),
               taken_.data() + thread * take_floats(cache_));
    progress_.one();
  });
  if (!all) check_abort(call_);
}

// Of rows [read_, read_ + count) those that are wanted later, with their statistics.
void Prompt::keep(zs_view q, int64_t count, const RowStatistics& statistics) {
  KeptQueries& kept = *kept_;
  const int64_t d = cache_.config.head_dim, first = std::max<int64_t>(kept.from - read_, 0), more = count - first;
  if (more <= 0) return;
  for (int64_t h = 0; h < cache_.config.heads; ++h) {
    const int64_t at = h * kept.rows + read_ + first - kept.from, from = h * statistics.stride + first;
    for (int64_t r = 0; r < more; ++r)
      std::copy_n(q.data + h * q.head_stride + (first + r) * q.row_stride, d, kept.q.data() + (at + r) * d);
    std::copy_n(statistics.highest + from, more, kept.highest.data() + at);
    std::copy_n(statistics.inverse + from, more, kept.inverse.data() + at);
  }
}

void Prompt::rows(zs_view q, zs_view k, zs_view v, int64_t count, zs_view out) {
  write(k, v, count);
  if (turned_) q = turned_->rows(q, read_, count, call_);
  const int64_t each = cache_.config.heads * count;
  statistics_.need(2 * each);
  const RowStatistics statistics{statistics_.data(), statistics_.data() + each, count};
  std::vector<Segment*> segments;
  for (Head& head : made_.heads) segments.push_back(&head.open());
  const std::unique_ptr<DevicePrompt> there =
      on_cpu_ ? nullptr : prompt_on_device(cache_, list_, segments, q, read_, count);
  on_cpu_ = !there;
  attend_rows(cache_, list_, q, read_, count, out, statistics, call_, progress_, index_, read_, &bad_, there.get());
  (there ? made_.there : made_.here) += count;
  keep(q, count, statistics);
  if (record_) record_rows(cache_, index_, *record_, read_, count, q, k, v, out);
  const int64_t end = read_ + count;
  const ScoredRows scored{q.data - read_ * q.row_stride, q.head_stride,     q.row_stride, statistics.highest - read_,
                          statistics.inverse - read_,    statistics.stride, there.get()};
  // Units are counted for the last rows alone: where the others end is their maker's business.
  add_rows(cache_, made_, list_, scored, read_, end, sums_, call_,
           end == tokens_ ? progress_ : Progress(nullptr, false, 0));
  if (end == tokens_) note_last_row(cache_, index_, made_, list_, scored, end, call_);
  read_ = end;
}

void Prompt::finish() {
  turned_.reset();
  if (cache_.by_model())  // it waits for the other layers
    for (Head& head : made_.heads) head.open().pages.stay();
  score_prompt(cache_, index_, made_, cache_.needs.scores ? &sums_[0] : nullptr, call_);
  sums_.clear();
  for (int64_t g = 0; g < cache_.config.kv_heads; ++g) note_scores(cache_, index_, made_, g);
  made_.scores.commit();
  if (kept_->rows > 0) made_.kept = std::move(kept_);
  const int64_t full = layer_bytes(made_);
  if (record_) made_.recording.parts.push_back({std::move(record_), tokens_});

  // Choices: of this layer, or, with the last one, of all.
  const bool last = index_ + 1 == cache_.config.layers;
  std::vector<Layer> done;
  std::vector<std::vector<Event>> events;
  if (cache_.by_model()) {
    if (last) done.assign(cache_.layers.begin(), cache_.layers.end() - 1);
    if (last) done.push_back(std::move(made_));
  } else {
    done.push_back(std::move(made_));
  }
  const int32_t first = index_ + 1 - static_cast<int32_t>(done.size());
  if (!done.empty()) finish_prompt(cache_, first, done, events, call_, progress_);
  Layer below;
  if (crosses(cache_, index_)) {
    below = cache_.layers[static_cast<size_t>(index_) - 1];
    const size_t heads = events.size();
    events.resize(heads + 2 * static_cast<size_t>(cache_.config.kv_heads));
    cross(cache_, index_, below, done.back(), 0, static_cast<int32_t>(tokens_), events.data() + heads);
  }
  for (Layer& layer : done)
    if (cache_.config.keep_queries == 0) layer.kept.reset();  // they have been seen
  to_tape(cache_, events);

  undo_.armed = false;
  if (crosses(cache_, index_)) {
    Layer& held = cache_.layers[static_cast<size_t>(index_) - 1];
    held = std::move(below);
    count_bytes(cache_, held);
  }
  if (done.empty()) cache_.layers[static_cast<size_t>(index_)] = std::move(made_);
  for (size_t i = 0; i < done.size(); ++i) {
    Layer& held = cache_.layers[static_cast<size_t>(first) + i];
    held = std::move(done[i]);
    count_bytes(cache_, held);
  }
  Layer& held = cache_.layers[static_cast<size_t>(index_)];
  if (!cache_.is_resolved) {
    cache_.is_resolved = true;
    cache_.prompt = tokens_;
    cache_.share_of = share_of_;
  }
  if (cache_.bad.position < 0 || (bad_.position >= 0 && index_ < cache_.bad.layer)) cache_.bad = bad_;
  count_bytes(cache_, held);
  // While this layer was read its whole prompt was held.
  const int64_t peak = cache_.bytes() - held.bytes + (full > held.bytes ? full : held.bytes);
  if (peak > cache_.peak_bytes) cache_.peak_bytes = peak;
}

void cache_begin(zs_cache& cache, int32_t index, int64_t tokens, int64_t share_of) {
  const Needs needs = needs_of(*cache.policy, tokens);
  if (needs.granularity == ZS_PER_MODEL)
    fail(ZS_UNSUPPORTED, "%s chooses for the whole model, so it cannot read a prompt in strides: take stride 0",
         cache.policy->hooks->name);
  const std::vector<zs_resolved> sizes = resolved_heads(cache, index, share_of ? share_of : tokens);
  Layer& layer = cache.layers[static_cast<size_t>(index)];
  for (size_t g = 0; g < sizes.size(); ++g) {
    layer.heads[g].sizes = sizes[g];
    layer.heads[g].sizes.window = needs.rows;
  }
  layer.reading = true;
  cache.needs = needs;
  cache.is_resolved = true;
  cache.prompt = tokens;
  cache.share_of = share_of;
}

namespace {

// A whole prompt of one layer, stride by stride; the cache is as it was where that fails.
void in_strides(zs_cache& cache, int32_t index, zs_view q, zs_view k, zs_view v, int64_t tokens, int64_t share_of,
                zs_view out, zs_call* call, bool report) {
  struct Undo {
    zs_cache& cache;
    Layer& layer;
    const Layer before = layer;
    const Needs needs = cache.needs;
    const bool is_resolved = cache.is_resolved;
    const int64_t prompt = cache.prompt, share_of = cache.share_of, events = cache.tape.count(),
                  peak = cache.peak_bytes;
    const BadQuery bad = cache.bad;
    bool armed = true;
    ~Undo() {
      if (!armed) return;
      layer = before;
      cache.needs = needs, cache.is_resolved = is_resolved, cache.prompt = prompt, cache.share_of = share_of;
      cache.tape.truncate(events);
      cache.peak_bytes = peak, cache.bad = bad;
    }
  } undo{cache, cache.layers[static_cast<size_t>(index)]};
  cache_begin(cache, index, tokens, share_of);
  const int64_t stride = cache.needs.stride;
  const Progress progress(call, report, (tokens + stride - 1) / stride);
  for (int64_t row = 0; row < tokens; row += stride) {
    cache_extend(cache, index, from_row(q, row), from_row(k, row), from_row(v, row), std::min(stride, tokens - row),
                 from_row(out, row), call);
    progress.one();
  }
  undo.armed = false;
}

}  // namespace

void cache_prefill(zs_cache& cache, int32_t index, zs_view q, zs_view k, zs_view v, int64_t tokens, int64_t share_of,
                   zs_view out, zs_call* call, bool report) {
  if (needs_of(*cache.policy, tokens).stride)
    return in_strides(cache, index, q, k, v, tokens, share_of, out, call, report);
  Prompt prompt(cache, index, tokens, share_of, call, report);
  prompt.rows(q, k, v, tokens, out);
  prompt.finish();
}

}  // namespace zs
