// What a policy makes of a model's key and value projections before the first prompt (hook `weights`), and projections that came with a
// cache's configuration.
#ifndef ZSLAB_CORE_CONSTANTS_H
#define ZSLAB_CORE_CONSTANTS_H

#include <functional>
#include <memory>

#include "core/buffer.h"
#include "core/engine.h"
#include "core/policy.h"

namespace zs {

// A copy of zs_projections; throws a sentence about what is missing.
struct GivenProjections {
  GivenProjections(const zs_projections& given, const zs_cache_config& shape);
  int32_t width;
  bool biased_keys, biased_values;
  int64_t rows;                                   // kv_heads * head_dim
  Buffer keys, values, key_biases, value_biases;  // [layers][rows][width]; [layers][rows]
};

// Puts the projections of layer `layer` where they belong in its argument; its memory need last until the next layer only.
using ProjectionSource = std::function<void(int32_t layer, Projections&)>;

// By the hook `weights` of `policy`, which has one; the caller holds engine.busy. Progress: layers. Throws what the hook throws, ZS_ABORTED.
std::shared_ptr<const Constants> make_constants(zs_engine& engine, const Policy& policy, const zs_cache_config& shape,
                                                int32_t width, const ProjectionSource& source, zs_call* call);

}  // namespace zs

struct zs_cache;
namespace zs {
// What the policy of a cache without a model wants is there afterwards; throws a sentence where projections are not known.
void need_constants(zs_cache& cache, zs_call* call);
}  // namespace zs
#endif
