#include "core/constants.h"

#include <algorithm>
#include <cmath>

#include "core/cache.h"
#include "core/error.h"

namespace zs {
namespace {

// A copy of [layers] arrays of `each` floats; nullptr where there are none.
Buffer copied(const float* const* arrays, int32_t layers, int64_t each, const char* name) {
  if (!arrays) return {};
  Buffer all(layers * each);
  for (int32_t layer = 0; layer < layers; ++layer) {
    if (!arrays[layer])
      fail(ZS_INVALID, "projections.%s[%d] is NULL: expected an array of %lld floats for each of the %d layers", name,
           layer, static_cast<long long>(each), layers);
    for (int64_t i = 0; i < each; ++i)
      if (!std::isfinite(arrays[layer][i]))
        fail(ZS_INVALID, "projections.%s[%d] holds %g at %lld: expected finite numbers", name, layer,
             static_cast<double>(arrays[layer][i]), static_cast<long long>(i));
    std::copy_n(arrays[layer], each, all.data() + layer * each);
  }
  return all;
}

}  // namespace

GivenProjections::GivenProjections(const zs_projections& given, const zs_cache_config& shape)
    : width(given.width),
      biased_keys(given.key_biases != nullptr),
      biased_values(given.value_biases != nullptr),
      rows(int64_t{shape.kv_heads} * shape.head_dim) {
  if (given.struct_bytes != static_cast<int32_t>(sizeof given))
    fail(ZS_INVALID,
         "projections.struct_bytes is %d, this library's zs_projections has %zu: compile against its header",
         given.struct_bytes, sizeof given);
  if (width < 1) fail(ZS_INVALID, "projections.width is %d: expected the model's hidden size, at least 1", width);
  if (!given.keys || !given.values)
    fail(ZS_INVALID, "projections.%s is NULL: expected an array [kv_heads * head_dim][width] of each layer",
         given.keys ? "values" : "keys");
  keys = copied(given.keys, shape.layers, rows * width, "keys");
  values = copied(given.values, shape.layers, rows * width, "values");
  key_biases = copied(given.key_biases, shape.layers, rows, "key_biases");
  value_biases = copied(given.value_biases, shape.layers, rows, "value_biases");
}

std::shared_ptr<const Constants> make_constants(zs_engine& engine, const Policy& policy, const zs_cache_config& shape,
                                                int32_t width, const ProjectionSource& source, zs_call* call) {
  const Policy* owner = nullptr;
  const auto weights = hook(policy, &PolicyHooks::weights, &owner);
  auto made = std::make_shared<Constants>();
  Projections one{};
  one.layers = shape.layers, one.kv_heads = shape.kv_heads, one.head_dim = shape.head_dim, one.width = width;
  one.abort = call ? &call->abort : nullptr;
  one.each = [&](int64_t count, const std::function<void(int64_t)>& f) {
    engine.run(count, call, [&](int64_t unit, int) { f(unit); });
    check_abort(call);
  };
  for (one.layer = 0; one.layer < shape.layers; ++one.layer) {
    if (call) {
      __atomic_store_n(&call->total, shape.layers, __ATOMIC_RELAXED);
      __atomic_store_n(&call->done, one.layer, __ATOMIC_RELAXED);
    }
    source(one.layer, one);
    weights(*owner, one, *made);
  }
  return made;
}

void need_constants(zs_cache& cache, zs_call* call) {
  if (cache.constants || !hook(*cache.policy, &PolicyHooks::weights)) return;
  if (!cache.projections)
    fail(ZS_INVALID,
         "%s works on the model's key and value projections, and config.projections is NULL: give them, or let a model "
         "read the prompt",
         cache.policy->hooks->name);
  const GivenProjections& given = *cache.projections;
  const auto source = [&](int32_t layer, Projections& to) {
    to.key = given.keys.data() + layer * given.rows * given.width;
    to.value = given.values.data() + layer * given.rows * given.width;
    to.key_bias = given.biased_keys ? given.key_biases.data() + layer * given.rows : nullptr;
    to.value_bias = given.biased_values ? given.value_biases.data() + layer * given.rows : nullptr;
  };
  cache.constants = make_constants(*cache.engine, *cache.policy, cache.config, given.width, source, call);
  cache.projections.reset();
}

}  // namespace zs
