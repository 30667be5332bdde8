// What a layer does with rows beside attention and products (model/rows.h), with the bits of native/cpu: embed, norm, rotate, activate, narrow. All
// pointers are to device memory; rows begin at multiples of 16 bytes. Each function → what was wrong; empty = launched.
#ifndef ZSLAB_CUDA_ROWS_H
#define ZSLAB_CUDA_ROWS_H

#include <cstdint>
#include <string>

#include "cuda/gpu.h"

namespace zs::cuda {

// Row r of the residual stream becomes the embedding of ids[r], and zeros behind it.
struct Embed {
  const int32_t* ids;   // [rows], each a row of the weights
  const void* weights;  // rows of `n` values, weights_stride apart
  int64_t weights_stride;
  int32_t storage;  // zs_storage of the weights
  int32_t n;
  float* x;
  int64_t x_stride;
};
std::string embed(const Embed& embed, int32_t rows, gpu::Stream stream);

// y = x / sqrt(mean(x^2) + eps) * weight, rounded to `storage`, and zeros behind the n values: rows for a product. x is read to a multiple of
// 4 values, which x_stride is.
struct RmsNorm {
  const float* x;
  int64_t x_stride;
  const float* weight;  // [n]
  int32_t n;
  float eps;
  int32_t storage;  // zs_storage of y
  void* y;
  int64_t y_stride;
};
std::string rms_norm(const RmsNorm& norm, int32_t rows, gpu::Stream stream);

// Pairs (x[2i], x[2i + 1]) of each head are turned by the angles of the row's position; heads lie d apart, so that queries and keys of a
// fused row are one list.
struct Rotate {
  float* x;
  int64_t x_stride;
  int32_t heads, d, pairs;   // d even
  const float* angles;       // [positions][pairs][2]: cosine and sine
  const int32_t* positions;  // [rows]
};
std::string rotate(const Rotate& rotate, int32_t rows, gpu::Stream stream);

// y[tiles * 16] = gate / (1 + exp(-gate)) * up of tiles in turn, 16 gate values then 16 up values; rounded to `storage`.
struct Activate {
  const float* gate_up;
  int64_t gate_up_stride;
  int32_t tiles;
  int32_t storage;  // zs_storage of y
  void* y;
  int64_t y_stride;
};
std::string activate(const Activate& activate, int32_t rows, gpu::Stream stream);

// y = x, rounded to `storage`.
struct Narrow {
  const float* x;
  int64_t x_stride;
  int32_t n;
  int32_t storage;  // zs_storage of y
  void* y;
  int64_t y_stride;
};
std::string narrow(const Narrow& narrow, int32_t rows, gpu::Stream stream);

}  // namespace zs::cuda
#endif
