// Merged slots, for a block of kMergingThreads: which of them is most like a token, and what becomes of it as the token joins. Bits and
// decisions are those of policies/zsmerge.h (target_of, merge_content).
#ifndef ZSLAB_CUDA_MERGING_CUH
#define ZSLAB_CUDA_MERGING_CUH

#include "cuda/exact.h"
#include "cuda/merging.h"
#include "cuda/storage.h"
#include "cuda/tuning.h"

namespace zs::cuda {

// In shared memory: a token's key [d], and keys of merged slots, kMergingStage at once.
struct AlikeLayout {
  float *key, *odd, *values, *length;
  int* places;
  unsigned char* keys;
  template <class Shared>
  __host__ __device__ AlikeLayout(Shared& shared, int d) {
    key = shared.template take<float>(d);
    odd = shared.template take<float>(kMergingStage);
    values = shared.template take<float>(kMergingThreads);
    length = shared.template take<float>(1);
    places = shared.template take<int>(kMergingThreads);
    keys = shared.template take<unsigned char>(kMergingStage / kLane * (kLane * d * sizeof(float) + kTileGap));
  }
};

// Where a slot's key and value lie.
template <class Storage>
struct SlotPlace {
  typename Storage::Element *tile, *row;
  int lane;
  __device__ __forceinline__ SlotPlace(const KeyChunk& chunk, int slot, int d) {
    using Element = typename Storage::Element;
    tile = static_cast<Element*>(const_cast<void*>(chunk.keys)) + slot / kLane * kLane * d;
    row = static_cast<Element*>(const_cast<void*>(chunk.values)) + slot * round_up(d, kLane);
    lane = slot % kLane;
  }
  __device__ __forceinline__ auto& key(int dim) const { return tile[Storage::key_at(dim, lane)]; }
};

// A value and where it was found; -1 = nowhere.
struct Best {
  float value;
  int place;
};

// The best of all threads: of two, `better` says whether the second has to give way. Every thread gets it. A barrier has to lie between two
// of these.
template <class Better>
__device__ Best best_of_block(const AlikeLayout& at, Best mine, Better better) {
  const int t = static_cast<int>(threadIdx.x);
  at.values[t] = mine.value;
  at.places[t] = mine.place;
  for (int half = kMergingThreads / 2; half; half /= 2) {
    __syncthreads();
    if (t >= half) continue;
    const Best a = {at.values[t], at.places[t]}, b = {at.values[t + half], at.places[t + half]};
    if (b.place < 0 || (a.place >= 0 && better(a, b))) continue;
    at.values[t] = b.value;
    at.places[t] = b.place;
  }
  __syncthreads();
  return {at.values[0], at.places[0]};
}

// Begins to copy keys of the merged slots [first, merged), as many as there is room for, from `tile`, that of the first, if there are any.
__device__ __forceinline__ void fetch_keys(const AlikeLayout& at, const void* tile, int first, int merged, int d) {
  const int count = min(merged - first, kMergingStage);
  const int tile_bytes = kLane * d * static_cast<int>(sizeof(float));
  if (count > 0)
    copy_tiles<kMergingThreads>(at.keys, static_cast<const unsigned char*>(tile),
                                (count + kLane - 1) / kLane * tile_bytes, tile_bytes);
  gpu::cp_async_commit();
}
__device__ __forceinline__ float* fetched_tile(const AlikeLayout& at, int slot, int d) {
  return reinterpret_cast<float*>(at.keys + slot / kLane * (kLane * d * static_cast<int>(sizeof(float)) + kTileGap));
}

// The merged slot most like at.key, whose first keys are on their way; `fetch(first)` begins to copy those from `first` on. Half of the
// threads take the even dims, half the odd ones.
template <class Fetch>
__device__ __forceinline__ Best most_alike(const AlikeLayout& at, int merged, int d, int32_t similarity, Fetch fetch) {
  const int t = static_cast<int>(threadIdx.x), slot = t % kMergingStage, odd = t / kMergingStage;
  if (similarity == ZS_COSINE && t == 0) {
    float self = 0;
    for (int i = 0; i < d; ++i) self = fmaf(at.key[i], at.key[i], self);
    at.length[0] = self;
  }
  Best best = {0, -1};
  for (int from = 0; from < merged; from += kMergingStage) {
    if (from) fetch(from);
    gpu::cp_async_wait<0>();
    __syncthreads();
    const bool mine = from + slot < merged;
    const float* const tile = fetched_tile(at, slot, d);
    float sum = 0, norm = 0;
    if (mine) {
      for (int dim = odd; dim < d; dim += 2) {
        const float k = F32::key(tile, dim, slot % kLane);
        if (similarity == ZS_L2) {
          const float apart = k - at.key[dim];
          sum = fmaf(apart, apart, sum);
        } else {
          sum = fmaf(at.key[dim], k, sum);
        }
      }
      if (similarity == ZS_COSINE && !odd)
        for (int dim = 0; dim < d; ++dim) {
          const float k = F32::key(tile, dim, slot % kLane);
          norm = fmaf(k, k, norm);
        }
    }
    if (odd) at.odd[slot] = sum;
    __syncthreads();
    if (odd || !mine) continue;
    float alike = sum + at.odd[slot];
    if (similarity == ZS_L2) alike = 0.0f - alike;
    if (similarity == ZS_COSINE) {
      const float lengths = sqrtf(norm) * sqrtf(at.length[0]);
      alike = lengths > 0 ? alike / lengths : -1.0f;
    }
    const Best one = {alike, from + slot};
    if (best.place < 0 || one.value > best.value || (best.value != best.value && one.value == one.value)) best = one;
  }
  return best_of_block(at, best, [](Best a, Best b) {
    const bool no_a = a.value != a.value, no_b = b.value != b.value;
    if (no_a != no_b) return no_b;
    return no_a || a.value == b.value ? a.place < b.place : a.value > b.value;
  });
}

// A token (weight 1) of score `score` joins a merged slot: in double, so that the order of a long chain hardly shows.
struct Joining {
  bool stays, takes, by_share;  // what the slot has; the token's alone; by `share`, not by weights
  double w, inverse, share, rest;
  __device__ __forceinline__ Joining(const MergeShape& shape, float weight, float own, float score) {
    takes = shape.aggregate == Aggregate::kMedoid;
    stays = takes && !(score > own);
    by_share = shape.aggregate == Aggregate::kScore;
    w = static_cast<double>(weight);
    inverse = 1 / (w + 1);
    const double into = static_cast<double>(own), total = into + static_cast<double>(score);
    share = by_share && total != 0 ? into / total : w / (w + 1);
    rest = 1 - share;
  }
  __device__ __forceinline__ float of(float mine, float other) const {
    if (takes) return other;
    const double a = static_cast<double>(mine), b = static_cast<double>(other);
    return static_cast<float>(by_share ? share * a + rest * b : (w * a + b) * inverse);
  }
};
__device__ __forceinline__ float joined_score(const MergeShape& shape, float own, float score) {
  return shape.sums_scores ? own + score : score > own ? score : own;
}

}  // namespace zs::cuda
#endif
