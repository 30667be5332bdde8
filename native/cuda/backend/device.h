// One device, as the core sees it.
#ifndef ZSLAB_CUDA_BACKEND_DEVICE_H
#define ZSLAB_CUDA_BACKEND_DEVICE_H

#include "core/device_library.h"
#include "cuda/backend/context.h"

namespace zs::cuda {

class GpuDevice : public Device {
 public:
  explicit GpuDevice(const DeviceOptions& options);
  const std::string& description() const override { return description_; }
  int64_t left() const override { return context_->pool->budget() - context_->pool->taken(); }
  std::string refusal(int32_t group, int32_t d, int32_t storage) const override;
  std::shared_ptr<Twin> twin(const Page& page, const Geometry& geometry) override;
  std::shared_ptr<Twin> blank_twin(const Page& page, const Geometry& geometry) override;
  std::unique_ptr<DeviceLayer> layer(int32_t kv_heads) override;
  std::unique_ptr<DeviceModel> model(const DeviceModelShape& shape) override;
  std::unique_ptr<DevicePrompt> prompt(const DevicePromptShape& shape, zs_view q) override;
  void compress(const DeviceCompressionShape& shape, const std::vector<DeviceCompression>& heads) override;

 private:
  std::shared_ptr<Context> context_;
  std::string description_;
};

// What there is, as DeviceExports::list says; throws a sentence where nothing can be used.
std::string list_devices();

}  // namespace zs::cuda
#endif
