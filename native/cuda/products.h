// Matrix products of a model's step: who computes them is decided by the row count alone.
//
// Up to kFewRows rows it is a kernel of our own, which reads each weight once. Its outputs are those of native/cpu bit for bit, whatever the row
// count: even inputs in one chain of fused multiply-adds, odd inputs in another, then even + odd. More rows go to cuBLASLt, whose order of sums
// is its own and may change with shapes and versions: outputs are then within the rounding of float32 sums.
#ifndef ZSLAB_CUDA_PRODUCTS_H
#define ZSLAB_CUDA_PRODUCTS_H

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "cuda/cublaslt.h"
#include "cuda/gpu.h"
#include "zslab/zslab.h"

namespace zs::cuda {

constexpr int32_t kFewRows = 8;

// [outputs][k] in device memory, at a multiple of 16 bytes: `outputs` a multiple of 16 and k, the inputs, of 32, zeros where the model has none.
struct Matrix {
  const void* data;
  int32_t storage;  // zs_storage
  int64_t outputs, k;

  int64_t bytes() const { return outputs * k * (storage == ZS_F32 ? 4 : 2); }
};

enum class Then {
  kStore,     // y = W x
  kAdd,       // y += W x
  kActivate,  // y = swiglu(W x), half as wide: outputs are 16 gate values and 16 up values in turn
};

struct Product {
  Matrix w;
  const void* x;  // rows of w.k values side by side, of rows_storage(w, rows), at a multiple of 16 bytes
  int32_t rows;
  Then then;
  void* y;  // float32; for kActivate like x
  int64_t y_stride;
  float* scratch = nullptr;  // [rows][w.outputs], for kActivate of more than kFewRows rows
};

// What x is rounded to. cuBLASLt wants it like the weights: of float16, what is 65520 or more becomes infinite.
inline int32_t rows_storage(const Matrix& w, int32_t rows) { return rows <= kFewRows ? ZS_F32 : w.storage; }

class Products {
 public:
  Products();
  ~Products();
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;

  // → what was wrong; empty = launched.
  std::string multiply(const Product& product, gpu::Stream stream);
  // Loads cuBLASLt and makes what it needs, unless that was done before. → what was wrong: only products of few rows are there then.
  std::string need_library();
  // All that a product of many rows needs beside its arguments, of which only shapes are looked at: `memory` gives the library's workspace and
  // may throw. → what was wrong.
  std::string prepare(const Product& product, const std::function<std::shared_ptr<void>(size_t bytes)>& memory);

 private:
  struct Plan;
  using Shape = std::tuple<int32_t, int64_t, int64_t, int32_t, int64_t>;  // storage, outputs, k, rows, y_stride
  std::string need_workspace(size_t bytes, const std::function<std::shared_ptr<void>(size_t)>& memory);
  std::string by_library(const Product& product, gpu::Stream stream);
  std::string plan_of(const Product& product, int64_t y_stride, const Plan** found);

  const Cublaslt* library_ = nullptr;
  void* handle_ = nullptr;
  std::shared_ptr<void> workspace_;
  size_t workspace_bytes_ = 0;
  std::map<Shape, std::unique_ptr<Plan>> plans_;
};

}  // namespace zs::cuda
#endif
