#include "cuda/exact.h"
#include "cuda/grid_barrier.h"
#include "cuda/test/words.h"

namespace zs::words {
namespace {

constexpr unsigned kAll = 0xffffffffu;

__global__ void exchange(int* out) {
  const int t = static_cast<int>(threadIdx.x);
  gpu::Shared shared;
  int* const a = shared.take<int>(kThreads);
  int* const b = shared.take<int>(kThreads);
  a[t] = t;
  __syncthreads();
  b[t] = a[kThreads - 1 - t];
  __syncwarp();
  out[0 * kThreads + t] = __shfl_sync(kAll, t, 5);
  out[1 * kThreads + t] = __shfl_xor_sync(kAll, t, 3);
  out[2 * kThreads + t] = __shfl_down_sync(kAll, t, 4, 16);
  out[3 * kThreads + t] = static_cast<int>(__ballot_sync(kAll, t % 3 == 0));
  out[4 * kThreads + t] = static_cast<int>(blockIdx.x + gridDim.x * blockDim.x);
  out[5 * kThreads + t] = a[kThreads - 1 - t];
  out[6 * kThreads + t] = b[t ^ 1];
  out[7 * kThreads + t] = __popc(static_cast<unsigned>(t) << 20);
}

__global__ void wide(const float* in, float* out) {
  const int t = static_cast<int>(threadIdx.x);
  gpu::Shared shared;
  float* const x = shared.take<float>(4 * kThreads);
  gpu::store_wide(x + 4 * t, gpu::load_wide<float4>(in + 4 * t));
  __syncthreads();
  const int other = kThreads - 1 - t;
  const uint2 half = gpu::load_wide<uint2>(x + 4 * other + 2);
  const uint4 whole = gpu::load_wide<uint4>(x + 4 * other);
  gpu::store_wide(out + 4 * other, uint4{whole.x, whole.y, half.x, half.y});
}

__global__ void copy(const float* in, float* out) {
  const int t = static_cast<int>(threadIdx.x);
  gpu::Shared shared;
  float* const x = shared.take<float>(4 * kThreads);
  // The first half of the threads' numbers, then the others'.
  for (int group = 0; group < 2; ++group) {
    if (t / (kThreads / 2) == group) gpu::cp_async16(x + 4 * t, in + 4 * t);
    gpu::cp_async_commit();
  }
  gpu::cp_async_wait<1>();
  __syncthreads();
  if (t < kThreads / 2)
    for (int i = 0; i < 4; ++i) out[4 * (kThreads / 2 - 1 - t) + i] = x[4 * (kThreads / 2 - 1 - t) + i];
  gpu::cp_async_wait<0>();
  __syncthreads();
  if (t < kThreads / 2)
    for (int i = 0; i < 4; ++i) out[4 * (kThreads - 1 - t) + i] = x[4 * (kThreads - 1 - t) + i];
}

// Each block gives the next one what it has, once a round.
__global__ void pass_on(int rounds, int* numbers, int* out) {
  const int t = static_cast<int>(threadIdx.x), block = static_cast<int>(blockIdx.x),
            blocks = static_cast<int>(gridDim.x);
  int mine = block * kThreads + t;
  for (int round = 0; round < rounds; ++round) {
    numbers[block * kThreads + t] = mine + 1;
    gpu::grid_barrier();
    mine = numbers[(block + blocks - 1) % blocks * kThreads + kThreads - 1 - t];
    gpu::grid_barrier();
  }
  out[block * kThreads + t] = mine;
}

__global__ void widen(float* out) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = gpu::widen_f16(static_cast<uint16_t>(i));
}

__global__ void exponential(uint32_t first, uint32_t step, int count, float* out) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) out[i] = cuda::exp_of(gpu::float_of(first + static_cast<uint32_t>(i) * step));
}

}  // namespace

std::string exchanges(int* out, gpu::Stream stream) {
  return gpu::launch(exchange, gpu::Grid{1, 1, 1}, kThreads, 2 * kThreads * sizeof(int), stream, out);
}
std::string copies(const float* in, float* out, gpu::Stream stream) {
  return gpu::launch(copy, gpu::Grid{1, 1, 1}, kThreads, 4 * kThreads * sizeof(float), stream, in, out);
}
std::string wides(const float* in, float* out, gpu::Stream stream) {
  return gpu::launch(wide, gpu::Grid{1, 1, 1}, kThreads, 4 * kThreads * sizeof(float), stream, in, out);
}
std::string most_passed_on(int& blocks) { return gpu::most_together(pass_on, kThreads, 0, 2, blocks); }
std::string passed_on(int blocks, int rounds, int* numbers, int* out, gpu::Stream stream) {
  return gpu::launch_together(pass_on, blocks, kThreads, 0, stream, rounds, numbers, out);
}
std::string halves(float* out, gpu::Stream stream) {
  return gpu::launch(widen, gpu::Grid{65536 / kThreads, 1, 1}, kThreads, 0, stream, out);
}
std::string exponentials(uint32_t first, uint32_t step, int count, float* out, gpu::Stream stream) {
  const auto blocks = static_cast<unsigned>((count + kThreads - 1) / kThreads);
  return gpu::launch(exponential, gpu::Grid{blocks, 1, 1}, kThreads, 0, stream, first, step, count, out);
}

}  // namespace zs::words
