// First compressions in device memory: lists of the launches, and what comes back.
#ifndef ZSLAB_CUDA_BACKEND_COMPRESS_H
#define ZSLAB_CUDA_BACKEND_COMPRESS_H

#include <vector>

#include "core/device_compress.h"
#include "cuda/backend/context.h"

namespace zs::cuda {

// As of Device::compress.
void compress_heads(Context& context, const DeviceCompressionShape& shape, const std::vector<DeviceCompression>& heads);

}  // namespace zs::cuda
#endif
