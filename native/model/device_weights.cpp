#include "model/device_weights.h"

#include <cstring>

#include "core/device.h"
#include "core/error.h"

namespace zs {
namespace {

// The rows of a packed matrix, float32 or rounded to bfloat16 as they are, one after another; tiles are the pool's units.
void unpack(zs_engine& engine, const Matrix& matrix, char* rows, zs_call* call) {
  const bool halves = matrix.is(Packing::kBf16);
  const int64_t k = matrix.k;
  std::vector<Buffer> lines;
  for (int i = 0; i < engine.pool.threads(); ++i) lines.emplace_back(k);
  const bool whole = engine.pool.run(matrix.outputs(), call, [&](int64_t row, int thread) {
    float* const line = halves ? lines[static_cast<size_t>(thread)].data() : reinterpret_cast<float*>(rows) + row * k;
    matrix.row(row, k, line);
    if (halves) engine.linear->round_bf16(line, k, reinterpret_cast<uint16_t*>(rows) + row * k);
  });
  if (!whole) check_abort(call);
}

}  // namespace

std::unique_ptr<DeviceModel> load_on_device(zs_engine& engine, const zs_model_config& config,
                                            const Architecture& architecture, const Weights& weights, zs_call* call) {
  if (architecture.norm != &LinearKernels::rms_norm || architecture.activation != &LinearKernels::swiglu ||
      architecture.rotation != &LinearKernels::rope)
    fail(ZS_UNSUPPORTED, "a device has no %s models yet: use device 'cpu'", architecture.name);
  std::unique_ptr<DeviceModel> made =
      engine.device->model({config.layers, config.heads, config.kv_heads, config.head_dim, config.hidden,
                            config.rope_dims / 2, config.norm_eps, config.weights, weights.bytes});
  Buffer rows;
  const auto load = [&](DevicePart part, int32_t layer, const Matrix& matrix) {
    rows.need((matrix.bytes() + 3) / 4);
    unpack(engine, matrix, reinterpret_cast<char*>(rows.data()), call);
    made->load(part, layer, matrix.outputs(), matrix.k, rows.data());
  };
  load(DevicePart::kEmbedding, 0, weights.embedding);
  if (!config.tied_output) load(DevicePart::kOutput, 0, weights.output);
  made->load(DeviceNorm::kOutput, 0, weights.output_norm);
  for (int32_t l = 0; l < config.layers; ++l) {
    const LayerWeights& layer = weights.layers[static_cast<size_t>(l)];
    load(DevicePart::kQkv, l, layer.qkv);
    load(DevicePart::kAttentionOutput, l, layer.attention_output);
    load(DevicePart::kGateUp, l, layer.gate_up);
    load(DevicePart::kDown, l, layer.down);
    made->load(DeviceNorm::kAttention, l, layer.attention_norm);
    made->load(DeviceNorm::kFeedForward, l, layer.feed_forward_norm);
  }
  made->loaded();
  return made;
}

}  // namespace zs
