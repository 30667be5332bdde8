// A token's key and value, two neighbouring dims at a time: those share a word of a bfloat16 tile, and of any row of halves.
#ifndef ZSLAB_CUDA_APPEND_CUH
#define ZSLAB_CUDA_APPEND_CUH

#include "cuda/append.h"
#include "cuda/storage.h"

namespace zs::cuda {

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

// A slot in its chunk.
template <class Storage>
struct NewSlot {
  typename Storage::Element *tile, *row;
  int lane;
  __device__ __forceinline__ NewSlot(const AppendTask& task, int d) {
    using Element = typename Storage::Element;
    tile = static_cast<Element*>(task.keys) + static_cast<int64_t>(task.slot / kLane) * kLane * d;
    row = static_cast<Element*>(task.values) + static_cast<int64_t>(task.slot) * round_up(d, kLane);
    lane = task.slot % kLane;
  }
};
// What else is known of it, by one thread.
__device__ __forceinline__ void note_slot(const AppendTask& task) {
  if (task.score) *task.score = task.given;
  if (task.position) *task.position = task.at;
  for (int32_t* count : task.counts)
    if (count) *count = task.slot + 1;
}

}  // namespace zs::cuda
#endif
