#include "model/projections.h"

#include <algorithm>

#include "core/error.h"

namespace zs {
namespace {

// Rows of keys, then of values, as floats [2 * kv_heads * head_dim][hidden].
void unpack(const zs_model_config& c, const Matrix& qkv, float* to) {
  const int64_t first = int64_t{c.heads} * c.head_dim, count = 2 * int64_t{c.kv_heads} * c.head_dim;
  for (int64_t i = 0; i < count; ++i) qkv.row(first + i, c.hidden, to + i * c.hidden);
}

}  // namespace

void need_model_constants(zs_model& model, zs_cache& cache, zs_call* call) {
  const Policy* owner = nullptr;
  if (!hook(*cache.policy, &PolicyHooks::weights, &owner)) return;
  auto& all = model.constants;
  all.erase(std::remove_if(all.begin(), all.end(), [](const ModelConstants& one) { return one.made.expired(); }),
            all.end());
  const auto found = std::find_if(all.begin(), all.end(), [&](const ModelConstants& one) {
    return one.hooks == owner->hooks && one.block == owner->block;
  });
  std::shared_ptr<const Constants> made = found == all.end() ? nullptr : found->made.lock();
  if (cache.projections || (cache.constants && cache.constants != made))
    fail(ZS_INVALID, "the cache was made for other projections than this model's: leave projections out");
  if (cache.constants) return;
  if (!made) {
    const zs_model_config& c = model.config;
    const int64_t half = int64_t{c.kv_heads} * c.head_dim * c.hidden;
    Buffer rows(2 * half);
    made = make_constants(
        *model.engine, *cache.policy, cache.config, c.hidden,
        [&](int32_t layer, Projections& to) {
          unpack(c, model.weights.layers[static_cast<size_t>(layer)].qkv, rows.data());
          to.key = rows.data(), to.value = rows.data() + half;
        },
        call);
    all.push_back({owner->hooks, owner->block, made});
  }
  cache.constants = std::move(made);
}

}  // namespace zs
