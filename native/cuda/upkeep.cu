// A block a kv head. First every thread brings its slots' scores up to date and keeps the least that it saw, then the block finds the least of
// all, and compares its key with those of merged slots, which go through shared memory: read straight from device memory in serial chains they
// would cost half as much again (docs/cuda.md).
#include "cuda/before.h"
#include "cuda/exact.h"
#include "cuda/storage.h"
#include "cuda/tuning.h"

namespace zs::cuda::before {
namespace {

struct UpkeepLayout {
  float *key, *odd, *values, *length;
  int* places;
  unsigned char* keys;
  template <class Shared>
  __host__ __device__ UpkeepLayout(Shared& shared, int d) {
    key = shared.template take<float>(d);
    odd = shared.template take<float>(kUpkeepStage);
    values = shared.template take<float>(kUpkeepThreads);
    length = shared.template take<float>(1);
    places = shared.template take<int>(kUpkeepThreads);
    keys = shared.template take<unsigned char>(kUpkeepStage / kLane * (kLane * d * sizeof(float) + kTileGap));
  }
};

// A value and where it was found; -1 = nowhere.
struct Found {
  float value;
  int place;
};

// The best of all threads: of two, `better` says whether the second has to give way. Every thread gets it. A barrier has to lie between two
// of these.
template <class Better>
__device__ Found best_of_block(const UpkeepLayout& at, Found mine, Better better) {
  const int t = static_cast<int>(threadIdx.x);
  at.values[t] = mine.value;
  at.places[t] = mine.place;
  for (int half = kUpkeepThreads / 2; half; half /= 2) {
    __syncthreads();
    if (t >= half) continue;
    const Found a = {at.values[t], at.places[t]}, b = {at.values[t + half], at.places[t + half]};
    if (b.place < 0 || (a.place >= 0 && better(a, b))) continue;
    at.values[t] = b.value;
    at.places[t] = b.place;
  }
  __syncthreads();
  return {at.values[0], at.places[0]};
}

// s <- decay s + the probabilities of the group, and the least of those that may leave.
__device__ Found update_scores(const UpkeepTask& task, const UpkeepShape& shape) {
  Found least = {0, -1};
  int first = 0;
  for (int c = 0; c < task.count; ++c) {
    const UpkeepChunk chunk = task.chunks[c];
    for (int i = static_cast<int>(threadIdx.x); i < chunk.chunk.slots; i += kUpkeepThreads) {
      float p = 0;
      for (int g = 0; g < shape.group; ++g) p = fmaf(chunk.e[g * chunk.e_stride + i], chunk.factor[g], p);
      const float score = fmaf(shape.decay, chunk.score[i], p);
      chunk.score[i] = score;
      const int slot = first + i;
      // Slots come in order, so that of equals the first stays. Not-a-number is passed over.
      if (slot >= task.from && slot < task.to && score == score && (least.place < 0 || score < least.value))
        least = {score, slot};
    }
    first += chunk.chunk.slots;
  }
  return least;
}

// A slot's key, as float32, for all threads.
template <class Keys>
__device__ void read_key(const UpkeepTask& task, int slot, int d, float* key) {
  int c = 0;
  for (; slot >= task.chunks[c].chunk.slots; ++c) slot -= task.chunks[c].chunk.slots;
  const auto* tile = static_cast<const typename Keys::Element*>(task.chunks[c].chunk.keys) +
                     static_cast<int64_t>(slot) / kLane * kLane * d;
  for (int dim = static_cast<int>(threadIdx.x); dim < d; dim += kUpkeepThreads)
    key[dim] = Keys::key(tile, dim, slot % kLane);
}

// The merged slot most like at.key. Half of the threads take the even dims, half the odd ones.
__device__ Found most_alike(const UpkeepLayout& at, const UpkeepTask& task, const UpkeepShape& shape) {
  const int t = static_cast<int>(threadIdx.x), d = shape.d, slot = t % kUpkeepStage, odd = t / kUpkeepStage;
  const int tile_bytes = kLane * d * static_cast<int>(sizeof(float));
  if (shape.similarity == ZS_COSINE && t == 0) {
    float self = 0;
    for (int i = 0; i < d; ++i) self = fmaf(at.key[i], at.key[i], self);
    at.length[0] = self;
  }
  Found best = {0, -1};
  int first = 0;
  for (int c = 0; c < task.merged; ++c) {
    const KeyChunk chunk = task.chunks[c].chunk;
    for (int from = 0; from < chunk.slots; from += kUpkeepStage) {
      const int count = min(chunk.slots - from, kUpkeepStage), tiles = (count + kLane - 1) / kLane;
      copy_tiles<kUpkeepThreads>(
          at.keys, static_cast<const unsigned char*>(chunk.keys) + static_cast<int64_t>(from) / kLane * tile_bytes,
          tiles * tile_bytes, tile_bytes);
      gpu::cp_async_commit();
      gpu::cp_async_wait<0>();
      __syncthreads();
      const auto* tile = reinterpret_cast<const float*>(at.keys + slot / kLane * (tile_bytes + kTileGap));
      float sum = 0, norm = 0;
      if (slot < count) {
        for (int dim = odd; dim < d; dim += 2) {
          const float k = F32::key(tile, dim, slot % kLane);
          if (shape.similarity == ZS_L2) {
            const float apart = k - at.key[dim];
            sum = fmaf(apart, apart, sum);
          } else {
            sum = fmaf(at.key[dim], k, sum);
          }
        }
        if (shape.similarity == ZS_COSINE && !odd)
          for (int dim = 0; dim < d; ++dim) {
            const float k = F32::key(tile, dim, slot % kLane);
            norm = fmaf(k, k, norm);
          }
      }
      if (odd) at.odd[slot] = sum;
      __syncthreads();
      if (odd || slot >= count) continue;
      float alike = sum + at.odd[slot];
      if (shape.similarity == ZS_L2) alike = 0.0f - alike;
      if (shape.similarity == ZS_COSINE) {
        const float lengths = sqrtf(norm) * sqrtf(at.length[0]);
        alike = lengths > 0 ? alike / lengths : -1.0f;
      }
      const Found one = {alike, first + from + slot};
      if (best.place < 0 || one.value > best.value || (best.value != best.value && one.value == one.value)) best = one;
    }
    first += chunk.slots;
  }
  return best_of_block(at, best, [](Found a, Found b) {
    const bool no_a = a.value != a.value, no_b = b.value != b.value;
    if (no_a != no_b) return no_b;
    return no_a || a.value == b.value ? a.place < b.place : a.value > b.value;
  });
}

template <class Keys>
__global__ void __launch_bounds__(kUpkeepThreads) upkeep_heads(const UpkeepTask* tasks, UpkeepShape shape) {
  const UpkeepTask task = tasks[blockIdx.x];
  gpu::Shared shared;
  const UpkeepLayout at(shared, shape.d);
  Found victim = best_of_block(at, update_scores(task, shape), [](Found a, Found b) {
    return a.value == b.value ? a.place < b.place : a.value < b.value;
  });
  const bool leaves = task.from < task.to;
  if (leaves && victim.place < 0) victim = {infinity(), task.from};
  Found target = {0, -1};
  if (leaves && task.merged) {
    read_key<Keys>(task, victim.place, shape.d, at.key);
    __syncthreads();
    target = most_alike(at, task, shape);
  }
  if (threadIdx.x == 0) {
    *task.victim = leaves ? victim.place : -1;
    *task.least = leaves ? victim.value : 0;
    *task.target = target.place;
    *task.similarity = target.value;
  }
}

}  // namespace

std::string upkeep(const UpkeepTask* tasks, int32_t count, const UpkeepShape& shape, gpu::Stream stream) {
  if (shape.d < 2 || shape.d > kMostDim || shape.d % 2)
    return "upkeep on the GPU takes an even headDim of at most " + std::to_string(kMostDim) + ", not " +
           std::to_string(shape.d);
  gpu::Shared shared = gpu::Shared::counting();
  const UpkeepLayout layout(shared, shape.d);
  (void)layout;
  const auto run = [&](auto kernel) {
    return gpu::launch(kernel, gpu::Grid{static_cast<unsigned>(count), 1, 1}, kUpkeepThreads, shared.bytes(), stream,
                       tasks, shape);
  };
  switch (shape.storage) {
    case ZS_F32:
      return run(upkeep_heads<F32>);
    case ZS_F16:
      return run(upkeep_heads<F16>);
    case ZS_BF16:
      return run(upkeep_heads<BF16>);
  }
  return "upkeep on the GPU does not know storage " + std::to_string(shape.storage);
}

}  // namespace zs::cuda::before
