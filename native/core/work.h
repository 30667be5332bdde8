// What prefill and extend share: progress, scratch per thread, scores of a chunk's columns, events of heads onto the tape, bytes.
// Included only by core/*.cpp.
#ifndef ZSLAB_CORE_WORK_H
#define ZSLAB_CORE_WORK_H

#include <functional>

#include "core/cache.h"
#include "core/error.h"
#include "core/policy.h"

namespace zs {

// Counts units into call->done; threads may share it.
class Progress {
 public:
  Progress(zs_call* call, bool report, int64_t total) : call_(report ? call : nullptr) {
    if (call_) {
      call_->done = 0;
      call_->total = total;
    }
  }
  void one() const {
    if (call_) __atomic_fetch_add(&call_->done, 1, __ATOMIC_RELAXED);
  }

 private:
  zs_call* call_;
};

inline const volatile int32_t* abort_flag(const zs_call* call) { return call ? &call->abort : nullptr; }

// Scratch of every thread for hooks of this cache; throws std::bad_alloc.
inline void need_upkeep(const zs_cache& cache) {
  for (Upkeep& one : cache.engine->work.upkeep) {
    one.key.need(cache.config.head_dim);
    one.value.need(cache.config.head_dim);
    one.similarities.need(round_up(cache.resolved.residual, kLane));
  }
}

inline HeadWork work_on(const zs_cache& cache, Head& head, int32_t layer, int32_t kv_head, int thread, int32_t ring,
                        int64_t step, std::vector<Event>* events) {
  return {&head,
          &cache.config.policy,
          &cache.resolved,
          cache.engine->attention,
          &cache.engine->work.upkeep[static_cast<size_t>(thread)],
          layer,
          kv_head,
          step,
          ring,
          cache.config.trace ? events : nullptr};
}

// The heads' events in order of heads; on failure the tape is as it was.
void to_tape(zs_cache& cache, const std::vector<std::vector<Event>>& events);

// Adds up a layer's bytes and raises the peak.
int64_t layer_bytes(const Layer& layer);
void count_bytes(zs_cache& cache, Layer& layer);

// Rows of queries with their statistics, as attention left them.
struct ScoredRows {
  const float* q;  // of head 0, row 0
  int64_t q_head, q_row;
  const float *highest, *inverse;  // of head 0, row 0
  int64_t stat_stride;
};

// Units of row_blocks(tokens) per kv head: the rows of a prompt or chunk over `pages` ([kv_heads][chunks], those from first_causal on hold the
// rows' own tokens), and of every row [heads][tokens] its highest logit and 1 / sum of exp.
int64_t row_blocks(const zs_cache& cache, int64_t tokens);
void attend_rows(zs_cache& cache, const std::vector<KeyChunk>& pages, int32_t first_causal, zs_view q, int64_t tokens,
                 zs_view out, float* highest, float* inverse, zs_call* call, const Progress& progress);

// Decayed column sums of rows [from, to), a unit for each of heads x chunks; `place` names its keys (chunk, first, causal) and where the
// sums go (acc). The rest of the task is filled in here.
void sum_columns(zs_cache& cache, const ScoredRows& rows, int64_t from, int64_t to, int64_t heads, int64_t chunks,
                 zs_call* call, const Progress& progress,
                 const std::function<void(int64_t g, int32_t c, ColumnsTask& task)>& place);

// Scores of a prompt: for each head and chunk the decayed column sums of rows [from, to).
void score_prompt(zs_cache& cache, std::vector<Head>& heads, const ScoredRows& rows, int64_t from, int64_t to,
                  zs_call* call, const Progress& progress);

// The end of a prompt: compresses all heads where they hold more than the budget, and notes who was admitted. Fills events, sets ring.
void finish_prompt(zs_cache& cache, int32_t layer, Layer& made, std::vector<std::vector<Event>>& events, zs_call* call,
                   const Progress& progress);

}  // namespace zs
#endif
