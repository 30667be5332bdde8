// What the library exports (core/device_library.h). Nothing throws across.
#include <cstdio>

#include "cuda/backend/device.h"

namespace zs::cuda {
namespace {

// Does f; where it throws, what and a sentence.
template <class F>
zs_status told(char* wrong, size_t room, F f) {
  try {
    f();
    return ZS_OK;
  } catch (const Error& e) {
    std::snprintf(wrong, room, "%s", e.message.c_str());
    return e.status;
  } catch (...) {
    std::snprintf(wrong, room, "there is not enough memory to open a device: end other programs");
    return ZS_OUT_OF_MEMORY;
  }
}

zs_status list(const char** json, char* wrong, size_t room) {
  static thread_local std::string made;
  return told(wrong, room, [&] { *json = (made = list_devices()).c_str(); });
}

zs_status open(const DeviceOptions* options, Device** out, char* wrong, size_t room) {
  return told(wrong, room, [&] { *out = new GpuDevice(*options); });
}

constexpr DeviceExports kExports = {kDeviceVersion, list, open};

}  // namespace
}  // namespace zs::cuda

extern "C" __attribute__((visibility("default"))) const zs::DeviceExports* zs_device_exports() {
  return &zs::cuda::kExports;
}
