// A block has some tiles of 16 outputs, whose weights go through shared memory in stages, copied while those before are used: the two chains of
// an output are serial, and there are few outputs for so many multiprocessors, so what is under way cannot be left to the number of threads.
// Half of the threads take the even inputs of an output each, half the odd ones.
#ifndef ZSLAB_CUDA_VECTOR_PRODUCT_CUH
#define ZSLAB_CUDA_VECTOR_PRODUCT_CUH

#include "cuda/exact.h"
#include "cuda/storage.h"
#include "cuda/tuning.h"
#include "cuda/vector_product.h"

namespace zs::cuda {

struct FewRows {
  const unsigned char* w;
  const float* x;
  float* y;
  int64_t y_stride;
  int32_t outputs, k, rows;
  Then then;
};

// Of a weight storage, `R` rows and `Tiles` tiles a block of `Threads`, of which two have an output. `Whole`: the one row lies in shared memory
// as a whole before.
template <class Storage, int R, int Tiles, int Threads = 2 * Tiles * kLane, bool Whole = false>
struct ProductShape {
  static constexpr int kElement = static_cast<int>(sizeof(typename Storage::Element));
  static constexpr int kOutputs = Tiles * kLane, kThreads = Threads;
  static constexpr bool kWhole = Whole;
  static constexpr int kInputs = kProductBytes / kElement;  // of a stage
  static constexpr int kPitch =
      kProductBytes + 16;  // so that 8 lanes, which are served at once, lie in different banks
};

template <class Shape, int R>
struct ProductLayout {
  unsigned char* weights;
  float *x, *sums;
  template <class Shared>
  __host__ __device__ explicit ProductLayout(Shared& shared, int k = 0) {
    weights = shared.template take<unsigned char>(kProductStages * Shape::kOutputs * Shape::kPitch);
    x = shared.template take<float>(Shape::kWhole ? k : kProductStages * R * Shape::kInputs);
    sums = shared.template take<float>(R * Shape::kOutputs);
  }
  __device__ __forceinline__ unsigned char* weights_of(int stage) const {
    return weights + stage % kProductStages * (Shape::kOutputs * Shape::kPitch);
  }
  __device__ __forceinline__ float* x_of(int stage) const {
    return x + (Shape::kWhole ? stage : stage % kProductStages) * (R * Shape::kInputs);
  }
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
    if constexpr (!Shape::kWhole)
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

// Thread t % kOutputs gets its output's sums, of a block's `count` outputs from `first` on; each thread calls it.
template <class Storage, class Shape, int R>
__device__ __forceinline__ void sums_of(const FewRows& p, const ProductLayout<Shape, R>& at, int first, int count,
                                        float (&sum)[R]) {
  const int t = static_cast<int>(threadIdx.x), output = t % Shape::kOutputs, odd = t / Shape::kOutputs;
  const bool none = Shape::kThreads > 2 * Shape::kOutputs && odd > 1;
  ZS_UNROLL for (int r = 0; r < R; ++r) sum[r] = 0;
  for (int s = 0; s + 1 < kProductStages; ++s) fetch<Shape>(p, at, first, count, s);
  for (int s = 0; s * Shape::kInputs < p.k; ++s) {
    gpu::cp_async_wait<kProductStages - 2>();
    __syncthreads();
    fetch<Shape>(p, at, first, count, s + kProductStages - 1);
    if (none || output >= count) continue;
    const unsigned char* const weights = at.weights_of(s) + output * Shape::kPitch;
    const int inputs = min(p.k - s * Shape::kInputs, Shape::kInputs);
    if (odd)
      go_on<Storage, Shape, R, 1>(weights, at.x_of(s), inputs, sum);
    else
      go_on<Storage, Shape, R, 0>(weights, at.x_of(s), inputs, sum);
  }
  gpu::cp_async_wait<0>();

  if (odd && !none) ZS_UNROLL for (int r = 0; r < R; ++r) at.sums[r * Shape::kOutputs + output] = sum[r];
  __syncthreads();
  if (!odd) ZS_UNROLL for (int r = 0; r < R; ++r) sum[r] = sum[r] + at.sums[r * Shape::kOutputs + output];
}

// What becomes of the sums of a block; those of kActivate are exchanged in shared memory.
template <class Shape, int R>
__device__ __forceinline__ void give(const FewRows& p, const ProductLayout<Shape, R>& at, int first, int count,
                                     const float (&sum)[R]) {
  const int t = static_cast<int>(threadIdx.x), output = t;
  if (output < Shape::kOutputs && output < count) ZS_UNROLL for (int r = 0; r < R; ++r) {
      if (p.then == Then::kActivate) {
        at.sums[r * Shape::kOutputs + output] = sum[r];
      } else if (r < p.rows) {
        float* const y = p.y + r * p.y_stride + first + output;
        *y = p.then == Then::kAdd ? *y + sum[r] : sum[r];
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

}  // namespace zs::cuda
#endif
