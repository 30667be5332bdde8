// What is asked of a living cache beside its tokens, each as a promise: it waits its turn on the engine.
#include "addon/boxes.h"
#include "addon/calls.h"
#include "addon/jobs.h"
#include "addon/structs.h"
#include "zslab/asked.h"

namespace zs_addon {
namespace {

// (cache, policy) -> Promise
Napi::Value Change(const Napi::CallbackInfo& info) {
  auto box = Unwrap<CacheBox>(info[0]);
  auto policy = std::make_shared<HeldPolicy>(info[1].As<Napi::Object>());
  Job* job = new Job(info.Env(), box->engine, info.Env().Undefined());
  job->Uses(box);
  return job->Start([box, policy](zs_call*) { return zs_cache_change(box->cache, &policy->policy()); },
                    [](Napi::Env env) { return env.Undefined(); });
}

using Ask = std::function<zs_status(zs_cache*, int32_t position, const uint8_t* heads, int32_t* done)>;

// Starts `ask` with info[1], the position, and info[2], Uint8Array [layers, kvHeads] -> Promise<in how many heads it was done>.
Napi::Value Asked(const Napi::CallbackInfo& info, std::initializer_list<size_t> pinned, Ask ask) {
  auto box = Unwrap<CacheBox>(info[0]);
  const int32_t position = static_cast<int32_t>(Whole(info[1], 0, INT32_MAX, "position"));
  const uint8_t* const heads = HeadMarks(*box, info[2]);
  auto done = std::make_shared<int32_t>(0);
  Job* job = new Job(info.Env(), box->engine, info.Env().Undefined());
  job->Pin(info[2]);
  for (size_t i : pinned) job->Pin(info[i]);
  job->Uses(box);
  return job->Start(
      [box, position, heads, done, ask](zs_call*) { return ask(box->cache, position, heads, done.get()); },
      [done](Napi::Env env) { return Napi::Number::New(env, *done); });
}

Napi::Value Evict(const Napi::CallbackInfo& info) { return Asked(info, {}, zs_cache_evict); }

Napi::Value Pin(const Napi::CallbackInfo& info) { return Asked(info, {}, zs_cache_pin); }

// (cache, position, heads, keys, values), of both [layers, kvHeads, headDim]; without them only whether it can be done.
Napi::Value Unevict(const Napi::CallbackInfo& info) {
  if (info[3].IsUndefined())
    return Asked(info, {}, [](zs_cache* cache, int32_t position, const uint8_t* heads, int32_t* done) {
      return zs_cache_unevict(cache, position, heads, nullptr, nullptr, done);
    });
  const zs_cache_config& shape = Unwrap<CacheBox>(info[0])->shape;
  const size_t least =
      static_cast<size_t>(shape.layers) * static_cast<size_t>(shape.kv_heads) * static_cast<size_t>(shape.head_dim);
  const float* const keys = ArrayOf<Napi::Float32Array>(info[3], napi_float32_array, least, "keys").Data();
  const float* const values = ArrayOf<Napi::Float32Array>(info[4], napi_float32_array, least, "values").Data();
  return Asked(info, {3, 4}, [keys, values](zs_cache* cache, int32_t position, const uint8_t* heads, int32_t* done) {
    return zs_cache_unevict(cache, position, heads, keys, values, done);
  });
}

}  // namespace

void RegisterCounterfactuals(Napi::Env env, Napi::Object exports) {
  exports.Set("cacheChange", Napi::Function::New(env, Change));
  exports.Set("cacheEvict", Napi::Function::New(env, Evict));
  exports.Set("cachePin", Napi::Function::New(env, Pin));
  exports.Set("cacheUnevict", Napi::Function::New(env, Unevict));
}

}  // namespace zs_addon
