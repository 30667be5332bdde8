// The C ABI of models.
#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <mutex>

#include "core/error.h"
#include "model/device_weights.h"
#include "model/packed.h"
#include "model/runner.h"

namespace zs {
namespace {

// As zs_model_describe has it; what it quotes are paths and this program's own words.
std::string described(const zs_model& model) {
  std::vector<int64_t> bytes(kPackings);
  model.weights.each_matrix([&](const Matrix& matrix) {
    for (const Run& run : matrix.runs)
      bytes[static_cast<size_t>(run.packing)] += run.tiles * tile_bytes(run.packing, matrix.k);
  });
  std::string types, why;
  for (int i = 0; i < kPackings; ++i)
    if (bytes[static_cast<size_t>(i)])
      types += std::string(types.empty() ? "" : ",") + "\"" + packing_name(static_cast<Packing>(i)) +
               "\":" + std::to_string(bytes[static_cast<size_t>(i)]);
  for (const char c : model.weights.memory.why()) {
    if (c == '"' || c == '\\') why += '\\';
    why += static_cast<unsigned char>(c) < 32 ? ' ' : c;
  }
  return "{\"bytes\":" + std::to_string(model.weights.bytes) + ",\"types\":{" + types +
         "},\"mapped\":" + (model.weights.memory.mapped() ? "true" : "false") + ",\"why\":\"" + why +
         "\",\"rows\":\"own kernels, weights widened in registers\",\"prompts\":\"" + model.products->many() + "\"}";
}

std::unique_ptr<zs_model> load(zs_engine& engine, const char* const* paths, int32_t path_count,
                               const zs_model_config& config, const zs_tensor* tensors, int64_t count, zs_call* call) {
  check_config(config);
  const Architecture* architecture = find_architecture(config.arch);
  if (!architecture)
    fail(ZS_UNSUPPORTED, "arch = %d is no architecture that this build knows: use a llama model (0)", config.arch);
  const std::deque<ModelFile> files(paths, paths + path_count);
  if (engine.device && config.weights == ZS_WEIGHTS_FILE)
    fail(ZS_UNSUPPORTED,
         "a device multiplies weights as float32 or bfloat16, not as the file has them: give weights 'bfloat16' or "
         "'float32', or device 'cpu'");
  const Tensors checked = check_tensors(config, *architecture, files, tensors, count);
  std::unique_ptr<zs_model> model(
      new zs_model{&engine, config, architecture, {}, nullptr, nullptr, {}, {}, nullptr, {}, {}, {}});
  model->weights = load_weights(engine, config, checked, call);
  // Of all layers: their types may differ.
  std::vector<const Matrix*> matrices;
  for (const LayerWeights& w : model->weights.layers)
    matrices.insert(matrices.end(), {&w.qkv, &w.attention_output, &w.gate_up, &w.down});
  model->products = std::make_unique<Products>(engine, *architecture, matrices, config.weights == ZS_BF16);
  model->few = std::make_unique<Rows>(config, model->weights, kFewRows, false, engine.pool.threads());
  if (engine.device) model->device = load_on_device(engine, config, *architecture, model->weights, call);
  for (int32_t i = 0; i < config.rope_dims / 2; ++i)
    model->frequencies.push_back(std::pow(static_cast<double>(config.rope_base), -2.0 * i / config.rope_dims));
  model->description = described(*model);
  return model;
}

void check_forward_bytes(const zs_forward& forward) {
  if (forward.struct_bytes != sizeof(zs_forward))
    fail(ZS_INVALID, "zs_forward.struct_bytes = %d, expected %zu: compile against this version's zslab.h",
         forward.struct_bytes, sizeof(zs_forward));
}

}  // namespace
}  // namespace zs

zs_status zs_model_load(zs_engine* engine, const char* const* paths, int32_t path_count, const zs_model_config* config,
                        const zs_tensor* tensors, int64_t tensor_count, zs_model** out, zs_call* call) {
  return zs::guard([&] {
    if (!out) zs::fail(ZS_INVALID, "zs_model_load: out is NULL, expected a place for the model");
    *out = nullptr;
    if (!engine || !paths || !config)
      zs::fail(ZS_INVALID, "zs_model_load: %s is NULL", !engine ? "engine" : !paths ? "paths" : "config");
    if (path_count < 1 || std::count(paths, paths + path_count, nullptr))
      zs::fail(ZS_INVALID, "zs_model_load: path_count = %d, expected at least 1 and as many paths", path_count);
    if (config->struct_bytes != sizeof(zs_model_config))
      zs::fail(ZS_INVALID, "zs_model_config.struct_bytes = %d, expected %zu: compile against this version's zslab.h",
               config->struct_bytes, sizeof(zs_model_config));
    if (tensor_count < 0 || (tensor_count && !tensors))
      zs::fail(ZS_INVALID, "zs_model_load: tensor_count = %lld, expected as many tensors",
               static_cast<long long>(tensor_count));
    std::lock_guard<std::mutex> lock(engine->busy);
    *out = zs::load(*engine, paths, path_count, *config, tensors, tensor_count, call).release();
  });
}

void zs_model_destroy(zs_model* model) { delete model; }

int64_t zs_model_bytes(const zs_model* model) { return model ? model->weights.bytes : 0; }

const char* zs_model_describe(const zs_model* model) { return model ? model->description.c_str() : ""; }

zs_status zs_model_forward(zs_model* model, zs_cache* cache, const zs_forward* forward, zs_call* call) {
  return zs::guard([&] {
    if (!model || !cache || !forward)
      zs::fail(ZS_INVALID, "zs_model_forward: %s is NULL", !model ? "model" : !cache ? "cache" : "forward");
    zs::check_forward_bytes(*forward);
    std::lock_guard<std::mutex> lock(model->engine->busy);
    zs::model_forward(*model, *cache, *forward, call);
  });
}

zs_status zs_model_forward_many(zs_model* model, zs_batched* all, int64_t count, zs_call* call) {
  return zs::guard([&] {
    if (!model || (!all && count)) zs::fail(ZS_INVALID, "zs_model_forward_many: %s is NULL", !model ? "model" : "all");
    if (count < 0)
      zs::fail(ZS_INVALID, "zs_model_forward_many: count = %lld, expected as many caches",
               static_cast<long long>(count));
    std::map<const zs_cache*, int64_t> places;
    for (int64_t i = 0; i < count; ++i) {
      const zs_batched& one = all[i];
      if (one.struct_bytes != sizeof(zs_batched))
        zs::fail(ZS_INVALID, "zs_batched.struct_bytes = %d, expected %zu: compile against this version's zslab.h",
                 one.struct_bytes, sizeof(zs_batched));
      if (!one.cache || !one.forward)
        zs::fail(ZS_INVALID, "zs_model_forward_many: %s of number %lld is NULL", !one.cache ? "cache" : "forward",
                 static_cast<long long>(i));
      zs::check_forward_bytes(*one.forward);
      const auto [first, fresh] = places.emplace(one.cache, i);
      if (!fresh)
        zs::fail(ZS_INVALID, "zs_model_forward_many: numbers %lld and %lld are one cache: give each once",
                 static_cast<long long>(first->second), static_cast<long long>(i));
    }
    std::lock_guard<std::mutex> lock(model->engine->busy);
    zs::model_forward_many(*model, all, count, call);
  });
}

int32_t zs_rows_together(void) { return static_cast<int32_t>(zs::kFewRows); }
