// A block a row, which it reads twice: for the largest, then, out of the second-level cache, for the sum.
#include "cuda/exact.h"
#include "cuda/logits.h"
#include "cuda/tuning.h"

namespace zs::cuda {
namespace {

constexpr int kWarp = 32;
constexpr unsigned kAll = 0xffffffffu;

struct LogitsLayout {
  float *values, *rests;
  int* places;
  template <class Shared>
  __host__ __device__ explicit LogitsLayout(Shared& shared) {
    values = shared.template take<float>(kLogitsThreads);
    rests = shared.template take<float>(kLogitsThreads);
    places = shared.template take<int>(kLogitsThreads);
  }
};

// Of equals the one further to the front; -1 = nowhere.
__device__ __forceinline__ void take_larger(float& top, int& place, float other, int other_place) {
  if (other > top || (other == top && other_place >= 0 && other_place < place)) top = other, place = other_place;
}

// a + b, and what rounding left of it is added to `rest`.
__device__ __forceinline__ float add_exactly(float a, float b, float& rest) {
  const float sum = a + b, of_b = sum - a;
  rest = rest + ((a - (sum - of_b)) + (b - of_b));
  return sum;
}

__global__ void __launch_bounds__(kLogitsThreads)
    summarize(const float* logits, int64_t stride, int count, LogitsSummary* out) {
  const int t = static_cast<int>(threadIdx.x);
  const float* const row = logits + blockIdx.x * stride;
  gpu::Shared shared;
  const LogitsLayout at(shared);

  float top = minus_infinity();
  int place = -1;
  for (int i = t; i < count; i += kLogitsThreads) {
    const float x = row[i];
    if (x > top) top = x, place = i;
  }
  at.values[t] = top;
  at.places[t] = place;
  __syncthreads();
  if (t < kWarp) {
    for (int i = t + kWarp; i < kLogitsThreads; i += kWarp) take_larger(top, place, at.values[i], at.places[i]);
    ZS_UNROLL for (int half = kWarp / 2; half; half /= 2) {
      const float other = __shfl_down_sync(kAll, top, half);
      take_larger(top, place, other, __shfl_down_sync(kAll, place, half));
    }
    if (t == 0) at.values[0] = top;
  }
  __syncthreads();
  // As where the CPU begins with the first: if that is no number, nothing is larger.
  const float highest = row[0] == row[0] ? at.values[0] : row[0];
  __syncthreads();

  float sum = 0, rest = 0;
  // What exp_of makes of not-a-number is near the largest float: less by 2^32, a whole row of it is still a number.
  for (int i = t; i < count; i += kLogitsThreads) sum = add_exactly(sum, exp_of(row[i] - highest) * 0x1p-32f, rest);
  at.values[t] = sum;
  at.rests[t] = rest;
  __syncthreads();
  if (t >= kWarp) return;
  for (int i = t + kWarp; i < kLogitsThreads; i += kWarp) {
    rest = rest + at.rests[i];
    sum = add_exactly(sum, at.values[i], rest);
  }
  ZS_UNROLL for (int half = kWarp / 2; half; half /= 2) {
    const float other = __shfl_down_sync(kAll, sum, half);
    rest = rest + __shfl_down_sync(kAll, rest, half);
    sum = add_exactly(sum, other, rest);
  }
  if (t == 0) out[blockIdx.x] = {place, highest, sum, rest};
}

}  // namespace

std::string summarize_logits(const float* logits, int64_t stride, int32_t count, LogitsSummary* out, int32_t rows,
                             gpu::Stream stream) {
  if (count < 1) return "summarize_logits takes rows of at least one logit, not " + std::to_string(count);
  gpu::Shared shared = gpu::Shared::counting();
  const LogitsLayout layout(shared);
  (void)layout;
  return gpu::launch(summarize, gpu::Grid{static_cast<unsigned>(rows), 1, 1}, kLogitsThreads, shared.bytes(), stream,
                     logits, stride, count, out);
}

}  // namespace zs::cuda
