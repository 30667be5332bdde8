// Kernels with one fault each, and what the emulation must say of it.
#include "cuda/test/faults.h"

namespace zs::faults {
namespace {

using gpu::Shared;

__global__ void nothing_wrong(float* out) {
  Shared shared;
  float* x = shared.take<float>(64);
  const int t = threadIdx.x;
  x[t] = static_cast<float>(t);
  __syncthreads();
  float sum = x[63 - t];
  for (int lanes = 16; lanes; lanes /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, lanes);
  __syncthreads();
  if (t % 32 == 0) x[t / 32] = sum;
  __syncthreads();
  if (t == 0) out[blockIdx.x] = x[0] + x[1];
}

__global__ void divergent_barrier(float* out) {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
  out[threadIdx.x] = 0;
}

__global__ void barrier_and_shuffle(float* out) {
  float x = 1;
  if (threadIdx.x < 16)
    __syncthreads();
  else
    x = __shfl_xor_sync(0xffffffffu, x, 1);
  out[threadIdx.x] = x;
}

__global__ void shuffles_apart(float* out) {
  float x = 1;
  if (threadIdx.x % 32 < 16)
    x = __shfl_xor_sync(0xffffffffu, x, 1);
  else
    x = __shfl_xor_sync(0xffffffffu, x, 2);
  out[threadIdx.x] = x;
}

__global__ void mask_without_itself(float* out) { out[threadIdx.x] = __shfl_xor_sync(0x0000ffffu, 1.0f, 1); }

__global__ void lane_that_ended(float* out) {
  if (threadIdx.x == 7) return;
  out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
}

__global__ void lane_not_asked(float* out) {
  if (threadIdx.x % 32 < 16) out[threadIdx.x] = __shfl_sync(0x0000ffffu, 1.0f, 20);
}

__global__ void too_little_shared(float* out) {
  Shared shared;
  float* x = shared.take<float>(65);
  x[threadIdx.x] = 1;
  out[threadIdx.x] = x[threadIdx.x];
}

__global__ void other_sizes(float* out) {
  Shared shared;
  float* x = shared.take<float>(threadIdx.x == 3 ? 33 : 32);
  out[threadIdx.x] = 0;
  (void)x;
}

__global__ void copy_not_waited_for(float* out) {
  Shared shared;
  float* x = shared.take<float>(64);
  if (threadIdx.x < 16) gpu::cp_async16(x + 4 * threadIdx.x, out + 4 * threadIdx.x);
  gpu::cp_async_commit();
}

__global__ void copy_out_of_line(float* out) {
  Shared shared;
  float* x = shared.take<float>(64);
  gpu::cp_async16(x, out + 1);
  gpu::cp_async_commit();
  gpu::cp_async_wait<0>();
}

__global__ void beyond_device_memory(float* out) { out[64 * blockIdx.x + threadIdx.x + 1] = 1; }

__global__ void into_the_next_array(float* out) {
  Shared shared;
  float* x = shared.take<float>(32);
  float* y = shared.take<float>(32);
  y[threadIdx.x % 32] = 0;
  __syncthreads();
  if (threadIdx.x == 31) x[threadIdx.x + 1] = 1;
  __syncthreads();
  out[threadIdx.x] = y[threadIdx.x % 32];
}

__global__ void vector_out_of_line(float* out) {
  if (threadIdx.x == 0) *reinterpret_cast<float4*>(out + 1) = {1, 2, 3, 4};
}

__global__ void read_before_wait(float* out) {
  Shared shared;
  float* x = shared.take<float>(256);
  gpu::cp_async16(x + 4 * threadIdx.x, out + 4 * (threadIdx.x % 16));
  gpu::cp_async_commit();
  const float early = x[4 * threadIdx.x];
  gpu::cp_async_wait<0>();
  out[threadIdx.x] = early;
}

__global__ void shared_of_a_layout_before(float* out) {
  Shared shared;
  float* x = shared.take<float>(32);
  x[threadIdx.x % 32] = 1;
  __syncthreads();
  Shared again;
  float* y = again.take<float>(64);
  y[threadIdx.x] = x[0];
  out[threadIdx.x] = y[threadIdx.x];
}

float* kept = nullptr;
__global__ void shared_of_an_ended_block(float* out) {
  Shared shared;
  float* x = shared.take<float>(64);
  x[threadIdx.x] = 1;
  __syncthreads();
  if (threadIdx.x == 0 && kept) out[0] = kept[0];
  __syncthreads();
  if (threadIdx.x == 0) kept = x;
}

__global__ void no_barrier(float* out) {
  Shared shared;
  float* x = shared.take<float>(64);
  x[threadIdx.x] = 0;
  __syncthreads();
  x[threadIdx.x] = 1;
  out[threadIdx.x] = x[63 - threadIdx.x];
}

__global__ void no_syncwarp(float* out) {
  Shared shared;
  float* x = shared.take<float>(64);
  x[threadIdx.x] = 0;
  __syncthreads();
  x[threadIdx.x] = 1;
  out[threadIdx.x] = x[threadIdx.x ^ 1u];
}

__global__ void shuffle_for_a_fence(float* out) {
  Shared shared;
  float* x = shared.take<float>(64);
  x[threadIdx.x] = 0;
  __syncthreads();
  x[threadIdx.x] = 1;
  const float y = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
  out[threadIdx.x] = x[threadIdx.x ^ 1u] + y;
}

__global__ void syncwarp_of_the_other_half(float* out) {
  Shared shared;
  float* x = shared.take<float>(64);
  x[threadIdx.x] = 0;
  __syncthreads();
  x[threadIdx.x] = 1;
  __syncwarp(threadIdx.x % 32 < 16 ? 0x0000ffffu : 0xffff0000u);
  out[threadIdx.x] = x[threadIdx.x ^ 16u];
}

struct Closing {
  float* out;
  ~Closing() { out[threadIdx.x] = 0; }
};
__global__ void race_beside_what_is_to_be_destroyed(float* out) {
  Shared shared;
  float* x = shared.take<float>(64);
  const Closing closing{out};
  x[threadIdx.x] = 0;
  out[threadIdx.x] = x[63 - threadIdx.x];
}

__global__ void written_after_read(float* out) {
  Shared shared;
  float* x = shared.take<float>(64);
  x[threadIdx.x] = 1;
  __syncthreads();
  const float y = x[63 - threadIdx.x];
  x[threadIdx.x] = y;
  out[threadIdx.x] = y;
}

__global__ void two_blocks_one_word(float* out) { out[threadIdx.x] = static_cast<float>(blockIdx.x); }

__global__ void update_of_many(float* out) {
  Shared shared;
  float* x = shared.take<float>(64);
  if (threadIdx.x == 0) x[0] = 0;
  __syncthreads();
  x[0] += 1;
  __syncthreads();
  out[threadIdx.x] = x[0];
}

__global__ void shared_never_written(float* out) {
  Shared shared;
  float* x = shared.take<float>(64);
  if (threadIdx.x) x[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = x[63 - threadIdx.x];
}

__global__ void device_never_written(float* out) { out[threadIdx.x] = out[threadIdx.x + 256]; }

__global__ void copied_without_barrier(float* out) {
  Shared shared;
  float* x = shared.take<float>(256);
  for (int i = 0; i < 4; ++i) x[4 * threadIdx.x + i] = 0;
  __syncthreads();
  gpu::cp_async16(x + 4 * threadIdx.x, out + 4 * (threadIdx.x % 16));
  gpu::cp_async_commit();
  gpu::cp_async_wait<0>();
  out[128 + threadIdx.x] = x[4 * (threadIdx.x ^ 1u)];
}

// Three times around, each block what the one before it wrote.
__global__ void around_the_grid(float* out) {
  for (int round = 0; round < 3; ++round) {
    out[64 * blockIdx.x + threadIdx.x] = static_cast<float>(round);
    gpu::grid_barrier();
    const float sum = out[64 * ((blockIdx.x + 1) % gridDim.x) + threadIdx.x];
    gpu::grid_barrier();
    if (sum < 0) return;
  }
}

__global__ void block_that_does_not_come(float* out) {
  if (blockIdx.x == 1) return;
  gpu::grid_barrier();
  out[threadIdx.x] = 0;
}

__global__ void thread_that_does_not_come(float* out) {
  if (threadIdx.x == 63) return;
  gpu::grid_barrier();
  out[threadIdx.x] = 0;
}

__global__ void grid_and_block_barrier(float* out) {
  if (threadIdx.x < 32)
    gpu::grid_barrier();
  else
    __syncthreads();
  out[threadIdx.x] = 0;
}

__global__ void two_barriers_of_the_grid(float* out) {
  if (threadIdx.x < 32)
    gpu::grid_barrier();
  else
    gpu::grid_barrier();
  out[threadIdx.x] = 0;
}

__global__ void grid_barrier_alone(float* out) {
  gpu::grid_barrier();
  out[threadIdx.x] = 0;
}

__global__ void no_grid_barrier(float* out) {
  out[64 * blockIdx.x + threadIdx.x] = 1;
  __syncthreads();
  const float other = out[64 * (1 - blockIdx.x) + threadIdx.x];
  gpu::grid_barrier();
  if (other < 0) out[threadIdx.x] = 0;
}

__global__ void written_before_all_have_read(float* out) {
  out[64 * blockIdx.x + threadIdx.x] = 1;
  gpu::grid_barrier();
  const float other = out[64 * (1 - blockIdx.x) + threadIdx.x];
  __syncthreads();
  out[64 * blockIdx.x + threadIdx.x] = other;
}

float* of_another = nullptr;
__global__ void shared_of_another_block(float* out) {
  Shared shared;
  float* x = shared.take<float>(64);
  x[threadIdx.x] = 1;
  if (blockIdx.x == 0 && threadIdx.x == 0) of_another = x;
  gpu::grid_barrier();
  if (blockIdx.x == 1) out[threadIdx.x] = of_another[threadIdx.x];
  gpu::grid_barrier();
}

constexpr size_t kShared = 64 * sizeof(float), kCopies = 256 * sizeof(float);

}  // namespace

const std::vector<Planted> planted = {
    {"nothing_wrong", kAny, "", nothing_wrong, 2, kShared},
    {"divergent_barrier", kAny, "barriers that are not the same", divergent_barrier, 1, 0},
    {"barrier_and_shuffle", kAny, "a deadlock", barrier_and_shuffle, 1, 0},
    {"shuffles_apart", kAny, "warp operations that do not fit", shuffles_apart, 1, 0},
    {"mask_without_itself", kAny, "whose mask is without it", mask_without_itself, 1, 0},
    {"lane_that_ended", kAny, "lane 7, which is not there or has ended", lane_that_ended, 1, 0},
    {"lane_not_asked", kAny, "which does not take part", lane_not_asked, 1, 0},
    {"too_little_shared", kAny, "take 260 bytes, the launch asked for 256", too_little_shared, 1, kShared},
    {"other_sizes", kAny, "takes 132 bytes", other_sizes, 1, kShared},
    {"copy_not_waited_for", kAny, "asynchronous copies that it did not wait for", copy_not_waited_for, 1, kShared},
    {"copy_out_of_line", kAny, "both addresses must be multiples of 16", copy_out_of_line, 1, kShared},
    {"beyond_device_memory", kAddress, "heap-buffer-overflow", beyond_device_memory, 5, 0},
    {"into_the_next_array", kAddress, "heap-buffer-overflow", into_the_next_array, 1, kShared},
    {"vector_out_of_line", kAddress, "misaligned address", vector_out_of_line, 1, 0},
    {"read_before_wait", kAddress, "use-after-poison", read_before_wait, 1, kCopies},
    {"shared_of_a_layout_before", kAddress, "heap-use-after-free", shared_of_a_layout_before, 1, kShared},
    {"shared_of_an_ended_block", kAddress, "heap-use-after-free", shared_of_an_ended_block, 2, kShared},
    {"no_barrier", kRace, "neither a barrier nor __syncwarp lies between", no_barrier, 1, kShared},
    {"no_syncwarp", kRace, "neither a barrier nor __syncwarp lies between", no_syncwarp, 1, kShared},
    {"shuffle_for_a_fence", kRace, "neither a barrier nor __syncwarp lies between", shuffle_for_a_fence, 1, kShared},
    {"syncwarp_of_the_other_half", kRace, "neither a barrier nor __syncwarp lies between", syncwarp_of_the_other_half,
     1, kShared},
    {"race_beside_what_is_to_be_destroyed", kRace, "a read of what nobody wrote", race_beside_what_is_to_be_destroyed,
     1, kShared},
    {"written_after_read", kRace, "neither a barrier nor __syncwarp lies between", written_after_read, 1, kShared},
    {"two_blocks_one_word", kRace, "nothing orders blocks", two_blocks_one_word, 2, 0},
    {"update_of_many", kRace, "neither a barrier nor __syncwarp lies between", update_of_many, 1, kShared},
    {"shared_never_written", kRace, "a read of what nobody wrote", shared_never_written, 1, kShared},
    {"device_never_written", kRace, "a read of what nobody wrote", device_never_written, 1, 0},
    {"read_before_its_wait", kRace, "a read before its copy was waited for", read_before_wait, 1, kCopies},
    {"copied_without_barrier", kRace, "neither a barrier nor __syncwarp lies between", copied_without_barrier, 1,
     kCopies},
    {"around_the_grid", kAny, "", around_the_grid, 5, 0, true},
    {"block_that_does_not_come", kAny, "block (1, 0, 0) does not come: it has ended", block_that_does_not_come, 3, 0,
     true},
    {"thread_that_does_not_come", kAny, "at the grid's barrier", thread_that_does_not_come, 2, 0, true},
    {"grid_and_block_barrier", kAny, "a deadlock", grid_and_block_barrier, 2, 0, true},
    {"two_barriers_of_the_grid", kAny, "barriers that are not the same", two_barriers_of_the_grid, 2, 0, true},
    {"grid_barrier_alone", kAny, "not all alive at once", grid_barrier_alone, 2, 0},
    {"more_than_are_alive", kAny, "6 are alive at once", around_the_grid, 7, 0, true},
    {"no_grid_barrier", kRace, "no barrier of the grid lies between", no_grid_barrier, 2, 0, true},
    {"written_before_all_have_read", kRace, "no barrier of the grid lies between", written_before_all_have_read, 2, 0,
     true},
    {"shared_of_another_block", kRace, "the shared memory of another block", shared_of_another_block, 2, kShared, true},
};

}  // namespace zs::faults
