#include "addon/own_hook.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace zs_addon {
namespace {

constexpr int64_t kNobodyAnswers = -1;
std::atomic<bool> stopping{false};

// One question and its answer; shared, so that whoever comes last finds it whole.
struct Question {
  zs_own_view view;
  std::vector<int32_t> slots, excess, positions, leaving;
  std::vector<float> scores, keys, values;
  std::mutex mutex;
  std::condition_variable answered;
  bool done = false;
  int64_t failed = kNobodyAnswers;
};

template <class Array, class T>
Napi::Value Copied(Napi::Env env, const std::vector<T>& from) {
  auto array = Array::New(env, from.size());
  std::copy(from.begin(), from.end(), array.Data());
  return array;
}

void Ask(Napi::Env env, Napi::Function f, Question* raw) {
  const std::unique_ptr<std::shared_ptr<Question>> held(reinterpret_cast<std::shared_ptr<Question>*>(raw));
  Question& q = **held;
  int64_t failed = kNobodyAnswers;
  if (env != nullptr && f != nullptr) {
    const Napi::HandleScope scope(env);
    const auto told = [&](const std::vector<float>& part) {
      return part.empty() ? env.Undefined() : Copied<Napi::Float32Array>(env, part);
    };
    try {
      const Napi::Value answer =
          f.Call({Napi::Number::New(env, q.view.layer), Napi::Number::New(env, static_cast<double>(q.view.step)),
                  Napi::Number::New(env, q.view.head_dim), Copied<Napi::Int32Array>(env, q.slots),
                  Copied<Napi::Int32Array>(env, q.excess), Copied<Napi::Int32Array>(env, q.positions),
                  Copied<Napi::Float32Array>(env, q.scores), told(q.keys), told(q.values)});
      if (answer.IsTypedArray() && answer.As<Napi::TypedArray>().TypedArrayType() == napi_int32_array &&
          answer.As<Napi::Int32Array>().ElementLength() == q.leaving.size()) {
        const auto array = answer.As<Napi::Int32Array>();
        std::copy_n(array.Data(), q.leaving.size(), q.leaving.data());
        failed = 0;
      } else if (answer.IsNumber()) {
        failed = answer.As<Napi::Number>().Int64Value();
      }
    } catch (const Napi::Error&) {
      // The function keeps its own errors and answers with their number; what still comes here has none.
    }
  }
  const std::lock_guard<std::mutex> lock(q.mutex);
  q.failed = failed;
  q.done = true;
  q.answered.notify_all();
}

}  // namespace

OwnHook::OwnHook(Napi::Env env, const Napi::Function& f)
    : gone_(std::make_shared<std::atomic<bool>>(false)),
      function_(Napi::ThreadSafeFunction::New(
          env, f, "zslab policy", 0, 1,
          [](Napi::Env, std::shared_ptr<std::atomic<bool>>* gone) {
            **gone = true;
            delete gone;
          },
          new std::shared_ptr<std::atomic<bool>>(gone_))) {
  function_.Unref(env);  // a cache that nobody works with must not keep the process alive
}

// Where the process ends, Node deletes the function before the caches that ask it.
OwnHook::~OwnHook() {
  if (!*gone_) function_.Release();
}

int64_t OwnHook::Choose(void* self, const zs_own_view* view, int32_t* leaving) {
  auto q = std::make_shared<Question>();
  q->view = *view;
  int64_t all = 0, leave = 0;
  for (int32_t g = 0; g < view->kv_heads; ++g) all += view->slots[g], leave += view->excess[g];
  q->slots.assign(view->slots, view->slots + view->kv_heads);
  q->excess.assign(view->excess, view->excess + view->kv_heads);
  q->positions.assign(view->positions, view->positions + all);
  q->scores.assign(view->scores, view->scores + all);
  if (view->keys) q->keys.assign(view->keys, view->keys + all * view->head_dim);
  if (view->values) q->values.assign(view->values, view->values + all * view->head_dim);
  q->leaving.resize(static_cast<size_t>(leave));
  auto* const passed = new std::shared_ptr<Question>(q);
  if (static_cast<OwnHook*>(self)->function_.BlockingCall(reinterpret_cast<Question*>(passed), Ask) != napi_ok) {
    delete passed;
    return kNobodyAnswers;
  }
  std::unique_lock<std::mutex> lock(q->mutex);
  while (!q->answered.wait_for(lock, std::chrono::milliseconds(50), [&] { return q->done; }))
    if (stopping) return kNobodyAnswers;
  std::copy(q->leaving.begin(), q->leaving.end(), leaving);
  return q->failed;
}

void StopHooks() { stopping = true; }

}  // namespace zs_addon
