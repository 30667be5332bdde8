// A warp a task.
#include "cuda/append.cuh"
#include "cuda/tuning.h"

namespace zs::cuda {
namespace {

constexpr int kWarp = 32;

template <class Storage>
__global__ void __launch_bounds__(kAppendThreads) append_tokens(const AppendTask* tasks, int count, int d) {
  const int t = static_cast<int>(threadIdx.x),
            place = static_cast<int>(blockIdx.x) * (kAppendThreads / kWarp) + t / kWarp;
  if (place >= count) return;
  const AppendTask task = tasks[place];
  const int padded = static_cast<int>(round_up(d, kLane));
  const NewSlot<Storage> slot(task, d);
  const auto* const key = reinterpret_cast<const float2*>(task.key);
  const auto* const value = reinterpret_cast<const float2*>(task.value);
  for (int pair = t % kWarp; pair < padded / 2; pair += kWarp) {
    const bool there = pair < d / 2;
    if (there) write_key(Storage(), slot.tile, pair, slot.lane, key[pair]);
    write_value(Storage(), slot.row, pair, there ? value[pair] : float2{0, 0});
  }
  if (t % kWarp == 0) note_slot(task);
}

}  // namespace

std::string append(const AppendTask* tasks, int32_t count, const AppendShape& shape, gpu::Stream stream) {
  if (shape.d < 2 || shape.d % 2)
    return "append on the GPU takes an even headDim of at least 2, not " + std::to_string(shape.d);
  constexpr int32_t kTasks = kAppendThreads / kWarp;
  return of_storage("append", shape.storage, [&](auto storage) {
    return gpu::launch(append_tokens<decltype(storage)>,
                       gpu::Grid{static_cast<unsigned>((count + kTasks - 1) / kTasks), 1, 1}, kAppendThreads, 0, stream,
                       tasks, count, shape.d);
  });
}

}  // namespace zs::cuda
