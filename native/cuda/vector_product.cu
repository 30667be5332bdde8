#include "cuda/vector_product.cuh"

namespace zs::cuda {
namespace {

template <class Storage, int R, int Tiles>
__global__ void __launch_bounds__(2 * Tiles * kLane) vector_product(FewRows p) {
  using Shape = ProductShape<Storage, R, Tiles>;
  const int first = static_cast<int>(blockIdx.x) * Shape::kOutputs, count = min(p.outputs - first, Shape::kOutputs);
  gpu::Shared shared;
  const ProductLayout<Shape, R> at(shared);
  // Rows that are not there are computed along.
  for (int i = static_cast<int>(threadIdx.x); i < kProductStages * R * Shape::kInputs; i += Shape::kThreads)
    if (i / Shape::kInputs % R >= p.rows) at.x[i] = 0;
  float sum[R];
  sums_of<Storage>(p, at, first, count, sum);
  give(p, at, first, count, sum);
}

template <class Storage, int R, int Tiles>
std::string multiply_tiles(const FewRows& rows, gpu::Stream stream) {
  using Shape = ProductShape<Storage, R, Tiles>;
  gpu::Shared shared = gpu::Shared::counting();
  const ProductLayout<Shape, R> layout(shared);
  (void)layout;
  const auto blocks = static_cast<unsigned>((rows.outputs + Shape::kOutputs - 1) / Shape::kOutputs);
  return gpu::launch(vector_product<Storage, R, Tiles>, gpu::Grid{blocks, 1, 1}, Shape::kThreads, shared.bytes(),
                     stream, rows);
}

template <class Storage, int R>
std::string multiply_rows(const FewRows& rows, gpu::Stream stream) {
  return rows.outputs < kManyOutputs ? multiply_tiles<Storage, R, 2>(rows, stream)
                                     : multiply_tiles<Storage, R, 4>(rows, stream);
}

}  // namespace

std::string multiply_few(const Product& product, gpu::Stream stream) {
  const FewRows rows = {static_cast<const unsigned char*>(product.w.data),
                        static_cast<const float*>(product.x),
                        static_cast<float*>(product.y),
                        product.y_stride,
                        static_cast<int32_t>(product.w.outputs),
                        static_cast<int32_t>(product.w.k),
                        product.rows,
                        product.then};
  return of_storage("a product", product.w.storage, [&](auto storage) {
    using Storage = decltype(storage);
    return product.rows == 1   ? multiply_rows<Storage, 1>(rows, stream)
           : product.rows == 2 ? multiply_rows<Storage, 2>(rows, stream)
           : product.rows <= 4 ? multiply_rows<Storage, 4>(rows, stream)
                               : multiply_rows<Storage, kFewRows>(rows, stream);
  });
}

}  // namespace zs::cuda
