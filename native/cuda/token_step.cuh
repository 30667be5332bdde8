// Each stage's work is that of a kernel with as many blocks as it needs, which the blocks that there are take in turns. A stage's description lies
// in shared memory, in front of all else; the next one's is under way while a stage is done. Included by token_step_*.cu, one for each storage of
// caches: of weights, head counts and dims there is one kernel for all, as its time goes into waiting, not into instructions.
#ifndef ZSLAB_CUDA_TOKEN_STEP_CUH
#define ZSLAB_CUDA_TOKEN_STEP_CUH

#include "cuda/append.cuh"
#include "cuda/decode_attention.cuh"
#include "cuda/embed.cuh"
#include "cuda/grid_barrier.h"
#include "cuda/rms_norm.cuh"
#include "cuda/token_step.h"
#include "cuda/upkeep.cuh"
#include "cuda/vector_product.cuh"

namespace zs::cuda {

static_assert(kDecodeThreads == kStepThreads && kUpkeepThreads == kStepThreads, "stages share their blocks");

template <class Storage>
struct StepDecodeLayout {
  DecodeLayout<F32, F32> floats;  // where all are, the other is not used
  DecodeLayout<Storage, Storage> own;
  template <class Shared>
  __host__ __device__ StepDecodeLayout(Shared& shared, int group, int d)
      : floats(shared, group, d), own(shared, group, d) {}
};
template <>
struct StepDecodeLayout<F32> {
  DecodeLayout<F32, F32> floats;
  template <class Shared>
  __host__ __device__ StepDecodeLayout(Shared& shared, int group, int d) : floats(shared, group, d) {}
};

template <class Weights, int Tiles>
struct StepProductLayout {
  using Shape = ProductShape<Weights, 1, Tiles, kStepThreads, true>;
  ProductLayout<Shape, 1> product;
  float* scale;
  template <class Shared>
  __host__ __device__ StepProductLayout(Shared& shared, int k) : product(shared, k) {
    scale = shared.template take<float>(1);
  }
};

// Bytes of shared memory: the most that a stage takes.
template <class Storage>
size_t step_shared(const StepShape& shape) {
  size_t most = 0;
  const auto count = [&](auto layout) {
    gpu::Shared shared = gpu::Shared::counting();
    shared.take<Stage>(1);
    layout(shared);
    most = shared.bytes() > most ? shared.bytes() : most;
  };
  // Of weights all storages take as much.
  count([&](auto& shared) { (void)StepProductLayout<F32, 4>(shared, static_cast<int>(shape.k)); });
  count([&](auto& shared) { (void)StepDecodeLayout<Storage>(shared, shape.group, shape.d); });
  count([&](auto& shared) { (void)UpkeepLayout(shared, shape.group, shape.d); });
  return most;
}

// Inputs of a product go to shared memory. A barrier has to follow.
__device__ inline void take_inputs(const ProductStage& stage, float* x, float* scale) {
  const int t = static_cast<int>(threadIdx.x), k = static_cast<int>(stage.w.k), n = stage.norm ? stage.n : k;
  copy_rows<kStepThreads>(reinterpret_cast<unsigned char*>(x), reinterpret_cast<const unsigned char*>(stage.x),
                          n * static_cast<int>(sizeof(float)));
  gpu::cp_async_commit();
  gpu::cp_async_wait<0>();
  if (!stage.norm) return;
  __syncthreads();
  norm_scale(x, n, stage.eps, scale);
  __syncthreads();
  for (int i = t; i < k; i += kStepThreads) x[i] = i < n ? x[i] * *scale * stage.norm[i] : 0;
}

// Queries, keys and values of a block, two neighbouring dims at a time; `sums` in shared memory are `count` outputs from `first` on.
template <class Storage>
__device__ __forceinline__ void give_rows(const ProductStage& stage, const float* sums, int first, int count) {
  const int d = stage.d, padded = static_cast<int>(round_up(d, kLane));
  for (int i = static_cast<int>(threadIdx.x); i < count / 2; i += kStepThreads) {
    const int output = first + 2 * i, head = output / d, pair = output % d / 2, kv = head - stage.heads;
    float2 x = {sums[2 * i], sums[2 * i + 1]};
    if (kv < stage.kv_heads && pair < stage.pairs) x = turned(x, reinterpret_cast<const float2*>(stage.angles)[pair]);
    reinterpret_cast<float2*>(stage.y)[output / 2] = x;
    if (kv < 0 || kv >= 2 * stage.kv_heads) continue;
    const AppendTask& task = stage.appends[kv % stage.kv_heads];
    const NewSlot<Storage> slot(task, d);
    if (kv < stage.kv_heads) {
      write_key(Storage(), slot.tile, pair, slot.lane, x);
      continue;
    }
    write_value(Storage(), slot.row, pair, x);
    if (pair) continue;
    for (int behind = d / 2; behind < padded / 2; ++behind) write_value(Storage(), slot.row, behind, float2{0, 0});
    note_slot(task);
  }
}

template <class Storage, class Weights, int Tiles>
__device__ __forceinline__ void multiply(const ProductStage& stage, gpu::Shared& shared) {
  using Shape = typename StepProductLayout<Weights, Tiles>::Shape;
  const int outputs = static_cast<int>(stage.w.outputs), k = static_cast<int>(stage.w.k);
  const StepProductLayout<Weights, Tiles> at(shared, k);
  const FewRows p = {static_cast<const unsigned char*>(stage.w.data), nullptr, stage.y, 0, outputs, k, 1, stage.then};
  const int begin = static_cast<int>(blockIdx.x) * Shape::kOutputs;
  if (begin < outputs) take_inputs(stage, at.product.x, at.scale);
  for (int first = begin; first < outputs; first += static_cast<int>(gridDim.x) * Shape::kOutputs) {
    const int count = min(outputs - first, Shape::kOutputs), t = static_cast<int>(threadIdx.x);
    float sum[1];
    sums_of<Weights>(p, at.product, first, count, sum);
    if (!stage.appends) {
      give(p, at.product, first, count, sum);
    } else {
      if (t < count) at.product.sums[t] = sum[0];
      __syncthreads();
      give_rows<Storage>(stage, at.product.sums, first, count);
    }
    __syncthreads();
  }
}

template <class Storage>
__device__ __forceinline__ void product_stage(const ProductStage& stage, gpu::Shared& shared) {
  const bool many = stage.w.outputs >= kManyOutputs;
  switch (stage.w.storage) {
    case ZS_F32:
      return many ? multiply<Storage, F32, 4>(stage, shared) : multiply<Storage, F32, 2>(stage, shared);
    case ZS_F16:
      return many ? multiply<Storage, F16, 4>(stage, shared) : multiply<Storage, F16, 2>(stage, shared);
    default:
      return many ? multiply<Storage, BF16, 4>(stage, shared) : multiply<Storage, BF16, 2>(stage, shared);
  }
}

template <class Storage>
__device__ __forceinline__ void decode_stage(const DecodeStage& stage, const StepShape& shape, gpu::Shared& shared) {
  const StepDecodeLayout<Storage> at(shared, shape.group, shape.d);
  for (int i = static_cast<int>(blockIdx.x); i < stage.count; i += static_cast<int>(gridDim.x)) {
    const DecodeTask task = stage.tasks[i];
    if constexpr (sizeof(typename Storage::Element) == 4) {
      decode_chunk<F32, F32, kMostGroup, kStepDim>(task, at.floats, shape.group, shape.d);
    } else {
      if (i < stage.floats)
        decode_chunk<F32, F32, kMostGroup, kStepDim>(task, at.floats, shape.group, shape.d);
      else
        decode_chunk<Storage, Storage, kMostGroup, kStepDim>(task, at.own, shape.group, shape.d);
    }
    __syncthreads();
  }
}

template <class Storage>
__device__ __forceinline__ void upkeep_stage(const UpkeepStage& stage, gpu::Shared& shared) {
  const UpkeepLayout at(shared, stage.shape.group, stage.shape.d);
  for (int i = static_cast<int>(blockIdx.x); i < stage.count; i += static_cast<int>(gridDim.x)) {
    if (threadIdx.x == 0) *at.task = stage.tasks[i];
    __syncthreads();
    upkeep_head<Storage>(at, stage.shape);
    __syncthreads();
  }
}

__device__ inline void embed_stage(const Embed& embed) {
  const int first = static_cast<int>(blockIdx.x) * kStepThreads + static_cast<int>(threadIdx.x);
  for (int i = first; i < embed.x_stride; i += static_cast<int>(gridDim.x) * kStepThreads) switch (embed.storage) {
      case ZS_F32:
        embed_value<F32>(embed, 0, i);
        break;
      case ZS_F16:
        embed_value<F16>(embed, 0, i);
        break;
      default:
        embed_value<BF16>(embed, 0, i);
    }
}

template <class Storage>
__global__ void __launch_bounds__(kStepThreads, kStepBlocks)
    step_through(const Stage* stages, int count, StepShape shape) {
  constexpr int kPieces = sizeof(Stage) / sizeof(uint4), kLine = 128;
  const int t = static_cast<int>(threadIdx.x);
  uint4 next = {};
  if (t < kPieces) next = gpu::load_wide<uint4>(reinterpret_cast<const uint4*>(stages) + t);
  for (int s = 0; s < count; ++s) {
    gpu::Shared shared;
    Stage& stage = *shared.take<Stage>(1);
    if (t < kPieces) {
      gpu::store_wide(reinterpret_cast<uint4*>(&stage) + t, next);
      if (s + 1 < count) next = gpu::load_wide<uint4>(reinterpret_cast<const uint4*>(stages + s + 1) + t);
    }
    __syncthreads();
    for (int64_t at = (static_cast<int64_t>(blockIdx.x) * kStepThreads + t) * kLine; at < stage.ahead_bytes;
         at += static_cast<int64_t>(gridDim.x) * kStepThreads * kLine)
      gpu::prefetch(static_cast<const char*>(stage.ahead) + at);
    switch (stage.kind) {
      case StageKind::kEmbed:
        embed_stage(stage.embed);
        break;
      case StageKind::kProduct:
        product_stage<Storage>(stage.product, shared);
        break;
      case StageKind::kDecode:
        decode_stage<Storage>(stage.decode, shape, shared);
        break;
      case StageKind::kUpkeep:
        upkeep_stage<Storage>(stage.upkeep, shared);
        break;
    }
    // The last of them lets the launch end.
    if (stage.meets)
      gpu::grid_barrier();
    else
      __syncthreads();
  }
}

template <class Storage>
std::string step_blocks_of(const StepShape& shape, int32_t& blocks) {
  return gpu::most_together(step_through<Storage>, kStepThreads, step_shared<Storage>(shape), kStepBlocks, blocks);
}
template <class Storage>
std::string token_step_of(const Stage* stages, int32_t count, const StepShape& shape, int32_t blocks,
                          gpu::Stream stream) {
  return gpu::launch_together(step_through<Storage>, blocks, kStepThreads, step_shared<Storage>(shape), stream, stages,
                              count, shape);
}
}  // namespace zs::cuda
#endif
