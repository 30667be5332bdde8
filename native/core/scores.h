// What each slot was worth, step by step: the policy's own score of it and the probability that the step's query gave it. For inspection
// alone: no policy reads it, and a cache's bytes leave it out.
#ifndef ZSLAB_CORE_SCORES_H
#define ZSLAB_CORE_SCORES_H

#include <memory>
#include <vector>

#include "core/buffer.h"
#include "zslab/record.h"

namespace zs {

struct Layer;
struct PageList;
struct ScoredRows;

struct ScorePlan {
  std::vector<std::vector<int32_t>> heads;  // of each layer: the kv heads whose scores are kept
  int64_t every = 1, most_bytes = 0;
};

// One call's last row in one layer: of each kept kv head the slots that it read, its own token's the last, before anybody leaves.
struct ScoreBlock {
  int32_t first = 0, position = 0, step = 0;  // where the call's tokens began, and its last row
  std::vector<int64_t> start;                 // [kept heads + 1]
  Buffer data;                                // scores of all, then probabilities of all
  int64_t bytes() const { return start.back() * 8; }
  int64_t slots(size_t place) const { return start[place + 1] - start[place]; }
  float* scores(size_t place) { return data.data() + start[place]; }
  float* probabilities(size_t place) { return data.data() + start.back() + start[place]; }
  const float* scores(size_t place) const { return data.data() + start[place]; }
  const float* probabilities(size_t place) const { return data.data() + start.back() + start[place]; }
};

// One layer's, in order; copies share blocks, which never change once they are in.
struct ScoreLog {
  std::vector<std::shared_ptr<const ScoreBlock>> blocks;
  std::shared_ptr<ScoreBlock> next;  // made beforehand, for a call that cannot fail on the way
  int64_t bytes = 0;

  void reserve() {
    if (blocks.size() == blocks.capacity()) blocks.reserve(2 * blocks.size() + 16);
  }
  void commit();              // what `next` has is done; needs reserve(), never throws
  void forget(int64_t from);  // rows at positions from `from` on; never throws
};

// `next` of the layer for the `tokens` tokens that come in one call, nullptr where nothing is kept of it; `arrived` of them stand in its
// heads already. Throws a sentence where that would be more than may be kept.
void score_next(const zs_cache& cache, int32_t index, Layer& layer, int64_t tokens, int64_t arrived = 0);
// Nothing more than may be kept: what the layers have, and one more token in each.
bool scores_fit(const zs_cache& cache);
// Where a kv head's lie in the layer's blocks; −1: nowhere.
int32_t score_place(const zs_cache& cache, int32_t index, int64_t kv_head);
// The scores of the head's slots as they stand, and of what waits for it, to `next`; NaN where the policy keeps none at that step.
void note_scores(const zs_cache& cache, int32_t index, Layer& layer, int64_t kv_head);
// The probabilities that the last of `to` rows gives to the slots of `list`, to `next`.
void note_last_row(zs_cache& cache, int32_t index, Layer& layer, const PageList& list, const ScoredRows& rows,
                   int64_t to, zs_call* call);

}  // namespace zs
#endif
