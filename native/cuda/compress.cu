// Who stays: a block for kRunStage slots, each thread the same lane of all tiles. Runs: a block a merged slot and kRunDims dims, in which half of
// the threads add up a dim of keys each, token after token, from tiles in shared memory, and half a dim of values. By similarity: a block a kv
// head, since each token's slot follows from all before it; the first merged slots' keys stay in shared memory where that is all of them.
#include "cuda/compress.h"
#include "cuda/exact.h"
#include "cuda/merging.cuh"
#include "cuda/storage.h"
#include "cuda/tuning.h"

namespace zs::cuda {
namespace {

static_assert(kCompressThreads == 2 * kRunDims && kRunStage <= kRunDims && kChunk % kRunStage == 0, "a run's blocks");
static_assert(kCompressThreads % kLane == 0, "a thread has one lane of all tiles");

template <class Storage>
__device__ __forceinline__ SlotPlace<Storage> place_of(const KeyChunk* chunks, int slot, int d) {
  return SlotPlace<Storage>(chunks[slot / kChunk], slot % kChunk, d);
}

__device__ __forceinline__ int kept_token(const CompressTask& task, int slot) {
  const int chosen = slot - task.sink;
  if (chosen < 0) return slot;
  return chosen < task.context ? task.best[chosen] : task.count - task.recent + chosen - task.context;
}

template <class Storage>
struct KeepLayout {
  using Element = typename Storage::Element;
  // Of each slot: where it comes from and goes.
  const Element **from_tile, **from_row;
  Element **to_tile, **to_row;
  template <class Shared>
  __host__ __device__ explicit KeepLayout(Shared& shared) {
    from_tile = shared.template take<const Element*>(kRunStage);
    from_row = shared.template take<const Element*>(kRunStage);
    to_tile = shared.template take<Element*>(kRunStage);
    to_row = shared.template take<Element*>(kRunStage);
  }
};

template <class Storage>
__global__ void __launch_bounds__(kCompressThreads) keep_slots(const CompressTask* tasks, int d) {
  const CompressTask& task = tasks[blockIdx.y];
  const int t = static_cast<int>(threadIdx.x), first = static_cast<int>(blockIdx.x) * kRunStage;
  const int slots = min(task.sink + task.context + task.recent - first, kRunStage);
  gpu::Shared shared;
  const KeepLayout<Storage> at(shared);
  if (t < slots) {
    const auto from = place_of<Storage>(task.tokens, kept_token(task, first + t), d);
    const auto to = place_of<Storage>(task.open, first + t, d);
    at.from_tile[t] = &from.key(0);
    at.from_row[t] = from.row;
    at.to_tile[t] = &to.key(0);
    at.to_row[t] = to.row;
  }
  __syncthreads();
  for (int slot = t % kLane; slot < slots; slot += kLane) {
    const auto* const from = at.from_tile[slot];
    auto* const to = at.to_tile[slot];
    for (int dim = t / kLane; dim < d; dim += kCompressThreads / kLane)
      to[Storage::key_at(dim, 0)] = from[Storage::key_at(dim, 0)];
  }
  constexpr int kWarp = 32, kWords = sizeof(float2) / sizeof(typename Storage::Element);
  const int words = static_cast<int>(round_up(d, kLane)) / kWords;
  for (int slot = t / kWarp; slot < slots; slot += kCompressThreads / kWarp) {
    const auto* const from = reinterpret_cast<const float2*>(at.from_row[slot]);
    auto* const to = reinterpret_cast<float2*>(at.to_row[slot]);
    for (int word = t % kWarp; word < words; word += kWarp) to[word] = from[word];
  }
}

struct RunLayout {
  float *keys, *scores;  // tile by tile; of each token of the stage that the run has
  int* tokens;           // those; kNone behind them
  static constexpr int kNone = 0x7fffffff;
  template <class Shared>
  __host__ __device__ explicit RunLayout(Shared& shared) {
    keys = shared.template take<float>(kRunStage * kRunDims);
    scores = shared.template take<float>(kRunStage);
    tokens = shared.template take<int>(kRunStage);
  }
  // Lanes of a dim change places, so that a warp that reads one lane of 32 dims has each in a bank of its own.
  __device__ __forceinline__ float& key(int slot, int dim) const {
    return keys[(slot / kLane * kRunDims + dim) * kLane + (slot % kLane ^ dim / 2 % kLane)];
  }
};

// Tokens of `task.rest` from `next` on that lie in the kRunStage from `base` on, with keys of dims [first_dim, first_dim + dims).
template <class Storage>
__device__ void stage_run(const RunLayout& at, const CompressTask& task, const KeyChunk& chunk, int base, int next,
                          int end, int first_dim, int dims, int d) {
  const int t = static_cast<int>(threadIdx.x);
  if (t < kRunStage) {
    const int token = next + t < end ? task.rest[next + t] : RunLayout::kNone;
    const bool there = token < base + kRunStage;
    at.tokens[t] = there ? token : RunLayout::kNone;
    if (there) at.scores[t] = task.scores[token];
  }
  const int last = min(base + kRunStage, task.rest[end - 1] + 1);
  for (int tile = task.rest[next] / kLane * kLane; tile < last; tile += kLane) {
    const SlotPlace<Storage> from(chunk, tile % kChunk, d);
    for (int i = t; i < dims * kLane; i += kCompressThreads)
      at.key(tile - base + i % kLane, i / kLane) = Storage::key(from.tile, first_dim + i / kLane, i % kLane);
  }
}

template <class Storage>
__global__ void __launch_bounds__(kCompressThreads, kRunBlocks)
    merge_run(const CompressTask* tasks, CompressShape shape) {
  const CompressTask task = tasks[blockIdx.y];
  const int t = static_cast<int>(threadIdx.x), d = shape.d, j = static_cast<int>(blockIdx.x);
  if (j >= task.residual) return;
  gpu::Shared shared;
  const RunLayout at(shared);
  const int share = task.rest_count / task.residual, longer = task.rest_count % task.residual;
  const int begin = j * share + min(j, longer), end = begin + share + (j < longer);
  const int first_dim = static_cast<int>(blockIdx.z) * kRunDims, dims = min(d - first_dim, kRunDims);
  const bool is_key = t < kRunDims, mine = t % kRunDims < dims;
  const int dim = first_dim + t % kRunDims;
  const bool by_score = shape.merging.aggregate == Aggregate::kScore;

  double sum = 0;
  float score = 0;  // of those so far
  Best best = {0, -1};
  for (int next = begin; next < end;) {
    const int base = task.rest[next] / kRunStage * kRunStage;
    const KeyChunk chunk = task.tokens[base / kChunk];
    stage_run<Storage>(at, task, chunk, base, next, end, first_dim, dims, d);
    __syncthreads();
    int k = 0;
    for (; k < kRunStage && at.tokens[k] != RunLayout::kNone; ++k) {
      if (!mine) continue;
      const int token = at.tokens[k];
      const float own = at.scores[k];
      const double x = static_cast<double>(
          is_key ? at.key(token - base, t) : Storage::value(SlotPlace<Storage>(chunk, token % kChunk, d).row, dim));
      const int before = next + k - begin;
      if (by_score) {
        const double all = static_cast<double>(score), total = all + static_cast<double>(own),
                     w = static_cast<double>(before);
        const double part = before == 0 ? 0.0 : total != 0 ? all / total : w / (w + 1);
        sum = part * sum + (1 - part) * x;
      } else {
        sum = sum + x;
      }
      if (best.place < 0 || (!shape.by_age && own > best.value)) best = {own, token};
      score = before ? joined_score(shape.merging, score, own) : own;
    }
    next += k;
    __syncthreads();
  }
  if (!mine) return;
  const auto from = place_of<Storage>(task.tokens, best.place, d);
  const auto to = place_of<F32>(task.merged, j, d);
  float mean = static_cast<float>(sum / (by_score ? 1.0 : static_cast<double>(end - begin)));
  if (shape.merging.aggregate == Aggregate::kMedoid || (is_key ? shape.merging.keys_fixed : shape.merging.values_fixed))
    mean = is_key ? Storage::key(from.tile, dim, from.lane) : Storage::value(from.row, dim);
  if (is_key)
    to.key(dim) = mean;
  else
    to.row[dim] = mean;
}

// Seeds in order of position, each a merged slot.
template <class Storage>
__device__ void seed_slots(const CompressTask& task, int d) {
  const int t = static_cast<int>(threadIdx.x);
  for (int i = t; i < task.residual; i += kCompressThreads) {
    int before = 0;
    for (int other = 0; other < task.residual; ++other) before += task.seeds[other] < task.seeds[i];
    task.order[before] = task.seeds[i];
  }
  __syncthreads();
  for (int j = t; j < task.residual; j += kCompressThreads) {
    task.seeds[j] = task.order[j];
    task.weights[j] = 1;
    task.merged_scores[j] = task.scores[task.order[j]];
  }
  for (int j = 0; j < task.residual; ++j) {
    const auto from = place_of<Storage>(task.tokens, task.order[j], d);
    const auto to = place_of<F32>(task.merged, j, d);
    for (int dim = t; dim < d; dim += kCompressThreads) {
      to.key(dim) = Storage::key(from.tile, dim, from.lane);
      to.row[dim] = Storage::value(from.row, dim);
    }
  }
  __syncthreads();
}

template <class Storage>
__global__ void __launch_bounds__(kCompressThreads, kAlikeBlocks)
    merge_most_alike(const CompressTask* tasks, CompressShape shape, int begin, int end) {
  const CompressTask task = tasks[blockIdx.x];
  const int t = static_cast<int>(threadIdx.x), d = shape.d, merged = task.residual;
  if (!merged) return;
  gpu::Shared shared;
  const AlikeLayout at(shared, d);
  if (begin == 0) seed_slots<Storage>(task, d);
  const auto fetch = [&](int first) {
    const auto* const keys = static_cast<const float*>(task.merged[first / kChunk].keys);
    fetch_keys(at, keys + first % kChunk / kLane * kLane * d, first, merged, d);
  };
  end = min(end, task.rest_count);
  if (begin >= end) return;
  const bool stay = merged <= kMergingStage;  // keys in shared memory
  if (stay) fetch(0);
  for (int i = begin; i < end; ++i) {
    const int token = task.rest[i];
    const auto from = place_of<Storage>(task.tokens, token, d);
    if (!stay) fetch(0);
    for (int dim = t; dim < d; dim += kCompressThreads) at.key[dim] = Storage::key(from.tile, dim, from.lane);
    __syncthreads();
    const Best target = most_alike(at, merged, d, shape.merging.similarity, fetch);
    const auto into = place_of<F32>(task.merged, target.place, d);
    const float own = task.merged_scores[target.place], score = task.scores[token];
    const Joining joining(shape.merging, task.weights[target.place], own, score);
    for (int dim = t; dim < d && !joining.stays; dim += kCompressThreads) {
      if (!shape.merging.keys_fixed) {
        const float key = into.key(dim) = joining.of(into.key(dim), at.key[dim]);
        if (stay) fetched_tile(at, target.place, d)[F32::key_at(dim, into.lane)] = key;
      }
      if (!shape.merging.values_fixed) into.row[dim] = joining.of(into.row[dim], Storage::value(from.row, dim));
    }
    __syncthreads();
    if (t) continue;
    task.targets[i] = target.place;
    task.similarities[i] = target.value;
    task.merged_scores[target.place] = joined_score(shape.merging, own, score);
    task.weights[target.place] = static_cast<float>(static_cast<double>(task.weights[target.place]) + 1);
  }
}

std::string refused(const CompressShape& shape) {
  if (shape.d >= 2 && shape.d <= kMostDim && shape.d % 2 == 0) return {};
  return "compression on the GPU takes an even headDim of at most " + std::to_string(kMostDim) + ", not " +
         std::to_string(shape.d);
}
unsigned blocks(int64_t count, int64_t of) { return static_cast<unsigned>((count + of - 1) / of); }

}  // namespace

std::string keep_tokens(const CompressTask* tasks, int32_t count, const CompressShape& shape, gpu::Stream stream) {
  if (std::string wrong = refused(shape); !wrong.empty()) return wrong;
  return of_storage("compression", shape.storage, [&](auto storage) {
    gpu::Shared shared = gpu::Shared::counting();
    const KeepLayout<decltype(storage)> layout(shared);
    (void)layout;
    return gpu::launch(keep_slots<decltype(storage)>,
                       gpu::Grid{blocks(shape.slots, kRunStage), static_cast<unsigned>(count), 1}, kCompressThreads,
                       shared.bytes(), stream, tasks, shape.d);
  });
}

std::string merge_runs(const CompressTask* tasks, int32_t count, const CompressShape& shape, gpu::Stream stream) {
  if (std::string wrong = refused(shape); !wrong.empty()) return wrong;
  gpu::Shared shared = gpu::Shared::counting();
  const RunLayout layout(shared);
  (void)layout;
  return of_storage("compression", shape.storage, [&](auto storage) {
    return gpu::launch(
        merge_run<decltype(storage)>,
        gpu::Grid{static_cast<unsigned>(shape.residual), static_cast<unsigned>(count), blocks(shape.d, kRunDims)},
        kCompressThreads, shared.bytes(), stream, tasks, shape);
  });
}

std::string merge_alike(const CompressTask* tasks, int32_t count, const CompressShape& shape, int32_t begin,
                        int32_t end, gpu::Stream stream) {
  if (std::string wrong = refused(shape); !wrong.empty()) return wrong;
  gpu::Shared shared = gpu::Shared::counting();
  const AlikeLayout layout(shared, shape.d);
  (void)layout;
  return of_storage("compression", shape.storage, [&](auto storage) {
    return gpu::launch(merge_most_alike<decltype(storage)>, gpu::Grid{static_cast<unsigned>(count), 1, 1},
                       kCompressThreads, shared.bytes(), stream, tasks, shape, begin, end);
  });
}

}  // namespace zs::cuda
