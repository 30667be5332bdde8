// A warp a task, each lane two neighbouring dims at a time: those share a word of a bfloat16 tile, and of any row of halves.
#include "cuda/append.h"
#include "cuda/storage.h"
#include "cuda/tuning.h"

namespace zs::cuda {
namespace {

constexpr int kWarp = 32;

// Dims 2 * pair and 2 * pair + 1 of a slot's key and of a value.
__device__ __forceinline__ void write_key(F32, float* tile, int pair, int lane, float2 x) {
  tile[2 * pair * kLane + lane] = x.x;
  tile[(2 * pair + 1) * kLane + lane] = x.y;
}
__device__ __forceinline__ void write_key(F16, uint16_t* tile, int pair, int lane, float2 x) {
  tile[2 * pair * kLane + lane] = F16::narrow(x.x);
  tile[(2 * pair + 1) * kLane + lane] = F16::narrow(x.y);
}
template <class Half>
__device__ __forceinline__ uint32_t both(float2 x) {
  return Half::narrow(x.x) | static_cast<uint32_t>(Half::narrow(x.y)) << 16;
}
__device__ __forceinline__ void write_key(BF16, uint16_t* tile, int pair, int lane, float2 x) {
  reinterpret_cast<uint32_t*>(tile)[pair * kLane + lane] = both<BF16>(x);
}
__device__ __forceinline__ void write_value(F32, float* row, int pair, float2 x) {
  reinterpret_cast<float2*>(row)[pair] = x;
}
template <class Half>
__device__ __forceinline__ void write_value(Half, uint16_t* row, int pair, float2 x) {
  reinterpret_cast<uint32_t*>(row)[pair] = both<Half>(x);
}

template <class Storage>
__global__ void __launch_bounds__(kAppendThreads) append_tokens(const AppendTask* tasks, int count, int d) {
  using Element = typename Storage::Element;
  const int t = static_cast<int>(threadIdx.x),
            place = static_cast<int>(blockIdx.x) * (kAppendThreads / kWarp) + t / kWarp;
  if (place >= count) return;
  const AppendTask task = tasks[place];
  const int padded = static_cast<int>(round_up(d, kLane)), lane = task.slot % kLane;
  auto* const tile = static_cast<Element*>(task.keys) + static_cast<int64_t>(task.slot / kLane) * kLane * d;
  auto* const row = static_cast<Element*>(task.values) + static_cast<int64_t>(task.slot) * padded;
  const auto* const key = reinterpret_cast<const float2*>(task.key);
  const auto* const value = reinterpret_cast<const float2*>(task.value);
  for (int pair = t % kWarp; pair < padded / 2; pair += kWarp) {
    const bool there = pair < d / 2;
    if (there) write_key(Storage(), tile, pair, lane, key[pair]);
    write_value(Storage(), row, pair, there ? value[pair] : float2{0, 0});
  }
  if (t % kWarp) return;
  if (task.score) *task.score = task.given;
  if (task.position) *task.position = task.at;
  for (int32_t* count : task.counts)
    if (count) *count = task.slot + 1;
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
