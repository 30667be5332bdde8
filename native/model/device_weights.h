// A model's weights on the engine's device.
#ifndef ZSLAB_MODEL_DEVICE_WEIGHTS_H
#define ZSLAB_MODEL_DEVICE_WEIGHTS_H

#include <memory>

#include "core/device_model.h"
#include "model/architecture.h"
#include "model/weights.h"

namespace zs {

// Errors: ZS_OUT_OF_MEMORY where the device has no room, ZS_UNSUPPORTED, ZS_ABORTED; std::bad_alloc.
std::unique_ptr<DeviceModel> load_on_device(zs_engine& engine, const zs_model_config& config,
                                            const Architecture& architecture, const Weights& weights, zs_call* call);

}  // namespace zs
#endif
