// What a library with a device in it exports, and how it is opened. It is built from the same sources as the core, which is checked.
#ifndef ZSLAB_CORE_DEVICE_LIBRARY_H
#define ZSLAB_CORE_DEVICE_LIBRARY_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/device.h"

namespace zs {

// Raised with every change of what both sides share (core/device.h and what it includes).
constexpr int32_t kDeviceVersion = 3;

struct DeviceOptions {
  int32_t number;  // of the device, from 0
  int64_t memory;  // bytes that it may take; 0 = nine tenths of what is free
};

// Where they fail both write a sentence to `wrong`.
struct DeviceExports {
  int32_t version;  // kDeviceVersion
  // JSON: {"kind","driver","runtime","devices":[{"name","memory","free","capability"}]}, valid until the thread's next call.
  zs_status (*list)(const char** json, char* wrong, size_t room);
  zs_status (*open)(const DeviceOptions* options, Device** out, char* wrong, size_t room);  // owned by the caller
};
constexpr const char* kDeviceExports = "zs_device_exports";  // const DeviceExports*()

// The library's exports; throws a sentence. It stays loaded.
const DeviceExports& device_library(const char* path);
std::string devices_of(const char* path);
std::unique_ptr<Device> open_device(const char* path, const DeviceOptions& options);

}  // namespace zs
#endif
