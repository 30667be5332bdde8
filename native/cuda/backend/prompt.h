// A prompt in device memory, layer by layer: queries, what attention gives, statistics, and the lists of its launches.
#ifndef ZSLAB_CUDA_BACKEND_PROMPT_H
#define ZSLAB_CUDA_BACKEND_PROMPT_H

#include <memory>
#include <vector>

#include "core/device_prompt.h"
#include "cuda/backend/context.h"

namespace zs::cuda {

class GpuPrompt : public DevicePrompt {
 public:
  GpuPrompt(std::shared_ptr<Context> context, const DevicePromptShape& shape, zs_view q);
  void attend(int64_t begin, int64_t end) override;
  void read(zs_view out, float* highest, float* inverse, int64_t stride) override;
  void sum(const std::vector<DeviceSums>& units, int32_t group, int64_t to) override;

 private:
  int64_t heads() const { return int64_t{shape_.kv_heads} * shape_.group; }

  const std::shared_ptr<Context> context_;
  DevicePromptShape shape_;  // with the bias on the device, too
  bool floats_ = false;      // as of PrefillShape
  Memory memory_, sums_;
  int64_t sums_bytes_ = 0;
  // In device memory: [heads][rows][d], statistics [heads][rows].
  float *q_ = nullptr, *out_ = nullptr, *highest_ = nullptr, *inverse_ = nullptr;
  KeyChunk* chunks_ = nullptr;
  RowsTask* tasks_ = nullptr;
};

}  // namespace zs::cuda
#endif
