// A block has some tiles of 16 outputs, whose weights go through shared memory in stages, copied while those before are used: the two chains of
// an output are serial, and there are few outputs for so many multiprocessors, so what is under way cannot be left to the number of threads.
// Half of the threads take the even inputs of an output each, half the odd ones.
#include "cuda/exact.h"
#include "cuda/storage.h"
#include "cuda/tuning.h"
#include "cuda/vector_product.h"

namespace zs::cuda {
namespace {

struct FewRows {
  const unsigned char* w;
  const float* x;
  float* y;
  int64_t y_stride;
  int32_t outputs, k, rows;
  Then then;
};

// Of a weight storage, `R` rows and `Tiles` tiles a block.
template <class Storage, int R, int Tiles>
struct ProductShape {
  static constexpr int kElement = static_cast<int>(sizeof(typename Storage::Element));
  static constexpr int kOutputs = Tiles * kLane, kThreads = 2 * kOutputs;
  static constexpr int kInputs = kProductBytes / kElement;  // of a stage
  static constexpr int kPitch =
      kProductBytes + 16;  // so that 8 lanes, which are served at once, lie in different banks
};

template <class Shape, int R>
struct ProductLayout {
  unsigned char* weights;
  float *x, *sums;
  template <class Shared>
  __host__ __device__ explicit ProductLayout(Shared& shared) {
    weights = shared.template take<unsigned char>(kProductStages * Shape::kOutputs * Shape::kPitch);
    x = shared.template take<float>(kProductStages * R * Shape::kInputs);
    sums = shared.template take<float>(R * Shape::kOutputs);
  }
  __device__ __forceinline__ unsigned char* weights_of(int stage) const {
    return weights + stage % kProductStages * (Shape::kOutputs * Shape::kPitch);
  }
  __device__ __forceinline__ float* x_of(int stage) const { return x + stage % kProductStages * (R * Shape::kInputs); }
};

// Begins to copy a stage, if there is one.
template <class Shape, class Layout>
__device__ __forceinline__ void fetch(const FewRows& p, const Layout& at, int first, int count, int stage) {
  constexpr int kPieces = kProductBytes / 16;
  const int t = static_cast<int>(threadIdx.x), from = stage * Shape::kInputs, inputs = min(p.k - from, Shape::kInputs);
  if (inputs > 0) {
    const int piece = t % kPieces;
    if (piece * 16 < inputs * Shape::kElement)
      for (int row = t / kPieces; row < count; row += Shape::kThreads / kPieces)
        gpu::cp_async16(at.weights_of(stage) + row * Shape::kPitch + piece * 16,
                        p.w + (static_cast<int64_t>(first + row) * p.k + from) * Shape::kElement + piece * 16);
    for (int r = 0; r < p.rows; ++r)
      for (int i = 4 * t; i < inputs; i += 4 * Shape::kThreads)
        gpu::cp_async16(at.x_of(stage) + r * Shape::kInputs + i, p.x + static_cast<int64_t>(r) * p.k + from + i);
  }
  gpu::cp_async_commit();
}

// Of 16 bytes of weights the i-th even or odd one.
__device__ __forceinline__ uint32_t word_of(const uint4& piece, int i) {
  return i == 0 ? piece.x : i == 1 ? piece.y : i == 2 ? piece.z : piece.w;
}
template <int odd>
__device__ __forceinline__ float weight_of(F32, const uint4& piece, int i) {
  return gpu::float_of(word_of(piece, 2 * i + odd));
}
template <int odd>
__device__ __forceinline__ float weight_of(F16, const uint4& piece, int i) {
  return gpu::widen_f16(static_cast<uint16_t>(word_of(piece, i) >> 16 * odd));
}
template <int odd>
__device__ __forceinline__ float weight_of(BF16, const uint4& piece, int i) {
  return gpu::float_of(odd ? word_of(piece, i) & 0xffff0000u : word_of(piece, i) << 16);
}

// One output's chain of the even or of the odd inputs goes on over a stage, for all rows.
template <class Storage, class Shape, int R, int odd>
__device__ __forceinline__ void go_on(const unsigned char* weights, const float* x, int inputs, float (&sum)[R]) {
  constexpr int kOfPiece = 16 / Shape::kElement;
  const auto* const pieces = reinterpret_cast<const uint4*>(weights);
  for (int p = 0; p < inputs / kOfPiece; ++p) {
    const uint4 piece = gpu::load_wide<uint4>(pieces + p);
    float w[kOfPiece / 2];
    ZS_UNROLL for (int i = 0; i < kOfPiece / 2; ++i) w[i] = weight_of<odd>(Storage(), piece, i);
    ZS_UNROLL for (int r = 0; r < R; ++r) {
      const auto* const four = reinterpret_cast<const float4*>(x + r * Shape::kInputs + p * kOfPiece);
      ZS_UNROLL for (int i = 0; i < kOfPiece / 4; ++i) {
        const float4 v = gpu::load_wide<float4>(four + i);
        sum[r] = fmaf(w[2 * i], odd ? v.y : v.x, sum[r]);
        sum[r] = fmaf(w[2 * i + 1], odd ? v.w : v.z, sum[r]);
      }
    }
  }
}

template <class Storage, int R, int Tiles>
__global__ void __launch_bounds__(2 * Tiles * kLane) vector_product(FewRows p) {
  using Shape = ProductShape<Storage, R, Tiles>;
  const int t = static_cast<int>(threadIdx.x), output = t % Shape::kOutputs, odd = t / Shape::kOutputs;
  const int first = static_cast<int>(blockIdx.x) * Shape::kOutputs, count = min(p.outputs - first, Shape::kOutputs);
  gpu::Shared shared;
  const ProductLayout<Shape, R> at(shared);
  // Rows that are not there are computed along.
  for (int i = t; i < kProductStages * R * Shape::kInputs; i += Shape::kThreads)
    if (i / Shape::kInputs % R >= p.rows) at.x[i] = 0;

  float sum[R];
  ZS_UNROLL for (int r = 0; r < R; ++r) sum[r] = 0;
  for (int s = 0; s + 1 < kProductStages; ++s) fetch<Shape>(p, at, first, count, s);
  for (int s = 0; s * Shape::kInputs < p.k; ++s) {
    gpu::cp_async_wait<kProductStages - 2>();
    __syncthreads();
    fetch<Shape>(p, at, first, count, s + kProductStages - 1);
    if (output >= count) continue;
    const unsigned char* const weights = at.weights_of(s) + output * Shape::kPitch;
    const int inputs = min(p.k - s * Shape::kInputs, Shape::kInputs);
    if (odd)
      go_on<Storage, Shape, R, 1>(weights, at.x_of(s), inputs, sum);
    else
      go_on<Storage, Shape, R, 0>(weights, at.x_of(s), inputs, sum);
  }
  gpu::cp_async_wait<0>();

  if (odd) ZS_UNROLL for (int r = 0; r < R; ++r) at.sums[r * Shape::kOutputs + output] = sum[r];
  __syncthreads();
  if (!odd && output < count) ZS_UNROLL for (int r = 0; r < R; ++r) {
      const float whole = sum[r] + at.sums[r * Shape::kOutputs + output];
      if (p.then == Then::kActivate) {
        at.sums[r * Shape::kOutputs + output] = whole;
      } else if (r < p.rows) {
        float* const y = p.y + r * p.y_stride + first + output;
        *y = p.then == Then::kAdd ? *y + whole : whole;
      }
    }
  if (p.then != Then::kActivate) return;
  __syncthreads();
  for (int i = t; i < p.rows * (Shape::kOutputs / 2); i += Shape::kThreads) {
    const int r = i / (Shape::kOutputs / 2), j = i % (Shape::kOutputs / 2);
    const float* const gate = at.sums + r * Shape::kOutputs + j / kLane * 2 * kLane + j % kLane;
    if (j < count / 2) p.y[r * p.y_stride + first / 2 + j] = swiglu_of(gate[0], gate[kLane]);
  }
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
