// The first compression of a layer's heads on the engine's device. Included only by core/*.cpp.
#ifndef ZSLAB_CORE_COMPRESS_ON_DEVICE_H
#define ZSLAB_CORE_COMPRESS_ON_DEVICE_H

#include <vector>

#include "core/compressed.h"
#include "core/work.h"

namespace zs {

// What becomes of the heads that hold more than their budget, for the hook `compress` to keep the books of (HeadWork::compressed); heads are
// as they were. `choice`: what all go by; nullptr = each by its own scores. Empty: the CPU does it, with the same bits: the prompt is not on
// the device, the policy has no rule for it, or there is no memory.
std::vector<Compressed> compress_on_device(zs_cache& cache, const Layer& layer, const float* choice, zs_call* call);

}  // namespace zs
#endif
