// Pages in device memory.
#ifndef ZSLAB_CUDA_BACKEND_TWIN_H
#define ZSLAB_CUDA_BACKEND_TWIN_H

#include "core/pages.h"
#include "cuda/backend/context.h"

namespace zs::cuda {

class PageTwin : public Twin {
 public:
  // With the page's content.
  PageTwin(std::shared_ptr<Context> context, const Geometry& geometry, const Page& page);
  PageTwin(std::shared_ptr<Context> context, const Geometry& geometry, int32_t capacity);  // zeros
  PageTwin(const PageTwin& other, int32_t capacity);                                       // as Twin::copy
  void read(Page& page) const override;
  std::shared_ptr<Twin> copy(int32_t capacity) const override;

 private:
  void make(int32_t capacity);
  int64_t tile_bytes() const { return int64_t{kLane} * geometry_.d * geometry_.element(); }
  int64_t row_bytes() const { return geometry_.padded() * geometry_.element(); }
  int64_t key_bytes() const { return round_up(capacity_, kLane) / kLane * tile_bytes(); }
  int64_t value_bytes() const { return capacity_ * row_bytes(); }

  const std::shared_ptr<Context> context_;
  const Geometry geometry_;
  int32_t capacity_ = 0;
  Memory memory_;
};

}  // namespace zs::cuda
#endif
