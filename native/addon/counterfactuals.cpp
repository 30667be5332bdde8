// What is asked of a living cache beside its tokens, each as a promise: it waits its turn on the engine.
#include "addon/boxes.h"
#include "addon/calls.h"
#include "addon/jobs.h"
#include "addon/structs.h"

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

}  // namespace

void RegisterCounterfactuals(Napi::Env env, Napi::Object exports) {
  exports.Set("cacheChange", Napi::Function::New(env, Change));
}

}  // namespace zs_addon
