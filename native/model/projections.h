// A model's own projections for the policy of a cache that it reads for (hook `weights`).
#ifndef ZSLAB_MODEL_PROJECTIONS_H
#define ZSLAB_MODEL_PROJECTIONS_H

#include "model/runner.h"

namespace zs {

// The cache has what its policy makes of the model's projections afterwards: made once for all caches of the model and policy that live.
// Throws a sentence where the cache was made for other projections.
void need_model_constants(zs_model& model, zs_cache& cache, zs_call* call);

}  // namespace zs
#endif
