// The forward pass. It knows no architecture by name (model/architecture.h) and no instruction set.
#ifndef ZSLAB_MODEL_RUNNER_H
#define ZSLAB_MODEL_RUNNER_H

#include <memory>
#include <string>
#include <vector>

#include "core/cache.h"
#include "core/device_model.h"
#include "model/rows.h"

namespace zs {

// What a policy made of the model's projections, as long as a cache has it.
struct ModelConstants {
  const PolicyHooks* hooks;
  std::vector<double> block;  // the policy's parameters
  std::weak_ptr<const Constants> made;
};

}  // namespace zs

struct zs_model {
  zs_engine* engine;
  zs_model_config config;
  const zs::Architecture* architecture;
  zs::Weights weights;
  std::unique_ptr<zs::Products> products;
  std::unique_ptr<zs::Rows> few;            // kept for decode
  zs::Buffer head_input, scores;            // kept for decode
  std::unique_ptr<zs::DeviceModel> device;  // the same weights on the engine's device, where it has one
  std::vector<double> frequencies;
  std::vector<zs::ModelConstants> constants;
  std::string description;  // JSON
};

namespace zs {

constexpr int64_t kInPlace = int64_t{1} << 30;  // bytes that are read in less than 50 ms

// As zs_model_forward, but it throws; the caller holds engine->busy.
void model_forward(zs_model& model, zs_cache& cache, const zs_forward& forward, zs_call* call);
// As zs_model_forward_many, for arguments that make sense; the caller holds engine->busy.
void model_forward_many(zs_model& model, zs_batched* all, int64_t count, zs_call* call);

}  // namespace zs
#endif
