// One chunk of one kv head for all its query heads: keys and values go through shared memory once, in stages that are copied while the one
// before is used. Included by decode_*.cu, one for each pair of storages, and by token_step.cuh.
//
// A logit is two chains of fused multiply-adds, over even and over odd dims: half of the threads take one, half the other. Of values each
// thread has a dim, and adds slot by slot. So the sums are those of one thread that does all, and every one of them is in order.
#ifndef ZSLAB_CUDA_DECODE_ATTENTION_CUH
#define ZSLAB_CUDA_DECODE_ATTENTION_CUH

#include <algorithm>

#include "cuda/decode_attention.h"
#include "cuda/exact.h"
#include "cuda/storage.h"
#include "cuda/tuning.h"

namespace zs::cuda {

template <class Keys, class Values>
struct DecodeLayout {
  float *q, *e, *odd, *highest;
  unsigned char* stages;
  size_t stage_bytes;
  template <class Shared>
  __host__ __device__ DecodeLayout(Shared& shared, int group, int d) {
    const int padded = static_cast<int>(round_up(d, kLane));
    const size_t keys = kDecodeStage / kLane * (kLane * d * sizeof(typename Keys::Element) + kTileGap);
    const size_t values = kDecodeStage * padded * sizeof(typename Values::Element);
    q = shared.template take<float>(group * d);
    e = shared.template take<float>(group * kChunk);
    odd = shared.template take<float>(group * kDecodeStage);
    highest = shared.template take<float>(group);
    stage_bytes = keys > values ? keys : values;
    stages = shared.template take<unsigned char>(kDecodeStages * stage_bytes);
  }
  __device__ __forceinline__ unsigned char* stage(int s) const { return stages + s % kDecodeStages * stage_bytes; }
};

// Blocks of a multiprocessor that the compiler leaves registers for: as many as shared memory has room for. It would leave them for more,
// and spill where groups are large.
template <class Keys, class Values>
constexpr int decode_blocks(int group, int d) {
  const int element = static_cast<int>(std::max(sizeof(typename Keys::Element), sizeof(typename Values::Element)));
  const int bytes = group * (d + kChunk + kDecodeStage) * 4 + kDecodeStages * kDecodeStage * d * element;
  return group < 5 ? 0 : std::min(kMostDecodeBlocks, kSharedOfAll / bytes);
}

// Dims that a thread has of the values: up to 64 dims, two threads share one and have every other head.
template <int Most>
struct ValueWork {
  static constexpr int kParts = Most <= 64 ? 2 : 1;
  static constexpr int kDims = Most <= 128 ? 1 : Most / 128;
};

// Where a chunk's keys and values lie, and in how many stages they come: those of the keys first.
struct DecodeStages {
  const unsigned char *keys, *values;
  int tile_bytes, row_bytes, tiles, slots;
  int half;  // stages of keys, and of values

  // Begins to copy stage s, if there is one.
  template <class Layout>
  __device__ __forceinline__ void fetch(const Layout& at, int s) const {
    if (s < half) {
      const int first = s * (kDecodeStage / kLane), count = min(tiles - first, kDecodeStage / kLane);
      copy_tiles<kDecodeThreads>(at.stage(s), keys + static_cast<int64_t>(first) * tile_bytes, count * tile_bytes,
                                 tile_bytes);
    } else if (s < 2 * half) {
      const int first = (s - half) * kDecodeStage, count = min(slots - first, kDecodeStage);
      copy_rows<kDecodeThreads>(at.stage(s), values + static_cast<int64_t>(first) * row_bytes, count * row_bytes);
    }
    gpu::cp_async_commit();
  }
};

// By a block. Query heads are `group`, at most G: with a number that is known to the compiler, nothing is asked of those that are not there.
template <class Keys, class Values, int G, int Most>
__device__ __forceinline__ void decode_chunk(const DecodeTask& task, const DecodeLayout<Keys, Values>& at, int group,
                                             int d) {
  using Key = typename Keys::Element;
  using Value = typename Values::Element;
  const int t = static_cast<int>(threadIdx.x), slots = task.chunk.slots;
  const int padded = static_cast<int>(round_up(d, kLane)), tiles = (slots + kLane - 1) / kLane;

  const int tile_bytes = kLane * d * static_cast<int>(sizeof(Key));
  const DecodeStages stages = {static_cast<const unsigned char*>(task.chunk.keys),
                               static_cast<const unsigned char*>(task.chunk.values),
                               tile_bytes,
                               padded * static_cast<int>(sizeof(Value)),
                               tiles,
                               slots,
                               (slots + kDecodeStage - 1) / kDecodeStage};
  const int half = stages.half;

  for (int s = 0; s + 1 < kDecodeStages; ++s) stages.fetch(at, s);
  for (int i = t; i < group * d; i += kDecodeThreads) at.q[i] = task.q[i / d * task.q_stride + i % d];

  // ---- logits
  for (int s = 0; s < half; ++s) {
    stages.fetch(at, s + kDecodeStages - 1);
    gpu::cp_async_wait<kDecodeStages - 1>();
    __syncthreads();
    const int slot = t % kDecodeStage, odd = t / kDecodeStage;
    const auto* tile = reinterpret_cast<const Key*>(at.stage(s) + slot / kLane * (tile_bytes + kTileGap));
    float dot[G];
    ZS_UNROLL for (int g = 0; g < G; ++g) dot[g] = 0;
    if (s * kDecodeStage + slot < slots)
      for (int dim = odd; dim < d; dim += 2) {
        const float k = Keys::key(tile, dim, slot % kLane);
        ZS_UNROLL for (int g = 0; g < G; ++g) if (g < group) dot[g] = fmaf(at.q[g * d + dim], k, dot[g]);
      }
    if (odd) ZS_UNROLL for (int g = 0; g < G; ++g) if (g < group) at.odd[g * kDecodeStage + slot] = dot[g];
    __syncthreads();
    if (!odd) {
      const int place = s * kDecodeStage + slot;
      ZS_UNROLL for (int g = 0; g < G; ++g) {
        if (g >= group) continue;
        float x = (dot[g] + at.odd[g * kDecodeStage + slot]) * task.scale;
        if (task.chunk.bias && place < slots) x = x + task.chunk.bias[place];
        at.e[g * kChunk + place] = place < slots ? x : minus_infinity();
      }
    }
  }
  __syncthreads();

  // ---- exponentials: sixteen lanes a head, each over every sixteenth slot, then a tree
  const int head = t / kLane, lane = t % kLane, mine = head < group ? head : 0;
  float top = minus_infinity();
  for (int tile = 0; tile < tiles; ++tile) top = greater_of(top, at.e[mine * kChunk + tile * kLane + lane]);
  top = largest_of_16(top);
  if (lane == 0 && head < group) task.highest[head] = at.highest[head] = top;
  __syncthreads();
  for (int i = t; i < group * tiles * kLane; i += kDecodeThreads) {
    const int g = i / (tiles * kLane), slot = i % (tiles * kLane);
    const float x = exp_of(at.e[g * kChunk + slot] - at.highest[g]);
    at.e[g * kChunk + slot] = x;
    task.e[g * task.e_stride + slot] = x;
  }
  __syncthreads();
  float total = 0;
  for (int tile = 0; tile < tiles; ++tile) total = total + at.e[mine * kChunk + tile * kLane + lane];
  total = sum_of_16(total);
  if (lane == 0 && head < group) task.sum[head] = total;

  // ---- values
  using Work = ValueWork<Most>;
  constexpr int kHeads = (G + Work::kParts - 1) / Work::kParts, kStep = kDecodeThreads / Work::kParts;
  const int first = t % kStep, part = t / kStep;
  float sums[Work::kDims][kHeads];
  ZS_UNROLL for (int c = 0; c < Work::kDims; ++c) ZS_UNROLL for (int j = 0; j < kHeads; ++j) sums[c][j] = 0;
  for (int s = half; s < 2 * half; ++s) {
    stages.fetch(at, s + kDecodeStages - 1);
    gpu::cp_async_wait<kDecodeStages - 1>();
    __syncthreads();
    const auto* rows = reinterpret_cast<const Value*>(at.stage(s));
    const int from = (s - half) * kDecodeStage, count = min(slots - from, kDecodeStage);
    for (int slot = 0; slot < count; ++slot) ZS_UNROLL for (int c = 0; c < Work::kDims; ++c) {
        const int dim = first + c * kStep;
        if (dim >= padded) continue;
        const float v = Values::value(rows + slot * padded, dim);
        ZS_UNROLL for (int j = 0; j < kHeads; ++j) {
          const int g = j * Work::kParts + part;
          if (g < group) sums[c][j] = fmaf(at.e[g * kChunk + from + slot], v, sums[c][j]);
        }
      }
    __syncthreads();
  }
  ZS_UNROLL for (int c = 0; c < Work::kDims; ++c) ZS_UNROLL for (int j = 0; j < kHeads; ++j) {
    const int dim = first + c * kStep, g = j * Work::kParts + part;
    if (dim < padded && g < group) task.out[g * padded + dim] = sums[c][j];
  }
  gpu::cp_async_wait<0>();
}

template <class Keys, class Values, int G, int Most>
__global__ void __launch_bounds__(kDecodeThreads, decode_blocks<Keys, Values>(G, Most))
    decode_attention(const DecodeTask* tasks) {
  const DecodeTask task = tasks[blockIdx.x];
  gpu::Shared shared;
  decode_chunk<Keys, Values, G, Most>(task, DecodeLayout<Keys, Values>(shared, G, task.d), G, task.d);
}

template <class Keys, class Values, int G>
std::string decode_group(const DecodeTask* tasks, int32_t count, int32_t d, gpu::Stream stream) {
  gpu::Shared shared = gpu::Shared::counting();
  const DecodeLayout<Keys, Values> layout(shared, G, d);
  (void)layout;
  const auto kernel = d <= 64    ? decode_attention<Keys, Values, G, 64>
                      : d <= 128 ? decode_attention<Keys, Values, G, 128>
                                 : decode_attention<Keys, Values, G, 256>;
  return gpu::launch(kernel, gpu::Grid{static_cast<unsigned>(count), 1, 1}, kDecodeThreads, shared.bytes(), stream,
                     tasks);
}

// The kernel of this group, G heads or more.
template <class Keys, class Values, int G>
std::string decode_from(const DecodeTask* tasks, int32_t count, int32_t group, int32_t d, gpu::Stream stream) {
  if constexpr (G < kMostGroup)
    if (group > G) return decode_from<Keys, Values, G + 1>(tasks, count, group, d, stream);
  return decode_group<Keys, Values, G>(tasks, count, d, stream);
}

template <class Keys, class Values>
std::string decode_of(const DecodeTask* tasks, int32_t count, int32_t group, int32_t d, gpu::Stream stream) {
  return decode_from<Keys, Values, 1>(tasks, count, group, d, stream);
}

}  // namespace zs::cuda
#endif
