// Tokens on a living cache: one (a decode step, spec 5) in place, or a chunk of several (spec 5b) on a copy that replaces the layer when
// all is done. Order of work: attend, update scores, choose, merge, place.
#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>

#include "core/reading.h"
#include "core/turning.h"

namespace zs {
namespace {

// A decode step that reads less than this is over well within the time an abort may take: it is not cut, and each head's upkeep follows
// its last chunk at once. Cannot change results.
constexpr int64_t kShortStepBytes = int64_t{32} << 20;

constexpr int64_t kStepEvents = 3;     // most that one token makes in a head: merge or drop, leave, admit
constexpr int64_t kMostCounted = 256;  // heads whose chunks are counted down in a short step

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
    if (cache.config.trace) head.reserve(kStepEvents);
  }
  cache.works.clear();
  cache.works.reserve(static_cast<size_t>(heads));
  if (cache.needs.granularity != ZS_PER_HEAD) cache.engine->work.choice.need(round_up(slots, kLane));
}

// A step's work list: a unit for each chunk or piece that a reader reads, readers one after another.
struct StepMemory {
  const Reader* readers;
  int64_t reader_count;
  const int64_t* start;  // [reader_count + 1]: a reader's first unit
  int64_t units;
  int64_t padded;
  float *e, *highest, *sum, *factor, *partial;
  float* probs(int64_t stat) const { return e + stat * kChunk; }
  int64_t reader_of(int64_t unit) const {
    const int64_t each = units / reader_count;  // right at once where all are equally long
    int64_t r = std::min(unit / each, reader_count - 1);
    while (start[r] > unit) --r;
    while (start[r + 1] <= unit) ++r;
    return r;
  }
};

int64_t step_bytes(const zs_cache& cache, const Layer& layer) { return layer.slots() * cache.geometry().slot_bytes(); }

zs_view row_of(const zs_view& view, int64_t row) {
  return {view.data + row * view.row_stride, view.head_stride, view.row_stride};
}

bool selects(const zs_cache& cache) { return hook(*cache.policy, &PolicyHooks::select) != nullptr; }

// Room for the lists of a policy that selects; throws std::bad_alloc.
void need_selections(const zs_cache& cache, const Layer& layer) {
  Workspace& work = cache.engine->work;
  if (work.selections.size() < layer.heads.size()) work.selections.resize(layer.heads.size());
  int32_t most = 0;
  for (size_t g = 0; g < layer.heads.size(); ++g) {
    const int32_t slots = layer.heads[g].slots() + 1;
    auto& lists = work.selections[g].lists;
    if (lists.size() < static_cast<size_t>(cache.group())) lists.resize(static_cast<size_t>(cache.group()));
    for (auto& list : lists)
      if (list.capacity() < static_cast<size_t>(slots)) list.reserve(static_cast<size_t>(slots + slots / 16 + 16));
    most = std::max(most, slots);
  }
  for (Upkeep& one : work.upkeep) one.selecting.need(round_up(most, kLane));
  work.threads.need(cache.engine->pool.threads() * gather_bytes({cache.config.head_dim, ZS_F32}) / 4);
}

// For one token more than the layer holds, whoever will read what of it; may throw std::bad_alloc.
StepMemory step_memory(const zs_cache& cache, const Layer& layer) {
  Workspace& work = cache.engine->work;
  const bool choosy = selects(cache);
  int64_t chunks = 0;
  for (const Head& head : layer.heads)
    chunks += head.chunks() - head.open().chunks() + round_up(head.open().slots() + 1, kChunk) / kChunk;
  const int64_t readers = static_cast<int64_t>(choosy ? cache.config.heads : cache.config.kv_heads);
  work.readers.reserve(static_cast<size_t>(readers));
  work.start.reserve(static_cast<size_t>(readers) + 1);
  if (choosy) need_selections(cache, layer);
  StepMemory m{};
  m.padded = round_up(cache.config.head_dim, kLane);
  const int64_t stats = chunks * cache.group();
  work.probs.need(stats * kChunk);
  work.statistics.need(3 * stats);
  work.partial.need(stats * m.padded);
  if (cache.needs.rotates) need_turning(cache, layer);
  m.e = work.probs.data();
  m.highest = work.statistics.data();
  m.sum = m.highest + stats;
  m.factor = m.sum + stats;
  m.partial = work.partial.data();
  return m;
}

// Who reads what, now that the token is there; in the memory made for it.
void list_work(zs_cache& cache, int32_t index, Layer& layer, zs_view q, StepMemory& m) {
  Workspace& work = cache.engine->work;
  const int32_t group = cache.group();
  const bool choosy = selects(cache);
  const bool told = hook(*cache.policy, &PolicyHooks::arrive) != nullptr;
  if (choosy || told)
    cache.engine->pool.run(cache.config.kv_heads, nullptr, [&](int64_t g, int thread) {
      Head& head = layer.heads[static_cast<size_t>(g)];
      HeadWork one = work_on(cache, head, index, static_cast<int32_t>(g), thread, layer.step_of(0), nullptr);
      if (told) call_hook(&PolicyHooks::arrive, one);
      if (!choosy) return;
      Selection& to = work.selections[static_cast<size_t>(g)];
      to.count = 1;
      for (auto& list : to.lists) list.clear();
      if (!call_hook(&PolicyHooks::select, one, q.data + g * group * q.head_stride, q.head_stride, to)) to.count = 0;
      for (auto& list : to.lists)
        if (list.empty()) list.push_back(head.slots() - 1);
    });
  work.readers.clear();
  work.start.assign(1, 0);
  int64_t stat = 0;
  for (int32_t g = 0; g < cache.config.kv_heads; ++g) {
    Head& head = layer.heads[static_cast<size_t>(g)];
    const int32_t lists = choosy ? work.selections[static_cast<size_t>(g)].count : 0;
    head.read = 0;
    for (int32_t i = 0; i < std::max(lists, 1); ++i) {
      const std::vector<int32_t>* const list =
          lists ? &work.selections[static_cast<size_t>(g)].lists[static_cast<size_t>(i)] : nullptr;
      const int32_t count = lists > 1 ? 1 : group, units = list ? piece_count(head, *list) : head.chunks();
      if (list) head.read = std::max(head.read, static_cast<int32_t>(list->size()));
      if (head.sizes.read && head.read > head.sizes.read) head.over_budget = true;
      work.readers.push_back({g, lists > 1 ? i : 0, count, list, stat});
      work.start.push_back(work.start.back() + units);
      stat += static_cast<int64_t>(units) * count;
    }
  }
  m.readers = work.readers.data();
  m.reader_count = static_cast<int64_t>(work.readers.size());
  m.start = work.start.data();
  m.units = work.start.back();
}

// ---- one token

// While a head's chunks are read, what its end wants is fetched: with each chunk its scores (unless another thread may want them: what one
// core has fetched can be dearer for another than memory), and with the i-th a share of the merged slots, which are read last, since
// they lie elsewhere.
void fetch_beside(Head& head, int32_t i, int32_t c, const KeyChunk& chunk, bool scores) {
  constexpr int64_t kLine = 64, kMost = int64_t{1} << 14;  // of many merged slots the first: reading on needs no help
  const auto fetch = [](const void* from, int64_t bytes) {
    for (int64_t at = 0; at < bytes; at += kLine) __builtin_prefetch(static_cast<const char*>(from) + at, 0, 2);
  };
  if (scores) fetch(head.chunk_scores(c), chunk.slots * 4);
  const Segment& merged = head.segments[0];
  const int32_t share_count = head.open().chunks();
  if (!merged.merged || i >= share_count) return;
  const KeyChunk first = merged.chunk(0);
  const char* const keys = static_cast<const char*>(first.keys);
  const char* const end = static_cast<const char*>(first.values) + first.slots * merged.pages.geometry().padded() * 4;
  const int64_t share = round_up(std::min<int64_t>(end - keys, kMost) / share_count, kLine);
  fetch(keys + i * share, share);
}

// Scores of a head whose newest token did not read all of it: probabilities count where it read.
void add_probabilities(const zs_cache& cache, Head& head, const StepMemory& m, int64_t first, int64_t end,
                       float* sums) {
  std::fill_n(sums, head.slots(), 0.0f);
  for (int64_t r = first; r < end; ++r) {
    const Reader& reader = m.readers[r];
    for (int64_t i = 0, at = reader.stat; i < m.start[r + 1] - m.start[r]; ++i, at += reader.count) {
      const Piece piece = piece_of(head, *reader.list, static_cast<int32_t>(i));
      for (int32_t h = 0; h < reader.count; ++h)
        for (int32_t j = 0; j < piece.count; ++j) sums[piece.slots[j]] += m.probs(at + h)[j] * m.factor[at + h];
    }
  }
  for (Segment& segment : head.segments)
    for (int32_t slot = 0; slot < segment.slots(); ++slot) {
      float& score = segment.scores[static_cast<size_t>(slot)];
      score = cache.needs.decay * score + *sums++;
    }
}

// One token through one layer that has room for it, up to its scores. False: it was aborted, and nothing has changed. Where heads choose
// alone (`settled`), who stays is settled too, and where no hook allocates (no head fills up) only an abort can stop it.
bool step(zs_cache& cache, int32_t index, Layer& layer, StepMemory m, zs_view q, zs_view k, zs_view v, zs_view out,
          bool settled, const zs_call* call, const Progress& progress) {
  zs_engine& engine = *cache.engine;
  const int32_t d = cache.config.head_dim, group = cache.group();
  const int64_t kv_heads = cache.config.kv_heads;
  const AttentionKernels& kernels = *engine.attention;
  const Needs& needs = cache.needs;
  const bool scores = needs.scores && needs.upkeep;
  const int32_t position = static_cast<int32_t>(layer.seq_len);
  const bool turns = needs.rotates;
  if (turns) q = turn_step(cache, index, layer, q);
  for (int64_t g = 0; g < kv_heads; ++g)
    layer.heads[static_cast<size_t>(g)].append(k.data + g * k.head_stride, v.data + g * v.head_stride, position);
  list_work(cache, index, layer, q, m);

  const auto attend = [&](int64_t r, int64_t unit, int thread) {
    const Reader& reader = m.readers[r];
    const int64_t g = reader.kv_head;
    Head& head = layer.heads[static_cast<size_t>(g)];
    const int32_t chunks = static_cast<int32_t>(m.start[r + 1] - m.start[r]),
                  i = static_cast<int32_t>(unit - m.start[r]);
    int32_t c = i;
    DecodeTask task{};
    if (reader.list) {
      const int64_t bytes = gather_bytes({d, ZS_F32});
      task.chunk =
          gather(piece_of(head, *reader.list, c), reinterpret_cast<char*>(engine.work.threads.data()) + thread * bytes);
    } else {
      c = (i + chunks - head.open().chunks()) % chunks;  // what stands before the open segment comes last
      task.chunk = head.chunk(c);
      fetch_beside(head, i, c, task.chunk, scores && engine.pool.threads() == 1);
      if (turns) task.chunk = turned_chunk(cache, g, c, task.chunk, thread);
    }
    const int64_t at = reader.stat + static_cast<int64_t>(c) * reader.count;
    task.q = q.data + (g * group + reader.first) * q.head_stride;
    task.q_stride = q.head_stride;
    task.group = reader.count;
    task.d = d;
    task.scale = cache.scale();
    task.e = m.probs(at);
    task.e_stride = kChunk;
    task.highest = m.highest + at;
    task.sum = m.sum + at;
    task.out = m.partial + at * m.padded;
    kernels.decode(task);
  };
  BadQuery bad;
  std::mutex telling;
  const auto finish_reader = [&](const Reader& reader, int32_t units) {
    const int64_t at = reader.stat;
    const int32_t first = reader.kv_head * group + reader.first, count = reader.count;
    kernels.merge(m.highest + at, m.sum + at, m.partial + at * m.padded, units, count, d, m.factor + at,
                  out.data + first * out.head_stride, out.head_stride);
    for (int32_t h = 0; h < count; ++h) {
      const int32_t of = first + h;
      if (is_finite(q.data + of * q.head_stride, d)) continue;
      std::fill_n(out.data + of * out.head_stride, d, kNone);
      for (int32_t c = 0; c < units; ++c) m.factor[at + c * count + h] = kNone;
      const std::lock_guard<std::mutex> lock(telling);
      if (bad.head < 0 || of < bad.head) bad = {index, of, position};
    }
  };
  const auto finish = [&](int64_t g, int64_t first, int64_t end, int thread) {
    Head& head = layer.heads[static_cast<size_t>(g)];
    for (int64_t r = first; r < end; ++r)
      finish_reader(m.readers[r], static_cast<int32_t>(m.start[r + 1] - m.start[r]));
    if (scores && m.readers[first].list) {
      add_probabilities(cache, head, m, first, end, engine.work.upkeep[static_cast<size_t>(thread)].selecting.data());
    } else if (scores) {
      const int64_t at = m.readers[first].stat;
      for (int32_t c = 0; c < head.chunks(); ++c)
        kernels.scores(m.probs(at + static_cast<int64_t>(c) * group), kChunk, m.factor + at + c * group, group,
                       head.chunk(c).slots, needs.decay, head.chunk_scores(c));
    }
    HeadWork work = work_on(cache, head, index, static_cast<int32_t>(g), thread, layer.step_of(0),
                            &cache.notes[static_cast<size_t>(g)]);
    score_newest(cache, work);
    if (settled) enter(cache, &work, 1);
    progress.one();
  };

  // Readers of a kv head stand side by side.
  const auto first_of = [&](int64_t r) {
    while (r > 0 && m.readers[r - 1].kv_head == m.readers[r].kv_head) --r;
    return r;
  };
  const auto end_of = [&](int64_t r) {
    const int32_t g = m.readers[r].kv_head;
    while (r < m.reader_count && m.readers[r].kv_head == g) ++r;
    return r;
  };
  bool all = true;
  if (step_bytes(cache, layer) < kShortStepBytes && kv_heads <= kMostCounted) {
    std::atomic<int64_t> left[kMostCounted];
    for (int64_t r = 0; r < m.reader_count; r = end_of(r))
      left[m.readers[r].kv_head].store(m.start[end_of(r)] - m.start[r], std::memory_order_relaxed);
    engine.run(m.units, nullptr, [&](int64_t unit, int thread) {
      const int64_t r = m.reader_of(unit), g = m.readers[r].kv_head;
      attend(r, unit, thread);
      if (left[g].fetch_sub(1, std::memory_order_acq_rel) == 1) finish(g, first_of(r), end_of(r), thread);
    });
  } else {
    all = engine.pool.run(m.units, call, [&](int64_t unit, int thread) { attend(m.reader_of(unit), unit, thread); });
    if (all)
      engine.run(m.reader_count, nullptr, [&](int64_t r, int thread) {
        if (first_of(r) == r) finish(m.readers[r].kv_head, r, end_of(r), thread);
      });
  }
  if (!all) {
    for (Head& head : layer.heads) head.remove_last(true);
    return false;
  }
  if (bad.position >= 0 && cache.bad.position < 0) cache.bad = bad;
  if (settled) layer.step = layer.step_of(0);
  ++layer.seq_len;
  layer.kept.reset();
  return true;
}

// ---- several tokens

// Several tokens through one layer, which then wait.
void chunk_of_tokens(zs_cache& cache, int32_t index, Layer& layer, zs_view q, zs_view k, zs_view v, int64_t tokens,
                     zs_view out, zs_call* call, bool report) {
  const int32_t n = static_cast<int32_t>(tokens), fresh_chunks = static_cast<int32_t>(round_up(n, kChunk) / kChunk);
  const int64_t kv_heads = cache.config.kv_heads;
  const bool scores = cache.needs.scores && cache.needs.upkeep;

  layer.waiting.assign(static_cast<size_t>(kv_heads), Segment(cache.geometry()));
  PageList list;
  list.start.push_back(0);
  for (int64_t g = 0; g < kv_heads; ++g) {
    Segment& own = layer.waiting[static_cast<size_t>(g)];
    own.reserve(n);
    own.resize(n);
    for (int32_t t = 0; t < n; ++t) own.positions[static_cast<size_t>(t)] = static_cast<int32_t>(layer.seq_len) + t;
    for (int32_t from = 0; from < n; from += kChunk)
      own.pages.write_rows(k.data + g * k.head_stride + from * k.row_stride, k.row_stride,
                           v.data + g * v.head_stride + from * v.row_stride, v.row_stride, from,
                           n - from < kChunk ? n - from : kChunk);
    const Head& head = layer.heads[static_cast<size_t>(g)];
    const int32_t old = head.chunks();
    for (int32_t c = 0; c < old; ++c) list.pages.push_back(head.chunk(c));
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
  attend_rows(cache, list, q, 0, tokens, out, {highest, inverse, tokens}, call, progress, index, layer.seq_len, &bad);

  // Scores of old slots and of the chunk's own tokens.
  if (scores)
    sum_columns(cache, {q.data, q.head_stride, q.row_stride, highest, inverse, tokens}, tokens, cache.group(), units,
                call, progress, [&](int64_t unit, ColumnsTask& task, Fade* fades) {
                  size_t g = 0;
                  while (list.start[g + 1] <= unit) ++g;
                  const int32_t c = static_cast<int32_t>(unit - list.start[g]), own = c - list.first_causal[g];
                  task.chunk = list.pages[static_cast<size_t>(unit)];
                  task.causal = own >= 0;
                  task.first = own >= 0 ? static_cast<int64_t>(own) * kChunk : 0;
                  float* const acc = own >= 0 ? layer.waiting[g].chunk_scores(own) : layer.heads[g].chunk_scores(c);
                  fades[0] = {cache.needs.decay, 0, acc};
                  return static_cast<int64_t>(g) * cache.group();
                });
  check_abort(call);
  if (bad.position >= 0 && cache.bad.position < 0) cache.bad = bad;
  layer.seq_len += tokens;
  layer.kept.reset();
}

int64_t most_slots(const Layer& layer, int64_t more) {
  int64_t most = 0;
  for (const Head& head : layer.heads) most = std::max<int64_t>(most, head.slots());
  return most + more;
}

}  // namespace

bool cache_reserve_step(zs_cache& cache) {
  if (cache.needs.may_fail) return false;
  for (const Layer& layer : cache.layers)
    if (fills_up(cache, layer)) return false;
  const int64_t heads = static_cast<int64_t>(cache.config.layers) * cache.config.kv_heads;
  need_notes(cache, cache.by_model() ? heads : cache.config.kv_heads, most_slots(cache.layers[0], 1));
  for (Layer& layer : cache.layers) {
    need_upkeep(cache, layer);
    reserve_token(cache, layer);
    step_memory(cache, layer);
  }
  if (cache.config.trace) cache.tape.reserve(kStepEvents * heads);
  return true;
}

void cache_extend(zs_cache& cache, int32_t index, zs_view q, zs_view k, zs_view v, int64_t tokens, zs_view out,
                  zs_call* call, bool report) {
  check_abort(call);
  const zs_granularity granularity = cache.needs.granularity;
  const bool last = index + 1 == cache.config.layers, waits = cache.by_model() && !last;
  // Layers that are settled by this call: its own, or after the last all.
  const int32_t first = cache.by_model() && last ? 0 : index, count = waits ? 0 : index + 1 - first;
  Layer* const held = cache.layers.data() + first;
  need_notes(cache, static_cast<int64_t>(index + 1 - first) * cache.config.kv_heads,
             most_slots(cache.layers[static_cast<size_t>(index)], tokens));

  const auto one_token = [&](Layer* layers, int64_t t, const Progress& progress) {  // `first` and those after it
    Layer& layer = layers[index - first];
    for (int32_t l = first; l <= index; ++l) {
      need_upkeep(cache, layers[l - first]);
      if (l == index)
        reserve_token(cache, layer);
      else
        for (Head& head : layers[l - first].heads) head.own(head.compressed);
    }
    const StepMemory memory = step_memory(cache, layer);
    const bool alone = granularity == ZS_PER_HEAD;
    if (!step(cache, index, layer, memory, row_of(q, t), row_of(k, t), row_of(v, t), row_of(out, t), alone, call,
              progress))
      check_abort(call);
    if (!alone && count) settle_token(cache, first, layers, count);
  };
  // What a step may leave half done is done on a copy.
  const bool choosy = selects(cache);
  bool fills = cache.needs.may_fail || ((choosy || hook(*cache.policy, &PolicyHooks::arrive)) &&
                                        step_bytes(cache, held[index - first]) >= kShortStepBytes);
  for (int32_t l = 0; l < count; ++l) {
    // In a layer that waits the token stands in its head already.
    for (const Head& head : held[l].heads)
      fills = fills || (acts_always(cache) && !head.compressed &&
                        head.slots() + (first + l < index ? 0 : 1) > head.sizes.budget);
  }
  if (tokens == 1 && !fills) {
    if (cache.config.trace) cache.tape.reserve(kStepEvents * static_cast<int64_t>(cache.notes.size()));
    one_token(held, 0, Progress(call, report, cache.config.kv_heads));
    to_tape(cache, cache.notes);
  } else {
    std::vector<Layer> made(held, held + (index + 1 - first));
    if (tokens == 1 || choosy) {
      const Progress progress(call, report, tokens * cache.config.kv_heads);
      for (int64_t t = 0; t < tokens; ++t) {
        check_abort(call);
        one_token(made.data(), t, progress);
      }
    } else {
      for (Layer& layer : made) need_upkeep(cache, layer);
      chunk_of_tokens(cache, index, made.back(), q, k, v, tokens, out, call, report);
      if (count) settle_chunk(cache, first, made.data(), count, call);
    }
    to_tape(cache, cache.notes);
    for (size_t i = 0; i < made.size(); ++i) held[i] = std::move(made[i]);
  }
  for (int32_t l = first; l <= index; ++l) {
    Layer& layer = cache.layers[static_cast<size_t>(l)];
    layer.reading = layer.reading && layer.seq_len < cache.prompt;
    count_bytes(cache, layer);
  }
}

}  // namespace zs
