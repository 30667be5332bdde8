#include "cuda/rows.h"
#include "cuda/storage.h"
#include "cuda/tuning.h"

namespace zs::cuda {
namespace {

template <class Storage>
__global__ void __launch_bounds__(kRowThreads) swiglu_rows(Activate a) {
  const int i = static_cast<int>(blockIdx.y) * kRowThreads + static_cast<int>(threadIdx.x);
  if (i >= a.tiles * kLane) return;
  const float* const gate = a.gate_up + blockIdx.x * a.gate_up_stride + i / kLane * 2 * kLane + i % kLane;
  static_cast<typename Storage::Element*>(a.y)[blockIdx.x * a.y_stride + i] =
      Storage::narrow(swiglu_of(gate[0], gate[kLane]));
}

}  // namespace

std::string activate(const Activate& activate, int32_t rows, gpu::Stream stream) {
  const auto blocks = static_cast<unsigned>((activate.tiles * kLane + kRowThreads - 1) / kRowThreads);
  return of_storage("activate", activate.storage, [&](auto storage) {
    return gpu::launch(swiglu_rows<decltype(storage)>, gpu::Grid{static_cast<unsigned>(rows), blocks, 1}, kRowThreads,
                       0, stream, activate);
  });
}

}  // namespace zs::cuda
