// One token through one layer: who reads what, attention, scores; core/extend.cpp makes room before and settles after. Included only by
// core/*.cpp.
#ifndef ZSLAB_CORE_STEP_H
#define ZSLAB_CORE_STEP_H

#include "core/reading.h"
#include "core/work.h"

namespace zs {

// A decode step that reads less than this is over well within the time an abort may take: it is not cut, and each head's upkeep follows
// its last chunk at once. Cannot change results.
constexpr int64_t kShortStepBytes = int64_t{32} << 20;

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

inline int64_t step_bytes(const zs_cache& cache, const Layer& layer) {
  return layer.slots() * cache.geometry().slot_bytes();
}
inline bool selects(const zs_cache& cache) { return hook(*cache.policy, &PolicyHooks::select) != nullptr; }

// For one token more than the layer holds, whoever will read what of it; may throw std::bad_alloc.
StepMemory step_memory(const zs_cache& cache, const Layer& layer);

// One token through one layer that has room for it, up to its scores. False: it was aborted, and nothing has changed. Where heads choose
// alone (`settled`), who stays is settled too, and where no hook allocates (no head fills up) only an abort can stop it.
bool step(zs_cache& cache, int32_t index, Layer& layer, StepMemory m, zs_view q, zs_view k, zs_view v, zs_view out,
          bool settled, const zs_call* call, const Progress& progress);

}  // namespace zs
#endif
