// What the library exports (core/device_library.h). Nothing throws across.
#include <cstdio>

#include "cuda/backend/device.h"

namespace zs::cuda {
namespace {

// f's result, or nullptr and a sentence.
template <class F>
auto told(char* wrong, size_t room, F f) -> decltype(f()) {
  try {
    return f();
  } catch (const Error& e) {
    std::snprintf(wrong, room, "%s", e.message.c_str());
  } catch (...) {
    std::snprintf(wrong, room, "the library for devices failed: is there memory left?");
  }
  return nullptr;
}

const char* list(char* wrong, size_t room) {
  static thread_local std::string made;
  return told(wrong, room, [&]() -> const char* { return (made = list_devices()).c_str(); });
}

Device* open(const DeviceOptions* options, char* wrong, size_t room) {
  return told(wrong, room, [&]() -> Device* { return new GpuDevice(*options); });
}

constexpr DeviceExports kExports = {kDeviceVersion, list, open};

}  // namespace
}  // namespace zs::cuda

extern "C" __attribute__((visibility("default"))) const zs::DeviceExports* zs_device_exports() {
  return &zs::cuda::kExports;
}
