// A long call: runs on libuv's pool, one at a time per engine, with its arrays pinned and a shared zs_call for abort and progress.
#ifndef ZSLAB_ADDON_JOBS_H
#define ZSLAB_ADDON_JOBS_H

#include <napi.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "addon/boxes.h"

namespace zs_addon {

class Job : public Napi::AsyncWorker {
 public:
  using Work = std::function<zs_status(zs_call*)>;
  using Finish = std::function<Napi::Value(Napi::Env)>;

  // `call` is an Int32Array over the bytes of a zs_call, or undefined.
  Job(Napi::Env env, std::shared_ptr<EngineBox> engine, const Napi::Value& call);
  // Keeps `value` (and the memory of a typed array) until the call has ended.
  void Pin(const Napi::Value& value);
  void Uses(const std::shared_ptr<CacheBox>& cache);
  // A call of a part of this one: an Int32Array like that of the whole, pinned; it is stopped, too, when all has to end.
  zs_call* Part(const Napi::Value& call);
  Napi::Promise Start(Work work, Finish finish);
  void Abort();

 protected:
  void Execute() override;
  void OnOK() override;
  void OnError(const Napi::Error& error) override;

 private:
  void Ended();

  Napi::Promise::Deferred deferred_;
  std::shared_ptr<EngineBox> engine_;
  std::vector<std::shared_ptr<CacheBox>> caches_;
  std::vector<zs_call*> parts_;
  std::vector<Napi::Reference<Napi::Value>> pinned_;
  zs_call own_{};
  zs_call* call_ = &own_;
  Work work_;
  Finish finish_;
  zs_status status_ = ZS_OK;
  std::string message_;
};

// Asks every call in flight to stop: the process is about to end and must not wait for them.
void AbortAll();

}  // namespace zs_addon
#endif
