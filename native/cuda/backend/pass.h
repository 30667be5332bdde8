// Rows on their way through a model in device memory: the residual stream, and what a chunk of rows takes between two products.
#ifndef ZSLAB_CUDA_BACKEND_PASS_H
#define ZSLAB_CUDA_BACKEND_PASS_H

#include <vector>

#include "core/device_pass.h"
#include "cuda/backend/model.h"

namespace zs::cuda {

class GpuPass : public DevicePass {
 public:
  // For `tokens` rows, of which up to `chunk` are given at once. Throws where the device has no memory for them.
  GpuPass(GpuModel& model, int64_t tokens, int64_t chunk);
  void embed(const int32_t* ids, int64_t tokens, const float* angles) override;
  void project(int32_t layer, int64_t row, int64_t count, float* qkv, const GoOn& go_on) override;
  void feed_forward(int32_t layer, int64_t row, int64_t count, const float* attended, const GoOn& go_on) override;
  void logits(const int64_t* rows, int64_t count, float* to) override;

 private:
  // Rows of one product: how many, and what its inputs are rounded to.
  struct Part {
    int64_t at, rows;  // of the chunk
    int32_t storage;
  };
  template <class F>
  void each_part(int64_t count, const GoOn& go_on, F f);
  int64_t most_rows() const;
  int32_t storage_of(int64_t rows) const;
  void prepare(int64_t rows);
  void norm(const float* weights, const Matrix& w, int64_t row, int64_t rows, int32_t storage, int64_t to = 0);
  void multiply(const Matrix& w, const void* x, const Part& part, Then then, void* y, int64_t y_stride);
  float* hidden(int64_t row) const { return hidden_ + row * stride_; }

  GpuModel& model_;
  Context& context_;
  const GpuModel::Layer& one_;  // of layers, which have one shape
  const int64_t stride_;        // of rows of the residual stream
  const bool library_;          // there is one for products of many rows
  Memory memory_;
  float *hidden_ = nullptr, *angles_ = nullptr, *qkv_ = nullptr, *attended_ = nullptr, *scratch_ = nullptr,
        *logits_ = nullptr;
  void *input_ = nullptr, *active_ = nullptr;
  int32_t *ids_ = nullptr, *positions_ = nullptr;
  int64_t active_bytes_ = 0;
  int32_t active_storage_ = ZS_F32;  // of what lies in active_
};

}  // namespace zs::cuda
#endif
