// Scores of a prompt and of a chunk: faded column sums of attention, for one policy or for several at once (spec 4).
#include "core/prompt_on_device.h"

namespace zs {

void sum_columns(zs_cache& cache, const PageList& list, const ScoredRows& rows, int64_t to, int32_t group,
                 int64_t units, zs_call* call, const Progress& progress,
                 const std::function<ColumnsPlace(int64_t unit, ColumnsTask& task, Fade* fades)>& place) {
  zs_engine& engine = *cache.engine;
  const int32_t d = cache.config.head_dim;
  const int64_t scratch = columns_scratch(d);
  const int64_t done = rows.there ? sum_on_device(*rows.there, to, group, d, units, call, progress, place) : 0;
  engine.work.threads.need(scratch * engine.pool.threads());
  const bool all = engine.pool.run(units - done, call, [&](int64_t unit, int thread) {
    ColumnsTask task{};
    Fade fades[kMostFades];
    task.fades = fades;
    task.fade_count = 1;
    const ColumnsPlace at = place(done + unit, task, fades);
    task.chunk = list.pages[static_cast<size_t>(at.chunk)];
    task.to = to;
    task.q = rows.q + at.head * rows.q_head;
    task.q_head = rows.q_head;
    task.q_row = rows.q_row;
    task.group = group;
    task.d = d;
    task.scale = cache.scale();
    task.highest = rows.highest + at.head * rows.stat_stride;
    task.inverse = rows.inverse + at.head * rows.stat_stride;
    task.stat_stride = rows.stat_stride;
    task.scratch = engine.work.threads.data() + thread * scratch;
    task.abort = abort_flag(call);
    engine.attention->columns(task);
    progress.one();
  });
  if (!all) check_abort(call);
  check_abort(call);
}

namespace {

// Which of `wanted` go through the rows together: those of kv heads, kMostFades at a time; each of query heads alone.
std::vector<std::vector<size_t>> passes(const std::vector<Needs>& wanted) {
  std::vector<std::vector<size_t>> all;
  size_t open = 0;
  bool any = false;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!wanted[i].scores) continue;
    if (wanted[i].by_query) {
      all.push_back({i});
    } else if (any && all[open].size() < kMostFades) {
      all[open].push_back(i);
    } else {
      open = all.size(), any = true;
      all.push_back({i});
    }
  }
  return all;
}

}  // namespace

int64_t sum_units(const zs_cache& cache, const std::vector<Needs>& wanted, int64_t tokens) {
  int64_t units = 0;
  for (const auto& pass : passes(wanted))
    units +=
        round_up(tokens, kChunk) / kChunk * (wanted[pass[0]].by_query ? cache.config.heads : cache.config.kv_heads);
  return units;
}

std::vector<PromptSums> no_sums(const zs_cache& cache, const std::vector<Needs>& wanted, int64_t tokens) {
  const int64_t stride = round_up(tokens, kLane);
  std::vector<PromptSums> made;
  for (const Needs& needs : wanted) {
    const int64_t heads = !needs.scores ? 0 : needs.by_query ? cache.config.heads : cache.config.kv_heads;
    made.push_back({needs, stride, Buffer(heads * stride)});
    std::fill_n(made.back().sums.data(), heads * stride, 0.0f);
  }
  return made;
}

void add_rows(zs_cache& cache, const Layer& layer, const PageList& list, const ScoredRows& rows, int64_t from,
              int64_t to, std::vector<PromptSums>& made, zs_call* call, const Progress& progress) {
  const int64_t n = layer.seq_len, chunks = round_up(to, kChunk) / kChunk;
  std::vector<Needs> wanted;  // what these rows count for
  std::vector<size_t> place;
  for (size_t i = 0; i < made.size(); ++i) {
    if (to <= n - made[i].needs.rows) continue;
    wanted.push_back(made[i].needs);
    place.push_back(i);
  }
  for (const auto& pass : passes(wanted)) {
    const bool by_query = wanted[pass[0]].by_query;
    const int32_t group = by_query ? 1 : cache.group(), share = by_query ? cache.group() : 1;
    const int64_t heads = by_query ? cache.config.heads : cache.config.kv_heads;
    sum_columns(cache, list, rows, to, group, heads * chunks, call, progress,
                [&](int64_t unit, ColumnsTask& task, Fade* fades) -> ColumnsPlace {
                  const int64_t of = unit / chunks, c = unit % chunks;
                  task.first = c * kChunk;
                  task.causal = true;
                  task.fade_count = static_cast<int32_t>(pass.size());
                  for (size_t i = 0; i < pass.size(); ++i) {
                    PromptSums& sums = made[place[pass[i]]];
                    fades[i] = {sums.needs.decay, std::max<int64_t>(n - sums.needs.rows, from),
                                sums.sums.data() + of * sums.stride + c * kChunk};
                  }
                  return {of * group, list.start[static_cast<size_t>(of / share)] + c};
                });
  }
}

void score_prompt(zs_cache& cache, int32_t index, Layer& made, const PromptSums* sums, zs_call* call) {
  const int32_t n = static_cast<int32_t>(made.seq_len), group = cache.group();
  const Policy& policy = *cache.policy;
  const bool by_query = sums && sums->needs.by_query;
  const bool scores = hook(policy, &PolicyHooks::score) != nullptr;
  if (sums || scores)
    cache.engine->run(cache.config.kv_heads, nullptr, [&](int64_t g, int thread) {
      Head& head = made.heads[static_cast<size_t>(g)];
      if (sums && !by_query) std::copy_n(sums->sums.data() + g * sums->stride, sums->stride, head.open().scores.data());
      if (!scores) return;
      HeadWork work = work_on(cache, head, index, static_cast<int32_t>(g), thread, 0, nullptr);
      work.sums = by_query ? sums->sums.data() + g * group * sums->stride : nullptr;
      work.sums_stride = sums ? sums->stride : 0;
      call_hook(&PolicyHooks::score, work, 0, n);
    });
  check_abort(call);
  const Policy* owner = nullptr;
  if (const auto allocate = hook(policy, &PolicyHooks::allocate, &owner)) {
    std::vector<HeadWork> works;
    for (int32_t g = 0; g < cache.config.kv_heads; ++g)
      works.push_back(work_on(cache, made.heads[static_cast<size_t>(g)], index, g, 0, 0, nullptr));
    for (HeadWork& work : works) work.policy = owner;
    allocate(works.data(), static_cast<int32_t>(works.size()));
  }
}

}  // namespace zs
