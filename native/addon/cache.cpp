// Caches: long calls as promises. What is read of them: inspect.cpp.
#include "addon/boxes.h"
#include "addon/calls.h"
#include "addon/jobs.h"
#include "addon/structs.h"

namespace zs_addon {
namespace {

constexpr int64_t kMostTokens = int64_t{1} << 31;

// An array of [layers][kvHeads] budgets, or undefined (-> empty).
std::vector<double> BudgetsOf(const Napi::Value& value, const zs_cache_config& shape) {
  if (value.IsUndefined()) return {};
  const auto budgets = ArrayOf<Napi::Float64Array>(
      value, napi_float64_array, static_cast<size_t>(shape.layers) * static_cast<size_t>(shape.kv_heads), "budgets");
  return std::vector<double>(budgets.Data(), budgets.Data() + budgets.ElementLength());
}

// { dims, halves, base, frequencies?: Float64Array } as a zs_rotation, with what it points to; undefined -> NULL.
struct HeldRotation {
  zs_rotation rotation{};
  std::vector<double> frequencies;
  const zs_rotation* given = nullptr;
  explicit HeldRotation(const Napi::Value& value) {
    if (value.IsUndefined()) return;
    const Napi::Object object = value.As<Napi::Object>();
    Read(object, kRotation, &rotation);
    rotation.struct_bytes = sizeof rotation;
    const Napi::Value table = object.Get("frequencies");
    if (!table.IsUndefined()) {
      const auto column =
          ArrayOf<Napi::Float64Array>(table, napi_float64_array, static_cast<size_t>(rotation.dims / 2), "frequencies");
      frequencies.assign(column.Data(), column.Data() + column.ElementLength());
      rotation.frequencies = frequencies.data();
    }
    given = &rotation;
  }
  HeldRotation(const HeldRotation&) = delete;
  HeldRotation& operator=(const HeldRotation&) = delete;
};

// { width, keys, values, keyBiases?, valueBiases?: Float32Array[] by layer } as a zs_projections, with what it points to; undefined -> NULL.
struct HeldProjections {
  zs_projections projections{};
  std::vector<const float*> keys, values, key_biases, value_biases;
  const zs_projections* given = nullptr;
  HeldProjections(const Napi::Value& value, const zs_cache_config& shape) {
    if (value.IsUndefined()) return;
    const Napi::Object object = value.As<Napi::Object>();
    projections.struct_bytes = sizeof projections;
    projections.width = static_cast<int32_t>(Whole(object.Get("width"), 1, 1 << 20, "width"));
    const size_t rows = static_cast<size_t>(shape.kv_heads) * static_cast<size_t>(shape.head_dim);
    const auto layers = [&](const char* name, size_t least, std::vector<const float*>& to) {
      const Napi::Value list = object.Get(name);
      for (uint32_t i = 0; !list.IsUndefined() && i < static_cast<uint32_t>(shape.layers); ++i)
        to.push_back(
            ArrayOf<Napi::Float32Array>(list.As<Napi::Array>().Get(i), napi_float32_array, least, name).Data());
      return to.empty() ? nullptr : to.data();
    };
    const size_t width = static_cast<size_t>(projections.width);
    projections.keys = layers("keys", rows * width, keys);
    projections.values = layers("values", rows * width, values);
    projections.key_biases = layers("keyBiases", rows, key_biases);
    projections.value_biases = layers("valueBiases", rows, value_biases);
    given = &projections;
  }
  HeldProjections(const HeldProjections&) = delete;
  HeldProjections& operator=(const HeldProjections&) = delete;
};

Napi::Value Create(const Napi::CallbackInfo& info) {
  auto box = std::make_shared<CacheBox>();
  box->engine = Unwrap<EngineBox>(info[0]);
  Napi::Object config = info[1].As<Napi::Object>();
  Read(config, kCacheConfig, &box->shape);
  box->shape.struct_bytes = sizeof(zs_cache_config);
  auto policy = std::make_shared<HeldPolicy>(config.Get("policy").As<Napi::Object>());
  box->policy = policy;
  const std::vector<double> budgets = BudgetsOf(config.Get("budgets"), box->shape);
  zs_cache_config whole = box->shape;
  whole.policy = policy->policy();
  whole.budgets = budgets.empty() ? nullptr : budgets.data();
  const HeldRotation rotation(config.Get("rotation"));
  whole.rotation = rotation.given;
  const HeldProjections projections(config.Get("projections"), box->shape);
  whole.projections = projections.given;
  Check(info.Env(), zs_cache_create(box->engine->engine, &whole, &box->cache));
  return Wrap(info.Env(), box);
}

Napi::Object CopyOf(const CacheBox& from, zs_cache* cache, Napi::Env env, std::shared_ptr<void> policy) {
  auto copy = std::make_shared<CacheBox>();
  copy->policy = std::move(policy);
  copy->engine = from.engine;
  copy->shape = from.shape;
  copy->cache = cache;
  return Wrap(env, copy).As<Napi::Object>();
}

zs_view ViewOf(float* data, int64_t tokens, int64_t headDim) { return {data, tokens * headDim, headDim}; }

// (cache, layer, q, k, v, tokens, shareOf | -1 for a chunk, out, call)
Napi::Value Attend(const Napi::CallbackInfo& info) {
  auto box = Unwrap<CacheBox>(info[0]);
  const int32_t layer = static_cast<int32_t>(Whole(info[1], 0, box->shape.layers - 1, "layer"));
  const int64_t tokens = Whole(info[5], 1, kMostTokens, "tokens");
  const int64_t shareOf = Whole(info[6], -1, kMostTokens, "shareOf");
  const int64_t dim = box->shape.head_dim;
  const size_t queries = static_cast<size_t>(box->shape.heads * tokens * dim);
  const size_t keys = static_cast<size_t>(box->shape.kv_heads * tokens * dim);
  const zs_view q = ViewOf(ArrayOf<Napi::Float32Array>(info[2], napi_float32_array, queries, "q").Data(), tokens, dim);
  const zs_view k = ViewOf(ArrayOf<Napi::Float32Array>(info[3], napi_float32_array, keys, "k").Data(), tokens, dim);
  const zs_view v = ViewOf(ArrayOf<Napi::Float32Array>(info[4], napi_float32_array, keys, "v").Data(), tokens, dim);
  const zs_view out =
      ViewOf(ArrayOf<Napi::Float32Array>(info[7], napi_float32_array, queries, "out").Data(), tokens, dim);
  Job* job = new Job(info.Env(), box->engine, info[8]);
  for (size_t i : {2, 3, 4, 7}) job->Pin(info[i]);
  job->Uses(box);
  return job->Start(
      [box, layer, q, k, v, out, tokens, shareOf](zs_call* call) {
        return shareOf < 0 ? zs_cache_extend(box->cache, layer, q, k, v, tokens, out, call)
                           : zs_cache_prefill(box->cache, layer, q, k, v, tokens, shareOf, out, call);
      },
      [](Napi::Env env) { return env.Undefined(); });
}

// (cache) -> Promise<cache>
Napi::Value Fork(const Napi::CallbackInfo& info) {
  auto box = Unwrap<CacheBox>(info[0]);
  auto made = std::make_shared<zs_cache*>(nullptr);
  Job* job = new Job(info.Env(), box->engine, info.Env().Undefined());
  job->Uses(box);
  return job->Start([box, made](zs_call*) { return zs_cache_fork(box->cache, made.get()); },
                    [box, made](Napi::Env env) { return CopyOf(*box, *made, env, box->policy); });
}

// (cache, tokens)
void Rollback(const Napi::CallbackInfo& info) {
  auto box = AtRest(info);
  Check(info.Env(), zs_cache_rollback(box->cache, info[1].As<Napi::Number>().Int64Value()));
}

// (cache, policies, budgets of each or undefined, trace, call) -> Promise<caches>
Napi::Value ForkPolicies(const Napi::CallbackInfo& info) {
  struct Work {
    std::vector<std::shared_ptr<HeldPolicy>> held;
    std::vector<std::vector<double>> budgets;
    std::vector<zs_policy> policies;
    std::vector<const double*> pointers;
    std::vector<zs_cache*> made;
  };
  auto box = Unwrap<CacheBox>(info[0]);
  auto work = std::make_shared<Work>();
  const Napi::Array policies = info[1].As<Napi::Array>(), budgets = info[2].As<Napi::Array>();
  for (uint32_t i = 0; i < policies.Length(); ++i) {
    work->held.push_back(std::make_shared<HeldPolicy>(policies.Get(i).As<Napi::Object>()));
    work->policies.push_back(work->held.back()->policy());
    work->budgets.push_back(BudgetsOf(budgets.Get(i), box->shape));
  }
  for (const auto& one : work->budgets) work->pointers.push_back(one.empty() ? nullptr : one.data());
  work->made.resize(work->policies.size());
  const int32_t trace = info[3].ToBoolean() ? 1 : 0;
  Job* job = new Job(info.Env(), box->engine, info[4]);
  job->Uses(box);
  return job->Start(
      [box, work, trace](zs_call* call) {
        return zs_cache_fork_policies(box->cache, work->policies.data(), work->pointers.data(),
                                      static_cast<int32_t>(work->policies.size()), trace, work->made.data(), call);
      },
      [box, work](Napi::Env env) {
        Napi::Array copies = Napi::Array::New(env, work->made.size());
        for (uint32_t i = 0; i < work->made.size(); ++i) copies.Set(i, CopyOf(*box, work->made[i], env, work->held[i]));
        return copies;
      });
}

}  // namespace

void RegisterCache(Napi::Env env, Napi::Object exports) {
  exports.Set("cacheCreate", Napi::Function::New(env, Create));
  exports.Set("cacheAttend", Napi::Function::New(env, Attend));
  exports.Set("cacheFork", Napi::Function::New(env, Fork));
  exports.Set("cacheRollback", Napi::Function::New(env, Rollback));
  exports.Set("cacheForkPolicies", Napi::Function::New(env, ForkPolicies));
}

}  // namespace zs_addon
