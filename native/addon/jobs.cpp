#include "addon/jobs.h"

#include <mutex>
#include <set>
#include <utility>

#include "addon/own_hook.h"

namespace zs_addon {
namespace {

std::mutex& InFlightMutex() {
  static auto* mutex = new std::mutex;  // never destroyed: calls may outlive static destructors at exit
  return *mutex;
}
std::set<Job*>& InFlight() {
  static auto* jobs = new std::set<Job*>;
  return *jobs;
}

zs_call* CallIn(const Napi::Value& call) {
  if (!call.IsTypedArray() || call.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array ||
      call.As<Napi::TypedArray>().ByteLength() != sizeof(zs_call))
    throw Napi::TypeError::New(call.Env(), "a call is an Int32Array over the bytes of a zs_call");
  return reinterpret_cast<zs_call*>(call.As<Napi::Int32Array>().Data());
}

}  // namespace

Napi::Error Failed(Napi::Env env, zs_status status, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message.empty() ? "the engine gave no reason" : message);
  error.Set("status", Napi::Number::New(env, status));
  return error;
}

void Check(Napi::Env env, zs_status status) {
  if (status != ZS_OK) throw Failed(env, status, zs_last_error());
}

void Report(Napi::Env env, int64_t bytes, int64_t* reported) {
  if (bytes != *reported) Napi::MemoryManagement::AdjustExternalMemory(env, bytes - *reported);
  *reported = bytes;
}

EngineBox::~EngineBox() {
  for (auto& destroy : afterwards) destroy();
  zs_engine_destroy(engine);
}

void EngineBox::Enqueue(Job* job) {
  waiting.push_back(job);
  if (!running) Next();
}

void EngineBox::Next() {
  running = nullptr;
  std::vector<std::function<void()>> due;
  due.swap(afterwards);
  for (auto& destroy : due) destroy();
  if (waiting.empty()) return;
  running = waiting.front();
  waiting.pop_front();
  running->Queue();
}

void EngineBox::WhenIdle(std::function<void()> destroy) {
  if (running)
    afterwards.push_back(std::move(destroy));
  else
    destroy();
}

CacheBox::~CacheBox() {
  if (cache) engine->WhenIdle([held = cache] { zs_cache_destroy(held); });
}

ModelBox::~ModelBox() {
  if (model) engine->WhenIdle([held = model] { zs_model_destroy(held); });
}

Job::Job(Napi::Env env, std::shared_ptr<EngineBox> engine, const Napi::Value& call)
    : Napi::AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)), engine_(std::move(engine)) {
  if (call.IsUndefined()) return;
  call_ = CallIn(call);
  Pin(call);
}

void Job::Pin(const Napi::Value& value) {
  if (value.IsObject()) pinned_.push_back(Napi::Reference<Napi::Value>::New(value, 1));
}

void Job::Uses(const std::shared_ptr<CacheBox>& cache) {
  caches_.push_back(cache);
  ++cache->calls;
}

zs_call* Job::Part(const Napi::Value& call) {
  zs_call* const part = CallIn(call);
  Pin(call);
  parts_.push_back(part);
  return part;
}

void Job::Abort() {
  call_->abort = 1;
  for (zs_call* part : parts_) part->abort = 1;
}

Napi::Promise Job::Start(Work work, Finish finish) {
  work_ = std::move(work);
  finish_ = std::move(finish);
  {
    std::lock_guard<std::mutex> lock(InFlightMutex());
    InFlight().insert(this);
  }
  Napi::Promise promise = deferred_.Promise();
  engine_->Enqueue(this);
  return promise;
}

void Job::Execute() {
  if (call_->abort) {
    status_ = ZS_ABORTED;
    return;
  }
  status_ = work_(call_);
  if (status_ != ZS_OK) message_ = zs_last_error();  // thread-local: must be read on this thread
}

void Job::Ended() {
  {
    std::lock_guard<std::mutex> lock(InFlightMutex());
    InFlight().erase(this);
  }
  for (const auto& cache : caches_) {
    --cache->calls;
    if (status_ == ZS_OK && cache->cache) Report(Env(), zs_cache_peak_bytes(cache->cache), &cache->reported);
  }
  work_ = nullptr;
  engine_->Next();
}

void Job::OnOK() {
  Napi::HandleScope scope(Env());
  Ended();
  if (status_ != ZS_OK) {
    deferred_.Reject(Failed(Env(), status_, message_).Value());
    return;
  }
  try {
    deferred_.Resolve(finish_(Env()));
  } catch (const Napi::Error& error) {
    deferred_.Reject(error.Value());
  }
}

void Job::OnError(const Napi::Error& error) {
  Napi::HandleScope scope(Env());
  status_ = ZS_INTERNAL;
  Ended();
  deferred_.Reject(error.Value());
}

void AbortAll() {
  StopHooks();
  std::lock_guard<std::mutex> lock(InFlightMutex());
  for (Job* job : InFlight()) job->Abort();
}

}  // namespace zs_addon
