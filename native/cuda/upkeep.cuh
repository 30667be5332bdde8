// A block a kv head. First what the chunks gave is put together, then every thread brings its slots' scores up to date and keeps the least
// that it saw; the block finds the least of all, and compares its key with those of merged slots, which go through shared memory: read
// straight from device memory in serial chains they would cost half as much again (docs/cuda.md). The first of them are on their way from the
// start. At last each thread has a dim of all slots that are merged or moved, so that none waits for another.
#ifndef ZSLAB_CUDA_UPKEEP_CUH
#define ZSLAB_CUDA_UPKEEP_CUH

#include "core/natural_log.h"
#include "cuda/exact.h"
#include "cuda/merge.cuh"
#include "cuda/merging.cuh"
#include "cuda/storage.h"
#include "cuda/tuning.h"
#include "cuda/upkeep.h"

namespace zs::cuda {

struct UpkeepLayout : AlikeLayout {
  UpkeepTask* task;  // in registers it would crowd out others
  float* inverse;
  template <class Shared>
  __host__ __device__ UpkeepLayout(Shared& shared, int group, int d) : AlikeLayout(shared, d) {
    task = shared.template take<UpkeepTask>(1);
    inverse = shared.template take<float>(group);
  }
};

// A head's slots: merged ones, then those of the open segment, by whose numbers all below goes.
struct Slots {
  int merged, open;
  int from, to;  // may leave
  bool leave, merge;
  __device__ __forceinline__ Slots(const UpkeepTask& task, const UpkeepShape& shape) {
    const auto of = [&](int first, int count) {
      return count > 0 ? (count - 1) * kChunk + task.chunks[first + count - 1].chunk.slots : 0;
    };
    merged = of(0, task.merged);
    open = of(task.merged, task.attention.chunks - task.merged);
    from = task.from - merged;
    to = task.to - merged;
    leave = shape.part != UpkeepPart::kScores && from < to;
    merge = leave && merged > 0;
  }
};

// Where a slot's key and value lie, and its score.
template <class Storage>
struct Place : SlotPlace<Storage> {
  float* score;
  __device__ __forceinline__ Place(const UpkeepTask& task, int first_chunk, int slot, int d)
      : SlotPlace<Storage>(task.chunks[first_chunk + slot / kChunk].chunk, slot % kChunk, d),
        score(task.chunks[first_chunk + slot / kChunk].score + slot % kChunk) {}
};

__device__ inline bool is_pinned(const UpkeepTask& task, int slot) {
  if (task.pin_count == 0) return false;
  const int32_t position = task.positions[slot];
  int low = 0;
  for (int high = task.pin_count; low < high;) {
    const int middle = (low + high) / 2;
    if (task.pins[middle] < position)
      low = middle + 1;
    else
      high = middle;
  }
  return low < task.pin_count && task.pins[low] == position;
}

// Slots of one thread in their order, so that of equals the first stays: the least, and the least of the others. Not-a-number is passed over.
struct Least {
  Best best = {0, -1};
  float next = infinity();
  __device__ __forceinline__ void see(float value, int slot) {
    if (value != value) return;
    if (best.place >= 0 && !(value < best.value)) {
      next = smaller_of(value, next);
      return;
    }
    if (best.place >= 0) next = smaller_of(best.value, next);
    best = {value, slot};
  }
};

// s <- decay s + the probabilities of the group, and the least of those that may leave.
__device__ inline Least update_scores(const UpkeepTask& task, const UpkeepShape& shape, const Slots& slots) {
  Least least;
  const bool keeps = shape.part != UpkeepPart::kLeaving && shape.scores, chooses = slots.leave && !shape.by_age;
  if (!keeps && !chooses) return least;
  int first = -slots.merged;
  for (int c = 0; c < task.attention.chunks; ++c) {
    const UpkeepChunk chunk = task.chunks[c];
    const float* const factor = task.attention.factor + c * shape.group;
    for (int i = static_cast<int>(threadIdx.x); i < chunk.chunk.slots; i += kUpkeepThreads) {
      const int slot = first + i;
      const bool may = chooses && slot >= slots.from && slot < slots.to && !is_pinned(task, slot);
      float score = 0;
      if (keeps) {
        float p = 0;
        for (int g = 0; g < shape.group; ++g) p = fmaf(chunk.e[g * chunk.e_stride + i], factor[g], p);
        score = chunk.score[i] = fmaf(shape.decay, chunk.score[i], p);
      } else if (may) {
        score = chunk.score[i];
      }
      if (may) least.see(task.choice ? task.choice[slot] : score, slot);
    }
    first += chunk.chunk.slots;
  }
  return least;
}

// Where none of those that may leave has a score that is a number: the first after the last pinned one that others follow.
__device__ inline int last_free_run(const UpkeepTask& task, const Slots& slots) {
  if (task.pin_count == 0) return slots.from;
  int slot = slots.to - 1;
  while (slot > slots.from && is_pinned(task, slot)) --slot;
  while (slot > slots.from && !is_pinned(task, slot - 1)) --slot;
  return slot;
}

__device__ inline int oldest(const UpkeepLayout& at, const UpkeepTask& task, const Slots& slots) {
  int mine = -1;
  for (int slot = slots.from + static_cast<int>(threadIdx.x); slot < slots.to; slot += kUpkeepThreads)
    if (!is_pinned(task, slot) && (mine < 0 || task.positions[slot] < task.positions[mine])) mine = slot;
  return best_of_block(at, {0, mine}, [&](Best a, Best b) { return task.positions[a.place] < task.positions[b.place]; })
      .place;
}

// Who leaves, and the least finite score of those that stay.
struct Leaving {
  int slot;
  float threshold;
};
__device__ inline Leaving who_leaves(const UpkeepLayout& at, const UpkeepTask& task, const UpkeepShape& shape,
                                     const Slots& slots, const Least& mine) {
  if (shape.by_age) return {oldest(at, task, slots), not_a_number()};
  const auto smaller = [](Best a, Best b) { return a.value == b.value ? a.place < b.place : a.value < b.value; };
  const Best least = best_of_block(at, mine.best, smaller);
  const int leaving = least.place < 0 ? last_free_run(task, slots) : least.place;
  if (!shape.told || task.choice) return {leaving, not_a_number()};
  __syncthreads();
  const bool own = mine.best.place < 0 || mine.best.place == leaving;
  const float next = best_of_block(at, {own ? mine.next : mine.best.value, 0}, smaller).value;
  return {leaving, next - next == 0.0f ? next : not_a_number()};
}

__device__ __forceinline__ void fetch_keys(const UpkeepLayout& at, const UpkeepTask& task, const Slots& slots, int d,
                                           int first) {
  const auto* const keys = static_cast<const float*>(task.chunks[first / kChunk].chunk.keys);
  fetch_keys(at, keys + first % kChunk / kLane * kLane * d, first, slots.merged, d);
}

// One token, whose key is at.key, into a merged slot.
template <class Storage>
__device__ void merge_slots(const UpkeepLayout& at, const UpkeepShape& shape, const Place<F32>& into, float weight,
                            const Place<Storage>& leaving) {
  const int t = static_cast<int>(threadIdx.x), d = shape.d;
  const Joining joining(shape.merging, weight, *into.score, *leaving.score);
  if (joining.stays) return;
  for (int dim = t; dim < d; dim += kUpkeepThreads) {
    const float key = at.key[dim], value = Storage::value(leaving.row, dim);
    if (!shape.merging.keys_fixed) into.key(dim) = joining.of(into.key(dim), key);
    if (!shape.merging.values_fixed) into.row[dim] = joining.of(into.row[dim], value);
  }
}

// Each thread the dims that it has.
template <class Storage>
__device__ __forceinline__ void copy_slot(const Place<Storage>& from, const Place<Storage>& to, int d) {
  const int t = static_cast<int>(threadIdx.x), padded = static_cast<int>(round_up(d, kLane));
  for (int dim = t; dim < padded; dim += kUpkeepThreads) {
    if (dim < d) to.key(dim) = from.key(dim);
    to.row[dim] = from.row[dim];
  }
}

// By a block: a kv head, whose task lies in at.task for all to see.
template <class Storage>
__device__ __forceinline__ void upkeep_head(const UpkeepLayout& at, const UpkeepShape& shape) {
  const int t = static_cast<int>(threadIdx.x), d = shape.d;
  const UpkeepTask& task = *at.task;
  const Slots slots(task, shape);
  if (slots.merge) fetch_keys(at, task, slots, d, 0);

  if (shape.part != UpkeepPart::kLeaving) {
    merge_head<kUpkeepThreads>(task.attention, shape.group, d, at.inverse);
    __syncthreads();
  }
  const Least mine = update_scores(task, shape, slots);
  const Place<Storage> newest(task, task.merged, slots.open - 1, d);
  Found found = {-1, -1, 0, not_a_number(), not_a_number(), not_a_number(), not_a_number(), not_a_number()};
  if (!slots.leave) {
    __syncthreads();
    if (t || !task.found || shape.part == UpkeepPart::kScores) return;
    found.newest = *newest.score;
    *task.found = found;
    return;
  }

  const Leaving leaving = who_leaves(at, task, shape, slots, mine);
  const Place<Storage> place(task, task.merged, leaving.slot, d);
  if (slots.merge) {
    for (int dim = t; dim < d; dim += kUpkeepThreads) at.key[dim] = Storage::key(place.tile, dim, place.lane);
    __syncthreads();
    const Best target = most_alike(at, slots.merged, d, shape.merging.similarity,
                                   [&](int first) { fetch_keys(at, task, slots, d, first); });
    found.target = target.place;
    found.similarity = target.value;
  }
  const Place<F32> into(task, 0, max(found.target, 0), d);
  const float weight = slots.merge ? task.weights[found.target] : 0;
  if (slots.merge) merge_slots(at, shape, into, weight, place);
  // The newest token's slot to be: the ring's oldest leaves it for the place of who left.
  const int freed = task.ring ? *task.ring - slots.merged : leaving.slot;
  const Place<Storage> free_place(task, task.merged, freed, d);
  if (task.ring) copy_slot(free_place, place, d);
  if (freed != slots.open - 1) copy_slot(newest, free_place, d);
  __syncthreads();

  if (t) return;
  found.leaving = leaving.slot;
  found.newest = *newest.score;
  found.score = *place.score;
  found.threshold = leaving.threshold;
  if (slots.merge) {
    found.target_score = *into.score;
    *into.score = joined_score(shape.merging, *into.score, found.score);
    const double more = static_cast<double>(weight) + 1;
    task.weights[found.target] = static_cast<float>(more);
    task.bias[found.target] = static_cast<float>(static_cast<double>(shape.alpha) * natural_log(more));
  }
  if (task.ring) {
    found.leaver = *free_place.score;
    *place.score = found.leaver;
    task.positions[leaving.slot] = task.positions[freed];
    *task.ring = *task.ring + 1 < task.ring_end ? *task.ring + 1 : task.ring_first;
  }
  *free_place.score = found.newest;
  task.positions[freed] = task.positions[slots.open - 1];
  *newest.score = 0;
  --task.chunks[task.attention.chunks - 1].chunk.slots;
  --task.last->chunk.slots;
  if (task.found) *task.found = found;
}

}  // namespace zs::cuda
#endif
