// The addon's entry: engines, devices, policies, disposal, and the list of everything it exports. No mathematics lives here.
#include <napi.h>

#include "addon/boxes.h"
#include "addon/calls.h"
#include "addon/jobs.h"
#include "addon/structs.h"
#include "zslab/device.h"

namespace zs_addon {

namespace {

Napi::Value EngineCreate(const Napi::CallbackInfo& info) {
  auto box = std::make_shared<EngineBox>();
  const auto threads = static_cast<int32_t>(Whole(info[0], 0, 256, "threads"));
  const auto isa = static_cast<zs_isa>(Whole(info[1], -1, 2, "isa"));
  Check(info.Env(), zs_engine_create(threads, isa, &box->engine));
  return Wrap(info.Env(), box);
}

Napi::Value EngineDescribe(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), zs_engine_describe(Unwrap<EngineBox>(info[0])->engine));
}

void EngineUse(const Napi::CallbackInfo& info) {
  zs_device device{};
  const auto object = info[1].As<Napi::Object>();
  const std::string library = object.Get("library").ToString();
  Read(object, kDevice, &device);
  device.struct_bytes = sizeof device;
  device.library = library.c_str();
  Check(info.Env(), zs_engine_use(Unwrap<EngineBox>(info[0])->engine, &device));
}

Napi::Value DeviceList(const Napi::CallbackInfo& info) {
  const std::string library = info[0].ToString();
  const char* json = nullptr;
  Check(info.Env(), zs_device_list(library.c_str(), &json));
  return Napi::String::New(info.Env(), json);
}

Napi::Value PolicyResolve(const Napi::CallbackInfo& info) {
  const HeldPolicy held(info[0].As<Napi::Object>());
  zs_resolved resolved;
  Check(info.Env(), zs_policy_resolve(&held.policy(), Whole(info[1], 1, int64_t{1} << 31, "tokens"), &resolved));
  return Write(info.Env(), kResolved, &resolved);
}

Napi::Value PolicyTraits(const Napi::CallbackInfo& info) {
  const HeldPolicy held(info[0].As<Napi::Object>());
  zs_traits traits;
  Check(info.Env(), zs_policy_traits(&held.policy(), &traits));
  return Write(info.Env(), kTraits, &traits);
}

template <typename Box>
void Dispose(const Napi::CallbackInfo& info) {
  std::shared_ptr<Box>& box = Held<Box>(info[0]);
  if (box) Report(info.Env(), 0, &box->reported);
  box.reset();
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("describe", Napi::Function::New(env, Describe));
  exports.Set("engineCreate", Napi::Function::New(env, EngineCreate));
  exports.Set("engineDescribe", Napi::Function::New(env, EngineDescribe));
  exports.Set("engineUse", Napi::Function::New(env, EngineUse));
  exports.Set("deviceList", Napi::Function::New(env, DeviceList));
  exports.Set("engineDispose", Napi::Function::New(env, Dispose<EngineBox>));
  exports.Set("cacheDispose", Napi::Function::New(env, Dispose<CacheBox>));
  exports.Set("modelDispose", Napi::Function::New(env, Dispose<ModelBox>));
  exports.Set("policyResolve", Napi::Function::New(env, PolicyResolve));
  exports.Set("policyTraits", Napi::Function::New(env, PolicyTraits));
  exports.Set("abortAll", Napi::Function::New(env, [](const Napi::CallbackInfo&) { AbortAll(); }));
  RegisterCache(env, exports);
  RegisterCounterfactuals(env, exports);
  RegisterEvents(env, exports);
  RegisterHeads(env, exports);
  RegisterInspection(env, exports);
  RegisterLocal(env, exports);
  RegisterModel(env, exports);
  return exports;
}

}  // namespace
}  // namespace zs_addon

static Napi::Object InitAll(Napi::Env env, Napi::Object exports) { return zs_addon::Init(env, exports); }
NODE_API_MODULE(zslab, InitAll)
