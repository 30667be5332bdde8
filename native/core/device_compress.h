// The first compression of a layer's heads on a device (policies/regions.h, zsmerge.h), with the bits of the CPU.
#ifndef ZSLAB_CORE_DEVICE_COMPRESS_H
#define ZSLAB_CORE_DEVICE_COMPRESS_H

#include <cstdint>
#include <functional>
#include <vector>

#include "core/compressed.h"
#include "core/device.h"

namespace zs {

struct DeviceCompressionShape {
  int32_t storage, d;
  bool by_age;  // the newest stay, not the highest scores
  DeviceRule rule;
  std::function<void()> between;  // called between launches; what it throws is thrown
};

// One head, which holds its prompt alone.
struct DeviceCompression {
  std::vector<KeyChunk> tokens;        // on the device
  std::vector<KeyChunk> open, merged;  // likewise, zeros: to be filled with who stays and who leaves
  int32_t count;                       // tokens
  zs_resolved sizes;
  const float *scores, *choice;  // [count], in host memory: its own, and what choices go by
  Compressed* made;              // out, but for pages
};

}  // namespace zs
#endif
