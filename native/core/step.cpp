// One token through one layer (spec 5): in place, on memory made before.
#include "core/step.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "core/turning.h"

namespace zs {
namespace {

constexpr int64_t kMostCounted = 256;  // heads whose chunks are counted down in a short step

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
      if (head.sizes.read) head.hold(head.read, head.sizes.read, layer.step_of(0));
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

// Sums over the query heads of the probabilities that readers [first, end) of a head gave to its slots.
void sum_probabilities(Head& head, const StepMemory& m, int64_t first, int64_t end, float* sums) {
  std::fill_n(sums, head.slots(), 0.0f);
  for (int64_t r = first; r < end; ++r) {
    const Reader& reader = m.readers[r];
    int64_t stat = reader.stat;
    for (int32_t c = 0; !reader.list && c < head.chunks(); ++c, stat += reader.count) {
      int32_t own = c;
      const Segment& segment = head.segment_of(own);
      const int32_t count = segment.chunk_slots(own);
      for (int32_t h = 0; h < reader.count; ++h)
        for (int32_t j = 0; j < count; ++j) sums[j] += m.probs(stat + h)[j] * m.factor[stat + h];
      sums += count;
    }
    if (!reader.list) return;
    for (int64_t i = 0, at = reader.stat; i < m.start[r + 1] - m.start[r]; ++i, at += reader.count) {
      const Piece piece = piece_of(head, *reader.list, static_cast<int32_t>(i));
      for (int32_t h = 0; h < reader.count; ++h)
        for (int32_t j = 0; j < piece.count; ++j) sums[piece.slots[j]] += m.probs(at + h)[j] * m.factor[at + h];
    }
  }
}

// Scores of a head whose newest token did not read all of it: probabilities count where it read.
void add_probabilities(const zs_cache& cache, Head& head, const StepMemory& m, int64_t first, int64_t end,
                       float* sums) {
  sum_probabilities(head, m, first, end, sums);
  for (Segment& segment : head.segments)
    for (int32_t slot = 0; slot < segment.slots(); ++slot) {
      float& score = segment.scores[static_cast<size_t>(slot)];
      score = cache.needs.decay * score + *sums++;
    }
}

// What the slots of a head are worth at this step, where that is kept.
void note_step(const zs_cache& cache, int32_t index, Layer& layer, const StepMemory& m, int64_t kv_head, int64_t first,
               int64_t end) {
  const int32_t place = layer.scores.next ? score_place(cache, index, kv_head) : -1;
  if (place < 0) return;
  note_scores(cache, index, layer, kv_head);
  ScoreBlock& block = *layer.scores.next;
  float* const to = block.probabilities(static_cast<size_t>(place));
  sum_probabilities(layer.heads[static_cast<size_t>(kv_head)], m, first, end, to);
  const float share = 1 / static_cast<float>(cache.group());
  for (int64_t i = 0; i < block.slots(static_cast<size_t>(place)); ++i) to[i] *= share;
}

}  // namespace

StepMemory step_memory(const zs_cache& cache, const Layer& layer) {
  Workspace& work = cache.engine->work;
  const bool choosy = selects(cache);
  int64_t chunks = 0;
  for (const Head& head : layer.heads) chunks += head.chunks_with_one_more();
  const int64_t readers = static_cast<int64_t>(choosy ? cache.config.heads : cache.config.kv_heads);
  work.readers.reserve(static_cast<size_t>(readers));
  work.start.reserve(static_cast<size_t>(readers) + 1);
  if (choosy) need_selections(cache, layer);
  const bool copies =
      choosy || !std::all_of(layer.heads.begin(), layer.heads.end(), [](const Head& h) { return h.plain(); });
  if (copies) work.threads.need(cache.engine->pool.threads() * scratch_bytes({cache.config.head_dim, ZS_F32}) / 4);
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
  const bool changes = takes(cache);
  for (int64_t g = 0; g < kv_heads; ++g) {
    Head& head = layer.heads[static_cast<size_t>(g)];
    const float *key = k.data + g * k.head_stride, *value = v.data + g * v.head_stride;
    if (changes) {
      HeadWork work = work_on(cache, head, index, static_cast<int32_t>(g), 0, layer.step_of(0), nullptr);
      take_rows(work, k, v, 1, work.scratch->key.data(), work.scratch->value.data());
      key = work.scratch->key.data(), value = work.scratch->value.data();
    }
    head.append(key, value, position);
  }
  list_work(cache, index, layer, q, m);

  const auto attend = [&](int64_t r, int64_t unit, int thread) {
    const Reader& reader = m.readers[r];
    const int64_t g = reader.kv_head;
    Head& head = layer.heads[static_cast<size_t>(g)];
    const int32_t chunks = static_cast<int32_t>(m.start[r + 1] - m.start[r]),
                  i = static_cast<int32_t>(unit - m.start[r]);
    int32_t c = i;
    DecodeTask task{};
    char* const scratch = reinterpret_cast<char*>(engine.work.threads.data()) + thread * scratch_bytes({d, ZS_F32});
    if (reader.list) {
      task.chunk = gather(piece_of(head, *reader.list, c), scratch);
    } else {
      c = (i + chunks - head.open().chunks()) % chunks;  // what stands before the open segment comes last
      int32_t own = c;
      const Segment& segment = head.segment_of(own);
      task.chunk = chunk_of(segment, own, scratch);
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
      int32_t c = 0;
      for (Segment& segment : head.segments)
        for (int32_t own = 0; own < segment.chunks(); ++own, ++c)
          kernels.scores(m.probs(at + static_cast<int64_t>(c) * group), kChunk, m.factor + at + c * group, group,
                         segment.chunk_slots(own), needs.decay, segment.chunk_scores(own));
    }
    HeadWork work = work_on(cache, head, index, static_cast<int32_t>(g), thread, layer.step_of(0),
                            &cache.notes[static_cast<size_t>(g)]);
    score_newest(cache, work);
    note_step(cache, index, layer, m, g, first, end);
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
    try {  // a page may be on a device that fails
      all = engine.run(m.units, call, [&](int64_t unit, int thread) { attend(m.reader_of(unit), unit, thread); });
    } catch (...) {
      for (Head& head : layer.heads) head.remove_last(true);
      throw;
    }
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
  ++layer.here;
  layer.kept.reset();
  layer.scores.commit();
  return true;
}

}  // namespace zs
