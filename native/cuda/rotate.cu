#include "cuda/exact.h"
#include "cuda/rows.h"
#include "cuda/tuning.h"

namespace zs::cuda {
namespace {

__global__ void __launch_bounds__(kRowThreads) rotate_rows(Rotate r) {
  const int i = static_cast<int>(blockIdx.y) * kRowThreads + static_cast<int>(threadIdx.x);
  if (i >= r.heads * r.pairs) return;
  const int head = i / r.pairs, pair = i % r.pairs;
  auto* const x = reinterpret_cast<float2*>(r.x + blockIdx.x * r.x_stride + static_cast<int64_t>(head) * r.d) + pair;
  const auto* const angles = reinterpret_cast<const float2*>(r.angles);
  const float2 angle = angles[static_cast<int64_t>(r.positions[blockIdx.x]) * r.pairs + pair], was = *x;
  *x = turned(was, angle);
}

}  // namespace

std::string rotate(const Rotate& rotate, int32_t rows, gpu::Stream stream) {
  if (rotate.d < 2 || rotate.d % 2 || rotate.pairs < 1 || 2 * rotate.pairs > rotate.d)
    return "rotate on the GPU takes an even headDim and up to half as many pairs, not " + std::to_string(rotate.d) +
           " and " + std::to_string(rotate.pairs);
  const auto blocks = static_cast<unsigned>((rotate.heads * rotate.pairs + kRowThreads - 1) / kRowThreads);
  return gpu::launch(rotate_rows, gpu::Grid{static_cast<unsigned>(rows), blocks, 1}, kRowThreads, 0, stream, rotate);
}

}  // namespace zs::cuda
