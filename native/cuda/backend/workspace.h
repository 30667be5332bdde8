// Memory that steps work in, one layer after another.
#ifndef ZSLAB_CUDA_BACKEND_WORKSPACE_H
#define ZSLAB_CUDA_BACKEND_WORKSPACE_H

#include "core/kernels.h"
#include "cuda/backend/pool.h"

namespace zs::cuda {

class Workspace {
 public:
  explicit Workspace(std::shared_ptr<Pool> pool) : pool_(std::move(pool)) {}
  // For so many floats afterwards, with some ahead; `version` is another where it has moved.
  float* need(int64_t floats) {
    if (floats > size_) {
      memory_.reset();  // before there is more, since the two may not fit; whoever worked in it has to ask again
      size_ = 0;
      ++version_;
      memory_ = pool_->take((floats + floats / 4) * 4);
      size_ = floats + floats / 4;
    }
    return as<float>(memory_);
  }
  int64_t version() const { return version_; }

 private:
  const std::shared_ptr<Pool> pool_;
  Memory memory_;
  int64_t size_ = 0, version_ = 0;
};

}  // namespace zs::cuda
#endif
