// Tokens on a living cache: one (a decode step, spec 5) in place, or a chunk of several (spec 5b) on a copy that replaces the layer when
// all is done. Order of work: attend, update scores, choose, merge, place.
#include <algorithm>
#include <optional>

#include "core/device_model.h"
#include "core/prompt_on_device.h"
#include "core/step.h"
#include "core/turning.h"

namespace zs {
namespace {

constexpr int64_t kStepEvents = 4;  // most that one token makes in a head: merge or drop, leave, admit, settle

// ---- room and scratch, before anything changes

// True where the next token meets a full cache that never was compressed.
bool fills_up(const zs_cache& cache, const Layer& layer) {
  if (!acts_always(cache)) return false;
  for (const Head& head : layer.heads)
    if (!head.compressed && head.slots() >= head.sizes.budget) return true;
  return false;
}

void reserve_token(const zs_cache& cache, Layer& layer) {
  for (Head& head : layer.heads) reserve_token(cache, head);
}

// Empty lists for the events of one call on `heads` heads, with room for a step's, and for what is decided together; throws std::bad_alloc.
void need_notes(zs_cache& cache, int64_t heads, int64_t slots) {
  cache.notes.resize(static_cast<size_t>(heads));
  for (auto& head : cache.notes) {
    head.clear();
    if (kTape && cache.config.trace) head.reserve(kStepEvents);
  }
  cache.works.clear();
  cache.works.reserve(static_cast<size_t>(heads));
  if (cache.needs.granularity != ZS_PER_HEAD) cache.engine->work.choice.need(round_up(slots, kLane));
}

// ---- several tokens

// Several tokens through one layer, which then wait.
void chunk_of_tokens(zs_cache& cache, int32_t index, Layer& layer, zs_view q, zs_view k, zs_view v, int64_t tokens,
                     zs_view out, zs_call* call, bool report) {
  const int32_t n = static_cast<int32_t>(tokens), fresh_chunks = static_cast<int32_t>(round_up(n, kChunk) / kChunk);
  const int64_t kv_heads = cache.config.kv_heads;
  const bool scores = cache.needs.scores && cache.needs.upkeep;

  score_next(cache, index, layer, tokens);
  layer.waiting.assign(static_cast<size_t>(kv_heads), Segment(cache.geometry()));
  PageList list;
  std::vector<Segment*> segments;  // of the list, in order
  Buffer taken(take_floats(cache));
  std::vector<Buffer> copies;  // of chunks that do not lie as kernels read them
  list.start.push_back(0);
  for (int64_t g = 0; g < kv_heads; ++g) {
    Segment& own = layer.waiting[static_cast<size_t>(g)];
    own.reserve(n);
    own.resize(n);
    for (int32_t t = 0; t < n; ++t) own.positions[static_cast<size_t>(t)] = static_cast<int32_t>(layer.seq_len) + t;
    Head& head = layer.heads[static_cast<size_t>(g)];
    HeadWork work = work_on(cache, head, index, static_cast<int32_t>(g), 0, layer.step_of(0), nullptr);
    for (int32_t from = 0; from < n; from += kChunk)
      write_rows(work, own.pages, from_row(k, from), from_row(v, from), from, std::min(n - from, kChunk), taken.data());
    const int32_t old = head.chunks();
    for (Segment& segment : head.segments) {
      segments.push_back(&segment);
      for (int32_t c = 0; c < segment.chunks(); ++c) {
        if (!segment.plain()) copies.emplace_back(scratch_bytes({cache.config.head_dim, ZS_F32}) / 4);
        list.pages.push_back(
            chunk_of(segment, c, segment.plain() ? nullptr : reinterpret_cast<char*>(copies.back().data())));
      }
    }
    segments.push_back(&own);
    for (int32_t c = 0; c < fresh_chunks; ++c) list.pages.push_back(own.chunk(c));
    list.end_head(old);
  }
  const int64_t units = list.start.back();
  std::optional<TurnedRows> turned;
  if (cache.needs.rotates) q = turned.emplace(cache, index, layer, list, tokens).rows(q, 0, tokens, call);
  const Progress progress(call, report, kv_heads * row_blocks(cache, tokens) + (scores ? units : 0));

  Buffer statistics(2 * static_cast<int64_t>(cache.config.heads) * tokens);
  float *highest = statistics.data(), *inverse = highest + cache.config.heads * tokens;
  BadQuery bad;
  const std::unique_ptr<DevicePrompt> there = prompt_on_device(cache, list, segments, q, 0, tokens);
  attend_rows(cache, list, q, 0, tokens, out, {highest, inverse, tokens}, call, progress, index, layer.seq_len, &bad,
              there.get());
  const ScoredRows rows{q.data, q.head_stride, q.row_stride, highest, inverse, tokens, there.get()};

  // Scores of old slots and of the chunk's own tokens.
  if (scores)
    sum_columns(cache, list, rows, tokens, cache.group(), units, call, progress,
                [&](int64_t unit, ColumnsTask& task, Fade* fades) -> ColumnsPlace {
                  size_t g = 0;
                  while (list.start[g + 1] <= unit) ++g;
                  const int32_t c = static_cast<int32_t>(unit - list.start[g]), own = c - list.first_causal[g];
                  task.causal = own >= 0;
                  task.first = own >= 0 ? static_cast<int64_t>(own) * kChunk : 0;
                  float* const acc = own >= 0 ? layer.waiting[g].chunk_scores(own) : layer.heads[g].chunk_scores(c);
                  fades[0] = {cache.needs.decay, 0, acc};
                  return {static_cast<int64_t>(g) * cache.group(), unit};
                });
  check_abort(call);
  note_last_row(cache, index, layer, list, rows, tokens, call);
  for (Segment& waiting : layer.waiting) waiting.pages.stay();  // the CPU has them enter
  for (int64_t g = 0; g < kv_heads; ++g) note_scores(cache, index, layer, g);
  layer.scores.commit();
  if (bad.position >= 0 && cache.bad.position < 0) cache.bad = bad;
  layer.seq_len += tokens;
  (there ? layer.there : layer.here) += tokens;
  layer.kept.reset();
}

// Where the layer's next `tokens` rows are recorded; nullptr where nobody records. Throws std::bad_alloc unless cache_reserve_step made it.
std::shared_ptr<RecordBlock> take_record(zs_cache& cache, int32_t index, int64_t tokens) {
  Layer& layer = cache.layers[static_cast<size_t>(index)];
  std::shared_ptr<RecordBlock> record = std::move(layer.recording.next);
  // What was made for a step that never came, or stands in a fork, too, is not for this one.
  if (record && (record.use_count() > 1 || record->rows != tokens || record->from != layer.seq_len)) record.reset();
  if (cache.record && !record) record = record_block(cache, index, layer.seq_len, tokens);
  return record;
}

// Tokens have gone through the layer.
void passed(zs_cache& cache, Layer& layer) {
  layer.reading = layer.reading && layer.seq_len < cache.prompt;
  count_bytes(cache, layer);
}

int64_t most_slots(const Layer& layer, int64_t more) {
  int64_t most = 0;
  for (const Head& head : layer.heads) most = std::max<int64_t>(most, head.slots());
  return most + more;
}

}  // namespace

bool cache_reserve_step(zs_cache& cache) {
  if (cache.needs.may_fail || !scores_fit(cache)) return false;
  for (const Layer& layer : cache.layers)
    if (fills_up(cache, layer)) return false;
  const int64_t heads = static_cast<int64_t>(cache.config.layers) * cache.config.kv_heads;
  need_notes(cache, cache.by_model() ? heads : cache.config.kv_heads, most_slots(cache.layers[0], 1));
  for (int32_t index = 0; index < cache.config.layers; ++index) {
    Layer& layer = cache.layers[static_cast<size_t>(index)];
    need_upkeep(cache, layer);
    reserve_token(cache, layer);
    if (crosses(cache, index)) cross_reserve(cache.layers[static_cast<size_t>(index) - 1], layer, 1);
    step_memory(cache, layer);
    if (cache.record) {
      layer.recording.reserve();
      layer.recording.next = record_block(cache, index, layer.seq_len, 1);
    }
    score_next(cache, index, layer, 1);
  }
  if (kTape && cache.config.trace) cache.tape.reserve(kStepEvents * heads);
  return true;
}

void cache_extend(zs_cache& cache, int32_t index, zs_view q, zs_view k, zs_view v, int64_t tokens, zs_view out,
                  zs_call* call, bool report) {
  check_abort(call);
  const zs_granularity granularity = cache.needs.granularity;
  const bool last = index + 1 == cache.config.layers, waits = cache.by_model() && !last;
  // Layers that are settled by this call: its own, or after the last all.
  const int32_t settles = cache.by_model() && last ? 0 : index, count = waits ? 0 : index + 1 - settles;
  const int32_t first = crosses(cache, index) ? index - 1 : settles;  // of those that it touches
  Layer* const held = cache.layers.data() + first;
  std::shared_ptr<RecordBlock> record = take_record(cache, index, tokens);
  Recording& recording = held[index - first].recording;
  const int64_t heads = static_cast<int64_t>(index + 1 - settles) * cache.config.kv_heads;
  need_notes(cache, heads + (first < settles ? 2 * cache.config.kv_heads : 0),
             most_slots(cache.layers[static_cast<size_t>(index)], tokens));

  const auto one_token = [&](Layer* layers, int64_t t, const Progress& progress) {  // `first` and those after it
    Layer& layer = layers[index - first];
    for (int32_t l = settles; l <= index; ++l) {
      need_upkeep(cache, layers[l - first]);
      if (l == index)
        reserve_token(cache, layer);
      else
        for (Head& head : layers[l - first].heads) head.own(head.compressed);
    }
    const bool alone = granularity == ZS_PER_HEAD;
    if (steps_on_device(cache, layer)) {
      step_on_device(cache, index, layer, {from_row(q, t), from_row(k, t), from_row(v, t), from_row(out, t)});
      return;
    }
    for (int32_t l = settles; l <= index; ++l) books_home(layers[l - first]);
    const StepMemory memory = step_memory(cache, layer);
    score_next(cache, index, layer, 1);
    if (!step(cache, index, layer, memory, from_row(q, t), from_row(k, t), from_row(v, t), from_row(out, t), alone,
              call, progress))
      check_abort(call);
    if (!alone && count) settle_token(cache, settles, layers + (settles - first), count);
  };
  const auto with_below = [&](Layer* layers) {
    if (first < settles)
      cross(cache, index, layers[0], layers[1], layers[1].step, static_cast<int32_t>(tokens),
            cache.notes.data() + heads);
  };
  // What a step may leave half done is done on a copy.
  const bool choosy = selects(cache);
  bool fills = cache.needs.may_fail || ((choosy || hook(*cache.policy, &PolicyHooks::arrive)) &&
                                        step_bytes(cache, held[index - first]) >= kShortStepBytes);
  for (int32_t l = 0; l < count; ++l) {
    // In a layer that waits the token stands in its head already.
    for (const Head& head : held[settles - first + l].heads)
      fills = fills || (acts_always(cache) && !head.compressed &&
                        head.slots() + (settles + l < index ? 0 : 1) > head.sizes.budget);
  }
  if (tokens == 1 && !fills) {
    if (record) recording.reserve();
    if (kTape && cache.config.trace) cache.tape.reserve(kStepEvents * static_cast<int64_t>(cache.notes.size()));
    if (first < settles) cross_reserve(held[0], held[1], 1);
    one_token(held, 0, Progress(call, report, cache.config.kv_heads));
    with_below(held);
    to_tape(cache, cache.notes);
  } else {
    for (Layer* layer = held; layer != held + (index + 1 - first); ++layer) books_home(*layer);
    std::vector<Layer> made(held, held + (index + 1 - first));
    if (record) made.back().recording.reserve();
    if (tokens == 1 || choosy) {
      const Progress progress(call, report, tokens * cache.config.kv_heads);
      for (int64_t t = 0; t < tokens; ++t) {
        check_abort(call);
        one_token(made.data(), t, progress);
      }
    } else {
      for (Layer& layer : made) need_upkeep(cache, layer);
      chunk_of_tokens(cache, index, made.back(), q, k, v, tokens, out, call, report);
      if (count) settle_chunk(cache, settles, made.data() + (settles - first), count, call);
    }
    if (first < settles) cross_reserve(made[0], made[1], static_cast<int32_t>(tokens));
    with_below(made.data());
    to_tape(cache, cache.notes);
    for (size_t i = 0; i < made.size(); ++i) held[i] = std::move(made[i]);
  }
  if (record) {
    record_rows(cache, index, *record, 0, tokens, q, k, v, out);
    recording.parts.push_back({std::move(record), tokens});
  }
  for (int32_t l = first; l <= index; ++l) passed(cache, cache.layers[static_cast<size_t>(l)]);
}

bool cache_steps_on_device(const zs_cache& cache) {
  for (int32_t index = 0; index < cache.config.layers; ++index)
    if (crosses(cache, index) || !steps_on_device(cache, cache.layers[static_cast<size_t>(index)], true)) return false;
  return true;
}

void cache_step_on_device(zs_cache& cache, DeviceModel& model, const DeviceToken& token) {
  const zs_cache_config& c = cache.config;
  const auto at = [&](int32_t index) -> Layer& { return cache.layers[static_cast<size_t>(index)]; };
  int32_t prepared = 0;
  bool taken = cache.record || token.given;
  try {
    for (; prepared < c.layers; ++prepared) prepare_on_device(cache, prepared, at(prepared), model.rows(prepared));
    for (int32_t l = 0; l < c.layers; ++l) prepare_anew(cache, at(l), model.rows(l));
    model.begin(token.id, token.angles, token.logits);
    while (model.launches()) {
      model.embed();
      for (int32_t l = 0; l < c.layers; ++l) {
        model.project(l);
        at(l).device.held->launch(model.rows(l));
        model.feed_forward(l);
      }
      if (cache.by_model()) {
        model.choose();
        for (int32_t l = 0; l < c.layers; ++l) at(l).device.held->leave();
      }
      if (token.logits) model.head();
    }
    taken = !model.end(token.logits) || taken;
    if (taken) model.take();
  } catch (...) {
    model.abandon();
    while (prepared > 0) forget_on_device(at(--prepared));
    throw;
  }
  const int64_t d = c.head_dim, queries = c.heads * d, all = queries + 2 * c.kv_heads * d;
  for (int32_t l = 0; l < c.layers; ++l) {
    Layer& layer = at(l);
    const DeviceTaken rows = taken ? model.taken(l) : DeviceTaken{};
    const auto view = [&](float* from, int64_t head) { return zs_view{from ? from + head * d : nullptr, d, d}; };
    std::shared_ptr<RecordBlock> record = take_record(cache, l, 1);
    need_notes(cache, c.kv_heads, 0);
    finish_on_device(cache, l, layer, model.rows(l), view(rows.qkv, 0));
    to_tape(cache, cache.notes);
    if (record) {
      record_rows(cache, l, *record, 0, 1, view(rows.qkv, 0), view(rows.qkv, c.heads),
                  view(rows.qkv, c.heads + c.kv_heads), view(rows.out, 0));
      layer.recording.parts.push_back({std::move(record), 1});
    }
    if (token.given) std::copy_n(rows.out, queries, std::copy_n(rows.qkv, all, token.given + l * (all + queries)));
    passed(cache, layer);
  }
}

}  // namespace zs
