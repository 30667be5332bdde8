// The parts of a prompt's work: causal attention of rows, scores from the last of them, the first compression (spec 4); core/prompt.cpp
// puts them together.
#include <cmath>
#include <mutex>

#include "core/compress_on_device.h"
#include "core/prompt_on_device.h"

namespace zs {

void to_tape(zs_cache& cache, const std::vector<std::vector<Event>>& events) {
  if (!kTape) return;
  int64_t count = 0;
  for (const auto& head : events) count += static_cast<int64_t>(head.size());
  if (count == 0) return;
  cache.tape.reserve(count);
  cache.tape.append(events);
}

int64_t layer_bytes(const Layer& layer) {
  int64_t bytes = layer.kept ? layer.kept->bytes() : 0;
  for (const Head& head : layer.heads) bytes += head.page_bytes() + head.bookkeeping_bytes();
  for (const Segment& segment : layer.waiting) bytes += segment.page_bytes() + segment.bookkeeping_bytes();
  return bytes;
}

void count_bytes(zs_cache& cache, Layer& layer) {
  layer.bytes = layer_bytes(layer);
  const int64_t now = cache.bytes();
  if (now > cache.peak_bytes) cache.peak_bytes = now;
}

PageList prompt_list(const Layer& layer) {
  PageList list;
  list.start.push_back(0);
  for (const Head& head : layer.heads) {
    for (int32_t c = 0; c < head.open().chunks(); ++c) list.pages.push_back(head.open().chunk(c));
    list.end_head(0);
  }
  return list;
}

int64_t row_blocks(const zs_cache& cache, int64_t tokens) {
  const int32_t unit_rows = rows_per_unit(cache.group());
  return round_up(tokens, unit_rows) / unit_rows;
}

void attend_rows(zs_cache& cache, const PageList& list, zs_view q, int64_t from, int64_t tokens, zs_view out,
                 const RowStatistics& statistics, zs_call* call, const Progress& progress, int32_t layer, int64_t first,
                 BadQuery* bad, DevicePrompt* there) {
  zs_engine& engine = *cache.engine;
  std::mutex telling;
  const auto tell = [&](int64_t head, int64_t row) {
    const std::lock_guard<std::mutex> lock(telling);
    const int64_t position = first + row;
    if (bad->position < 0 || position < bad->position || (position == bad->position && head < bad->head))
      *bad = {layer, static_cast<int32_t>(head), position};
  };
  if (there) {
    attend_on_device(*there, cache, list, from, tokens, call, progress);
    there->read(out, statistics.highest, statistics.inverse, statistics.stride);
    // A query that is no number has given its row no number for `inverse`.
    for (int64_t h = 0; h < cache.config.heads; ++h)
      for (int64_t r = 0; r < tokens; ++r)
        if (std::isnan(statistics.inverse[h * statistics.stride + r]) &&
            !is_finite(q.data + h * q.head_stride + r * q.row_stride, cache.config.head_dim))
          tell(h, r);
    return;
  }
  const int32_t group = cache.group(), d = cache.config.head_dim, unit_rows = rows_per_unit(group);
  const int64_t kv_heads = cache.config.kv_heads, blocks = row_blocks(cache, tokens);
  const int64_t scratch = rows_scratch(group, d);
  engine.work.threads.need(scratch * engine.pool.threads());
  const bool all = engine.pool.run(kv_heads * blocks, call, [&](int64_t unit, int thread) {
    // The last rows see most slots: they go first, so that no thread is left with a long one.
    const int64_t g = unit % kv_heads, block = blocks - 1 - unit / kv_heads;
    RowsTask task{};
    task.chunks = list.pages.data() + list.start[static_cast<size_t>(g)];
    task.first_causal = list.first_causal[static_cast<size_t>(g)];
    const int64_t row = block * unit_rows, stride = statistics.stride;
    task.row = from + row;
    task.rows = static_cast<int32_t>(std::min<int64_t>(tokens - row, unit_rows));
    task.chunk_count = task.first_causal + static_cast<int32_t>((task.row + task.rows - 1) / kChunk + 1);
    task.q = q.data + g * group * q.head_stride + row * q.row_stride;
    task.q_head = q.head_stride;
    task.q_row = q.row_stride;
    task.group = group;
    task.d = d;
    task.scale = cache.scale();
    task.out = out.data + g * group * out.head_stride + row * out.row_stride;
    task.out_head = out.head_stride;
    task.out_row = out.row_stride;
    task.highest = statistics.highest + g * group * stride + row;
    task.inverse = statistics.inverse + g * group * stride + row;
    task.stat_stride = stride;
    task.scratch = engine.work.threads.data() + thread * scratch;
    task.abort = abort_flag(call);
    engine.attention->rows(task);
    for (int32_t h = 0; h < group; ++h)
      for (int32_t r = 0; r < task.rows; ++r) {
        if (is_finite(task.q + h * q.head_stride + r * q.row_stride, d)) continue;
        task.inverse[h * stride + r] = kNone;
        std::fill_n(task.out + h * out.head_stride + r * out.row_stride, d, kNone);
        tell(g * group + h, row + r);
      }
    progress.one();
  });
  if (!all) check_abort(call);
  check_abort(call);
}

const float* summed_scores(zs_cache& cache, HeadWork* works, int32_t count) {
  const Segment& first = works[0].head->open();
  const int64_t whole = round_up(first.slots(), kLane);
  cache.engine->work.choice.need(whole);
  float* const sum = cache.engine->work.choice.data();
  std::copy_n(first.scores.data(), whole, sum);
  for (int32_t i = 1; i < count; ++i) {
    const float* scores = works[i].head->open().scores.data();
    for (int64_t slot = 0; slot < whole; ++slot) sum[slot] += scores[slot];
  }
  return sum;
}

void finish_prompt(zs_cache& cache, int32_t index, std::vector<Layer>& layers, std::vector<std::vector<Event>>& events,
                   zs_call* call, const Progress& progress) {
  const int32_t kv_heads = cache.config.kv_heads;
  const bool acts = cache.needs.acts == ZS_ACTS_PROMPT || acts_always(cache);
  const float* choice = nullptr;
  for (Layer& layer : layers) need_upkeep(cache, layer);
  if (cache.needs.granularity != ZS_PER_HEAD) {
    std::vector<HeadWork> works;
    for (Layer& layer : layers)
      for (Head& head : layer.heads) works.push_back(work_on(cache, head, index, 0, 0, 0, nullptr));
    choice = summed_scores(cache, works.data(), static_cast<int32_t>(works.size()));
  }
  const int64_t count = static_cast<int64_t>(layers.size()) * kv_heads;
  events.resize(static_cast<size_t>(count));
  std::vector<std::vector<int32_t>> leaving(static_cast<size_t>(count));
  if (hook(*cache.policy, &PolicyHooks::choose))
    for (size_t l = 0; l < layers.size(); ++l) {
      std::vector<HeadWork> works;
      for (int32_t g = 0; g < kv_heads; ++g)
        works.push_back(
            work_on(cache, layers[l].heads[static_cast<size_t>(g)], index + static_cast<int32_t>(l), g, 0, 0, nullptr));
      if (works[0].head->slots() <= works[0].sizes().budget) continue;
      choose(cache, works.data(), kv_heads);
      for (int32_t g = 0; g < kv_heads; ++g)
        leaving[l * static_cast<size_t>(kv_heads) + static_cast<size_t>(g)] =
            std::move(works[static_cast<size_t>(g)].leaving);
    }
  std::vector<std::vector<Compressed>> compressed(layers.size());  // by a device
  for (size_t l = 0; acts && l < layers.size(); ++l) compressed[l] = compress_on_device(cache, layers[l], choice, call);
  const bool all = cache.engine->run(count, call, [&](int64_t unit, int thread) {
    Layer& layer = layers[static_cast<size_t>(unit / kv_heads)];
    const int32_t g = static_cast<int32_t>(unit % kv_heads);
    Head& head = layer.heads[static_cast<size_t>(g)];
    HeadWork work = work_on(cache, head, index + static_cast<int32_t>(unit / kv_heads), g, thread, 0,
                            &events[static_cast<size_t>(unit)]);
    if (choice) work.choice = choice;
    if (hook(*cache.policy, &PolicyHooks::prompt_read)) call_hook(&PolicyHooks::prompt_read, work);
    work.leaving = std::move(leaving[static_cast<size_t>(unit)]);
    if (auto& made = compressed[static_cast<size_t>(unit / kv_heads)]; !made.empty())
      work.compressed = &made[static_cast<size_t>(g)];
    if (acts && head.slots() > head.sizes.budget) {
      call_hook(&PolicyHooks::compress, work);
      head.compressed = true;
    } else {
      const Segment& open = head.open();
      for (int32_t slot = 0; slot < open.slots(); ++slot) {
        const size_t i = static_cast<size_t>(slot);
        work.note_admit(open.positions[i], slot, open.scores[i]);
      }
    }
    head.over_step = -1;
    if (acts) head.hold(head.slots(), head.sizes.budget, 0);
    if (hook(*cache.policy, &PolicyHooks::settled)) {
      if (layer.kept) {
        work.query_rows = layer.kept->rows;
        work.queries =
            layer.kept->q.data() + static_cast<int64_t>(g) * work.group * work.query_rows * cache.config.head_dim;
      }
      work.fresh = static_cast<int32_t>(layer.seq_len);
      call_hook(&PolicyHooks::settled, work);
    }
    progress.one();
  });
  if (!all) check_abort(call);
  for (Layer& layer : layers)
    for (const Head& head : layer.heads)
      if (head.compressed) layer.kept.reset();
}

}  // namespace zs
