#include "cuda/upkeep.cuh"

namespace zs::cuda {
namespace {

template <class Storage>
__global__ void __launch_bounds__(kUpkeepThreads, kUpkeepBlocks)
    upkeep_heads(const UpkeepTask* tasks, UpkeepShape shape) {
  gpu::Shared shared;
  const UpkeepLayout at(shared, shape.group, shape.d);
  if (threadIdx.x == 0) *at.task = tasks[blockIdx.x];
  __syncthreads();
  upkeep_head<Storage>(at, shape);
}

__global__ void __launch_bounds__(kUpkeepThreads) sum_scores_of(const ChoiceTask* tasks) {
  const ChoiceTask task = tasks[blockIdx.x];
  const int chunk = static_cast<int>(blockIdx.y);
  const auto chunk_of = [&](int head) -> const UpkeepChunk& {
    return task.heads[head].chunks[task.heads[head].merged + chunk];
  };
  if (chunk >= task.heads[0].attention.chunks - task.heads[0].merged) return;
  const int slots = chunk_of(0).chunk.slots;
  for (int i = static_cast<int>(threadIdx.x); i < slots; i += kUpkeepThreads) {
    float sum = chunk_of(0).score[i];
    for (int head = 1; head < task.count; ++head) sum = sum + chunk_of(head).score[i];
    task.choice[chunk * kChunk + i] = sum;
  }
}

}  // namespace

std::string sum_scores(const ChoiceTask* tasks, int32_t count, int32_t chunks, gpu::Stream stream) {
  return gpu::launch(sum_scores_of, gpu::Grid{static_cast<unsigned>(count), static_cast<unsigned>(chunks), 1},
                     kUpkeepThreads, 0, stream, tasks);
}

std::string upkeep(const UpkeepTask* tasks, int32_t count, const UpkeepShape& shape, gpu::Stream stream) {
  if (shape.group < 1 || shape.group > kMostGroup)
    return "upkeep on the GPU takes 1 to " + std::to_string(kMostGroup) + " query heads a kv head, not " +
           std::to_string(shape.group);
  if (shape.d < 2 || shape.d > kMostDim || shape.d % 2)
    return "upkeep on the GPU takes an even headDim of at most " + std::to_string(kMostDim) + ", not " +
           std::to_string(shape.d);
  gpu::Shared shared = gpu::Shared::counting();
  const UpkeepLayout layout(shared, shape.group, shape.d);
  (void)layout;
  return of_storage("upkeep", shape.storage, [&](auto storage) {
    return gpu::launch(upkeep_heads<decltype(storage)>, gpu::Grid{static_cast<unsigned>(count), 1, 1}, kUpkeepThreads,
                       shared.bytes(), stream, tasks, shape);
  });
}

}  // namespace zs::cuda
