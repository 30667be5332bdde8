#include "cuda/backend/device.h"

#include "cuda/backend/compress.h"
#include "cuda/backend/layer.h"
#include "cuda/backend/model.h"
#include "cuda/backend/prompt.h"
#include "cuda/backend/twin.h"
#include "cuda/tuning.h"

namespace zs::cuda {
namespace {

// How many there are, at least one.
int devices() {
  int count = 0;
  const std::string wrong = gpu::count_devices(count);
  if (!wrong.empty())
    fail(ZS_UNSUPPORTED, "no GPU can be used: %s: install NVIDIA's driver, or use device 'cpu'", wrong.c_str());
  if (count < 1) fail(ZS_UNSUPPORTED, "the driver finds no GPU: use device 'cpu'");
  return count;
}

gpu::Facts facts(int number) {
  gpu::Facts found;
  const std::string wrong = gpu::facts_of(number, found);
  if (!wrong.empty()) fail(ZS_UNSUPPORTED, "GPU %d cannot be used: %s", number, wrong.c_str());
  return found;
}

// Names come from a driver.
std::string quoted(const std::string& text) {
  std::string made = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') made += '\\';
    made += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return made + "\"";
}

}  // namespace

GpuDevice::GpuDevice(const DeviceOptions& options) {
  const int count = devices();
  if (options.number >= count)
    fail(ZS_INVALID, "device %d is not there: the driver finds %d, from 0 to %d", options.number, count, count - 1);
  const gpu::Facts found = facts(options.number);
  if (found.major < 8)
    fail(ZS_UNSUPPORTED, "%s has compute capability %d.%d, and 8.0 or more is needed: use device 'cpu'",
         found.name.c_str(), found.major, found.minor);
  const int64_t most = found.free / 10 * 9, budget = options.memory ? options.memory : most;
  if (budget > found.free)
    fail(ZS_OUT_OF_MEMORY, "device.memory is %lld bytes, of %s %lld are free: give at most so many",
         static_cast<long long>(budget), found.name.c_str(), static_cast<long long>(found.free));
  context_ = std::make_shared<Context>(options.number, budget);
  description_ = std::string("{\"kind\":\"") + gpu::kKind + "\",\"number\":" + std::to_string(options.number) +
                 ",\"name\":" + quoted(found.name) + ",\"memory\":" + std::to_string(budget) + "}";
}

std::string GpuDevice::refusal(int32_t group, int32_t d, int32_t) const {
  if (group > kMostGroup)
    return "a kv head serves " + std::to_string(group) + " query heads: a device takes at most " +
           std::to_string(kMostGroup) + ", so use device 'cpu'";
  if (d > kMostDim)
    return "headDim is " + std::to_string(d) + ": a device takes at most " + std::to_string(kMostDim) +
           ", so use device 'cpu'";
  return {};
}

std::shared_ptr<Twin> GpuDevice::twin(const Page& page, const Geometry& geometry) {
  return std::make_shared<PageTwin>(context_, geometry, page);
}

std::shared_ptr<Twin> GpuDevice::blank_twin(const Page& page, const Geometry& geometry) {
  return std::make_shared<PageTwin>(context_, geometry, page.capacity);
}

std::unique_ptr<DeviceLayer> GpuDevice::layer(int32_t kv_heads) {
  return std::make_unique<GpuLayer>(context_, kv_heads);
}

std::unique_ptr<DeviceModel> GpuDevice::model(const DeviceModelShape& shape) {
  if (shape.hidden > kMostNormed)
    fail(ZS_UNSUPPORTED, "the model's hidden size is %d: a device takes at most %d, so use device 'cpu'", shape.hidden,
         kMostNormed);
  const double mb = 1e6;
  if (shape.bytes > left())
    fail(ZS_OUT_OF_MEMORY,
         "the model's weights are %.1f MB, and the device has %.1f MB left of %.1f MB: give the device more memory, "
         "load weights that are smaller, or use device 'cpu'",
         static_cast<double>(shape.bytes) / mb, static_cast<double>(left()) / mb,
         static_cast<double>(context_->pool->budget()) / mb);
  return std::make_unique<GpuModel>(context_, shape);
}

std::unique_ptr<DevicePrompt> GpuDevice::prompt(const DevicePromptShape& shape, zs_view q) {
  return std::make_unique<GpuPrompt>(context_, shape, q);
}

void GpuDevice::compress(const DeviceCompressionShape& shape, const std::vector<DeviceCompression>& heads) {
  compress_heads(*context_, shape, heads);
}

std::string list_devices() {
  int driver = 0, runtime = 0;
  const std::string wrong = gpu::versions(driver, runtime);
  if (!wrong.empty()) fail(ZS_UNSUPPORTED, "NVIDIA's driver does not answer: %s", wrong.c_str());
  std::string list;
  for (int number = 0, count = devices(); number < count; ++number) {
    const gpu::Facts one = facts(number);
    list += std::string(number ? "," : "") + "{\"name\":" + quoted(one.name) +
            ",\"memory\":" + std::to_string(one.memory) + ",\"free\":" + std::to_string(one.free) +
            ",\"capability\":\"" + std::to_string(one.major) + "." + std::to_string(one.minor) + "\"}";
  }
  return std::string("{\"kind\":\"") + gpu::kKind + "\",\"driver\":" + std::to_string(driver) +
         ",\"runtime\":" + std::to_string(runtime) + ",\"devices\":[" + list + "]}";
}

}  // namespace zs::cuda
