// A block a row, which goes through shared memory, all of it under way at once.
#include "cuda/rms_norm.cuh"
#include "cuda/rows.h"
#include "cuda/storage.h"
#include "cuda/tuning.h"

namespace zs::cuda {
namespace {

struct NormLayout {
  float *row, *scale;
  template <class Shared>
  __host__ __device__ NormLayout(Shared& shared, int n) {
    row = shared.template take<float>(round_up(n, 4));
    scale = shared.template take<float>(1);
  }
};

template <class Storage>
__global__ void __launch_bounds__(kNormThreads) norm_rows(RmsNorm norm) {
  const int t = static_cast<int>(threadIdx.x), n = norm.n;
  gpu::Shared shared;
  const NormLayout at(shared, n);
  copy_rows<kNormThreads>(reinterpret_cast<unsigned char*>(at.row),
                          reinterpret_cast<const unsigned char*>(norm.x + blockIdx.x * norm.x_stride),
                          n * static_cast<int>(sizeof(float)));
  gpu::cp_async_commit();
  gpu::cp_async_wait<0>();
  __syncthreads();
  norm_scale(at.row, n, norm.eps, at.scale);
  __syncthreads();
  auto* const y = static_cast<typename Storage::Element*>(norm.y) + blockIdx.x * norm.y_stride;
  for (int i = t; i < norm.y_stride; i += kNormThreads)
    y[i] = Storage::narrow(i < n ? at.row[i] * at.scale[0] * norm.weight[i] : 0);
}

}  // namespace

std::string rms_norm(const RmsNorm& norm, int32_t rows, gpu::Stream stream) {
  if (norm.n < 1 || norm.n > kMostNormed)
    return "rms_norm on the GPU takes rows of 1 to " + std::to_string(kMostNormed) + " values, not " +
           std::to_string(norm.n);
  if (norm.x_stride % 4)
    return "rms_norm on the GPU takes rows a multiple of 4 values apart, not " + std::to_string(norm.x_stride);
  gpu::Shared shared = gpu::Shared::counting();
  const NormLayout layout(shared, norm.n);
  (void)layout;
  return of_storage("rms_norm", norm.storage, [&](auto storage) {
    return gpu::launch(norm_rows<decltype(storage)>, gpu::Grid{static_cast<unsigned>(rows), 1, 1}, kNormThreads,
                       shared.bytes(), stream, norm);
  });
}

}  // namespace zs::cuda
