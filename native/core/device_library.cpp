#include "core/device_library.h"

#include <dlfcn.h>

#include <cstring>
#include <mutex>

#include "core/engine.h"
#include "core/error.h"
#include "zslab/device.h"

namespace zs {
namespace {

// f(wrong, its room), which must do.
template <class F>
void must(F f) {
  char wrong[1024] = "";
  const zs_status status = f(wrong, sizeof wrong);
  if (status != ZS_OK) fail(status, "%s", wrong);
}

}  // namespace

const DeviceExports& device_library(const char* path) {
  if (!path || !*path) fail(ZS_INVALID, "device.library is empty: expected the path of a library with a device");
  void* const library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) fail(ZS_IO, "the library for devices cannot be loaded: %s", dlerror());
  const auto exports = reinterpret_cast<const DeviceExports* (*)()>(dlsym(library, kDeviceExports));
  if (!exports) fail(ZS_INVALID, "%s is no library with a device: give libzslab_cuda.so", path);
  const DeviceExports& found = *exports();
  if (found.version != kDeviceVersion)
    fail(ZS_UNSUPPORTED, "%s was built for version %d of the engine, this is %d: build both again", path, found.version,
         kDeviceVersion);
  return found;
}

std::string devices_of(const char* path) {
  const DeviceExports& library = device_library(path);
  const char* json = nullptr;
  must([&](char* wrong, size_t room) { return library.list(&json, wrong, room); });
  return json;
}

std::unique_ptr<Device> open_device(const char* path, const DeviceOptions& options) {
  const DeviceExports& library = device_library(path);
  Device* device = nullptr;
  must([&](char* wrong, size_t room) { return library.open(&options, &device, wrong, room); });
  return std::unique_ptr<Device>(device);
}

}  // namespace zs

extern "C" {

zs_status zs_device_list(const char* library, const char** json) {
  return zs::guard([&] {
    if (!json) zs::fail(ZS_INVALID, "json is NULL: expected a place for the list");
    static thread_local std::string list;
    list = zs::devices_of(library);
    *json = list.c_str();
  });
}

zs_status zs_engine_use(zs_engine* engine, const zs_device* device) {
  return zs::guard([&] {
    if (!engine) zs::fail(ZS_INVALID, "engine is NULL: expected one from zs_engine_create");
    if (!device) zs::fail(ZS_INVALID, "device is NULL: expected a zs_device");
    if (device->struct_bytes != static_cast<int32_t>(sizeof *device))
      zs::fail(ZS_INVALID, "device.struct_bytes is %d, this library's zs_device has %zu: compile against its header",
               device->struct_bytes, sizeof *device);
    if (device->number < 0) zs::fail(ZS_INVALID, "device.number is %d: expected 0 or more", device->number);
    if (device->memory < 0)
      zs::fail(ZS_INVALID, "device.memory is %lld: expected bytes, or 0 for nine tenths of what is free",
               static_cast<long long>(device->memory));
    const std::lock_guard<std::mutex> lock(engine->busy);
    if (engine->device) zs::fail(ZS_INVALID, "the engine uses a device already: make another engine for another one");
    engine->use(zs::open_device(device->library, {device->number, device->memory}));
  });
}

}  // extern "C"
