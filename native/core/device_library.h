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
constexpr int32_t kDeviceVersion = 1;

struct DeviceOptions {
  int32_t number;  // of the device, from 0
  int64_t memory;  // bytes that it may take; 0 = nine tenths of what is free
};

// Both write a sentence to `wrong` where they fail.
struct DeviceExports {
  int32_t version;  // kDeviceVersion
  // JSON: {"kind","driver","runtime","devices":[{"name","memory","free","capability"}]}, of static memory.
  const char* (*list)(char* wrong, size_t room);
  Device* (*open)(const DeviceOptions* options, char* wrong, size_t room);  // owned by the caller
};
constexpr const char* kDeviceExports = "zs_device_exports";  // const DeviceExports*()

// The library's exports; throws a sentence. It stays loaded.
const DeviceExports& device_library(const char* path);
std::string devices_of(const char* path);
std::unique_ptr<Device> open_device(const char* path, const DeviceOptions& options);

}  // namespace zs
#endif
