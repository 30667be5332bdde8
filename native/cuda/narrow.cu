#include "cuda/rows.h"
#include "cuda/storage.h"
#include "cuda/tuning.h"

namespace zs::cuda {
namespace {

template <class Storage>
__global__ void __launch_bounds__(kRowThreads) narrow_rows(Narrow n) {
  const int i = static_cast<int>(blockIdx.y) * kRowThreads + static_cast<int>(threadIdx.x);
  if (i >= n.n) return;
  static_cast<typename Storage::Element*>(n.y)[blockIdx.x * n.y_stride + i] =
      Storage::narrow(n.x[blockIdx.x * n.x_stride + i]);
}

}  // namespace

std::string narrow(const Narrow& narrow, int32_t rows, gpu::Stream stream) {
  const auto blocks = static_cast<unsigned>((narrow.n + kRowThreads - 1) / kRowThreads);
  return of_storage("narrow", narrow.storage, [&](auto storage) {
    return gpu::launch(narrow_rows<decltype(storage)>, gpu::Grid{static_cast<unsigned>(rows), blocks, 1}, kRowThreads,
                       0, stream, narrow);
  });
}

}  // namespace zs::cuda
