#include "cuda/embed.cuh"
#include "cuda/tuning.h"

namespace zs::cuda {
namespace {

template <class Storage>
__global__ void __launch_bounds__(kRowThreads) embed_rows(Embed e) {
  const int i = static_cast<int>(blockIdx.y) * kRowThreads + static_cast<int>(threadIdx.x);
  if (i < e.x_stride) embed_value<Storage>(e, blockIdx.x, i);
}

}  // namespace

std::string embed(const Embed& embed, int32_t rows, gpu::Stream stream) {
  const auto blocks = static_cast<unsigned>((embed.x_stride + kRowThreads - 1) / kRowThreads);
  return of_storage("embed", embed.storage, [&](auto storage) {
    return gpu::launch(embed_rows<decltype(storage)>, gpu::Grid{static_cast<unsigned>(rows), blocks, 1}, kRowThreads, 0,
                       stream, embed);
  });
}

}  // namespace zs::cuda
