// What prefill and extend share: progress, scratch per thread, scores of a chunk's columns, events of heads onto the tape, bytes.
// Included only by core/*.cpp.
#ifndef ZSLAB_CORE_WORK_H
#define ZSLAB_CORE_WORK_H

#include <algorithm>
#include <functional>

#include "core/cache.h"
#include "core/error.h"
#include "core/policy.h"

namespace zs {

class DevicePrompt;  // core/device_prompt.h

// Counts units into call->done; threads may share it.
class Progress {
 public:
  Progress(zs_call* call, bool report, int64_t total) : call_(report ? call : nullptr) {
    if (call_) {
      __atomic_store_n(&call_->done, 0, __ATOMIC_RELAXED);
      __atomic_store_n(&call_->total, total, __ATOMIC_RELAXED);
    }
  }
  void one() const { more(1); }
  void more(int64_t units) const {
    if (call_) __atomic_fetch_add(&call_->done, units, __ATOMIC_RELAXED);
  }

 private:
  zs_call* call_;
};

inline const volatile int32_t* abort_flag(const zs_call* call) { return call ? &call->abort : nullptr; }

// Scratch of every thread for hooks of heads with at most so many merged slots; throws std::bad_alloc.
inline void need_upkeep(const zs_cache& cache, const Layer& layer) {
  int32_t residual = 0;
  for (const Head& head : layer.heads) residual = std::max(residual, head.sizes.residual);
  for (Upkeep& one : cache.engine->work.upkeep) {
    one.key.need(cache.config.head_dim);
    one.value.need(cache.config.head_dim);
    one.similarities.need(round_up(residual, kLane));
  }
}

inline HeadWork work_on(const zs_cache& cache, Head& head, int32_t layer, int32_t kv_head, int thread, int64_t step,
                        std::vector<Event>* events) {
  const bool scored = cache.needs.scores || hook(*cache.policy, &PolicyHooks::score);
  HeadWork work{&head,
                cache.policy.get(),
                cache.engine->attention,
                &cache.engine->work.upkeep[static_cast<size_t>(thread)],
                layer,
                cache.config.layers,
                kv_head,
                cache.group(),
                step,
                false,
                scored && (step == 0 || cache.needs.upkeep),
                head.open().scores.data(),
                nullptr,
                0,
                cache.config.trace ? events : nullptr};
  if (cache.constants) work.constants = (*cache.constants)[static_cast<size_t>(layer)].get();
  return work;
}

// What a policy owns its hooks by: work.policy is the owner of the hook that is called.
template <class F, class... More>
auto call_hook(F PolicyHooks::* which, HeadWork& work, More&&... more) {
  const Policy* const whole = work.policy;
  const auto f = hook(*whole, which, &work.policy);
  struct Back {
    HeadWork& work;
    const Policy* whole;
    ~Back() { work.policy = whole; }
  } back{work, whole};
  return f(work, more...);
}

inline bool takes(const zs_cache& cache) { return hook(*cache.policy, &PolicyHooks::take) != nullptr; }
// Of work's head, `count` rows of k and v as the policy takes them: keys [count][d], and at `values` as many values.
inline void take_rows(HeadWork& work, zs_view k, zs_view v, int64_t count, float* keys, float* values) {
  const int64_t d = work.head->open().pages.geometry().d;
  const float *const key = k.data + work.kv_head * k.head_stride, *const value = v.data + work.kv_head * v.head_stride;
  for (int64_t t = 0; t < count; ++t) {
    std::copy_n(key + t * k.row_stride, d, keys + t * d);
    std::copy_n(value + t * v.row_stride, d, values + t * d);
  }
  call_hook(&PolicyHooks::take, work, keys, values, count);
}

// Rows of k and v, as the policy takes them, into slots [first, …) of work's head or of what waits for it; `scratch`: take_floats, where the
// policy takes.
inline int64_t take_floats(const zs_cache& cache) {
  return takes(cache) ? 2 * int64_t{kChunk} * cache.config.head_dim : 0;
}
inline void write_rows(HeadWork& work, Pages& to, zs_view k, zs_view v, int32_t first, int32_t count, float* scratch) {
  if (!hook(*work.policy, &PolicyHooks::take)) {
    to.write_rows(k.data + work.kv_head * k.head_stride, k.row_stride, v.data + work.kv_head * v.head_stride,
                  v.row_stride, first, count);
    return;
  }
  const int64_t d = to.geometry().d;
  take_rows(work, k, v, count, scratch, scratch + kChunk * d);
  to.write_rows(scratch, d, scratch + kChunk * d, d, first, count);
}

// The policy's `choose`, where it has one.
inline void choose(const zs_cache& cache, HeadWork* works, int32_t count) {
  const Policy* owner = nullptr;
  const auto f = hook(*cache.policy, &PolicyHooks::choose, &owner);
  if (!f) return;
  for (int32_t i = 0; i < count; ++i) works[i].policy = owner;
  f(works, count);
  for (int32_t i = 0; i < count; ++i) works[i].policy = cache.policy.get();
}

// The heads' events in order of heads; on failure the tape is as it was.
void to_tape(zs_cache& cache, const std::vector<std::vector<Event>>& events);

// Adds up a layer's bytes and raises the peak.
int64_t layer_bytes(const Layer& layer);
void count_bytes(zs_cache& cache, Layer& layer);

// Of every row and head, at [head * stride + row], its highest logit and 1 / sum of exp.
struct RowStatistics {
  float *highest, *inverse;
  int64_t stride;
};

// Rows of queries with their statistics, as attention left them.
struct ScoredRows {
  const float* q;  // of head 0, row 0
  int64_t q_head, q_row;
  const float *highest, *inverse;  // of head 0, row 0
  int64_t stat_stride;
  DevicePrompt* there = nullptr;  // who has the same on a device
};
// The kept ones, counted from the prompt's start.
inline ScoredRows scored_rows(const KeptQueries& kept, int64_t d) {
  return {kept.q.data() - kept.from * d,   kept.rows * d, d,      kept.highest.data() - kept.from,
          kept.inverse.data() - kept.from, kept.rows,     nullptr};
}

// Chunks of slots of every kv head, head after head; each may have another number of them.
struct PageList {
  std::vector<KeyChunk> pages;
  std::vector<int64_t> start;         // [kv_heads + 1]
  std::vector<int32_t> first_causal;  // [kv_heads]: from this chunk on they hold the rows' own tokens
  void end_head(int32_t causal) {
    start.push_back(static_cast<int64_t>(pages.size()));
    first_causal.push_back(causal);
  }
};
PageList prompt_list(const Layer& layer);  // of a prompt's tokens alone

// Units of row_blocks(tokens) per kv head: rows of a prompt or chunk over `list`, with their statistics. `from`: which of the list's own
// tokens the first row is. A query that is not a number makes its row's output, and what comes of it, not a number, and is told in `bad`
// (`first`: position of the first row). `there`: who has the queries and the list's chunks on a device; nullptr = the CPU does it.
int64_t row_blocks(const zs_cache& cache, int64_t tokens);
void attend_rows(zs_cache& cache, const PageList& list, zs_view q, int64_t from, int64_t tokens, zs_view out,
                 const RowStatistics& statistics, zs_call* call, const Progress& progress, int32_t layer, int64_t first,
                 BadQuery* bad, DevicePrompt* there);

// The view from its row `row` on.
inline zs_view from_row(const zs_view& view, int64_t row) {
  return {view.data + row * view.row_stride, view.head_stride, view.row_stride};
}

// True where all of `q` [d] is finite.
inline bool is_finite(const float* q, int32_t d) {
  float zero = 0;
  for (int32_t i = 0; i < d; ++i) zero += q[i] * 0;
  return zero == 0;
}

// Faded column sums of rows up to `to`, a unit for each of `units` (chunks of heads of `group` query heads); `place` names for each its
// first query head and the chunk of the list, and fills in whose rows see it (first, causal) and its fades (at most kMostFades). The rest of
// the task is filled in here.
constexpr int32_t kMostFades = 8;
struct ColumnsPlace {
  int64_t head, chunk;
};
void sum_columns(zs_cache& cache, const PageList& list, const ScoredRows& rows, int64_t to, int32_t group,
                 int64_t units, zs_call* call, const Progress& progress,
                 const std::function<ColumnsPlace(int64_t unit, ColumnsTask& task, Fade* fades)>& place);

// A prompt's column sums in one layer as a policy needs them: [kv_heads or, by_query, heads][stride].
struct PromptSums {
  Needs needs;
  int64_t stride = 0;
  Buffer sums;
};
inline bool same_sums(const Needs& a, const Needs& b) {
  return a.scores == b.scores && a.by_query == b.by_query && a.decay == b.decay && a.rows == b.rows;
}
// Of each of `wanted`, in as few passes over the rows as can be. Units: those of sum_units.
int64_t sum_units(const zs_cache& cache, const std::vector<Needs>& wanted, int64_t tokens);
std::vector<PromptSums> no_sums(const zs_cache& cache, const std::vector<Needs>& wanted, int64_t tokens);
// Rows [from, to) of `layer`'s prompt, which follow those that are in `sums`. Units for the prompt's last rows: those of sum_units.
void add_rows(zs_cache& cache, const Layer& layer, const PageList& list, const ScoredRows& rows, int64_t from,
              int64_t to, std::vector<PromptSums>& sums, zs_call* call, const Progress& progress);

// Gives a prompt in one layer its scores, from the sums that its policy needs (nullptr: it needs none, or the scores are there already),
// and has the policy make its own of them and share out its slots.
void score_prompt(zs_cache& cache, int32_t index, Layer& made, const PromptSums* sums, zs_call* call);

// Tokens may leave whenever the cache is full.
inline bool acts_always(const zs_cache& cache) { return cache.needs.acts == ZS_ACTS_ALWAYS; }
// Room and pages of its own for one more token; throws std::bad_alloc.
void reserve_token(const zs_cache& cache, Head& head);
// Gives the newest token, and only it, a score of the policy's own.
void score_newest(const zs_cache& cache, HeadWork& work);
// The newest token of each of `works`, which choose together, has had its attention: it stays, or somebody leaves.
void enter(zs_cache& cache, HeadWork* works, int32_t count);
// `count` layers from number `index` on, settled together: their newest tokens, or the tokens that wait, one after another.
void settle_token(zs_cache& cache, int32_t index, Layer* layers, int32_t count);
void settle_chunk(zs_cache& cache, int32_t index, Layer* layers, int32_t count, zs_call* call);

// The policy's `across`, where it has one and `index` is not the first layer: `here` and `below` it are settled. `step` as of HeadWork;
// throws for a prompt alone, after it nothing where cross_reserve has made room, and `events` has it: [kv_heads][below, here].
void cross(zs_cache& cache, int32_t index, Layer& below, Layer& here, int64_t step, int32_t fresh,
           std::vector<Event>* events);
void cross_reserve(Layer& below, Layer& here, int32_t fresh);
inline bool crosses(const zs_cache& cache, int32_t index) {
  return index > 0 && hook(*cache.policy, &PolicyHooks::across);
}

// The end of a prompt in `layers` (one; granularity model: all of them), of which the first is number `index`: heads that hold more than
// their budget are compressed, and who was admitted is noted in `events`, by layer and head. A unit for each head.
void finish_prompt(zs_cache& cache, int32_t index, std::vector<Layer>& layers, std::vector<std::vector<Event>>& events,
                   zs_call* call, const Progress& progress);

// Sums of the open segments' scores of `count` heads that hold the same positions: what their choices go by.
const float* summed_scores(zs_cache& cache, HeadWork* works, int32_t count);

}  // namespace zs
#endif
