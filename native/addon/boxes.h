// What JavaScript holds: boxes around the engine's objects. A cache or model keeps its engine alive; a call in flight keeps
// everything it touches alive, whatever JavaScript disposes meanwhile. Boxes are touched on JavaScript's thread only.
#ifndef ZSLAB_ADDON_BOXES_H
#define ZSLAB_ADDON_BOXES_H

#include <napi.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "zslab/model.h"

namespace zs_addon {

class Job;

struct EngineBox {
  zs_engine* engine = nullptr;
  int64_t reported = 0;      // bytes that the garbage collector was told of
  std::deque<Job*> waiting;  // calls run one after another, in the order they were made
  Job* running = nullptr;
  std::vector<std::function<void()>> afterwards;  // destructions that wait until no call runs

  ~EngineBox();
  void Enqueue(Job* job);
  void Next();
  // Runs `destroy` now, or after the running call: the objects of one engine may share memory.
  void WhenIdle(std::function<void()> destroy);
};

struct CacheBox {
  std::shared_ptr<EngineBox> engine;
  zs_cache* cache = nullptr;
  zs_cache_config shape{};
  int calls = 0;  // queued or running
  int64_t reported = 0;
  std::shared_ptr<void> policy;  // what its policy points to
  ~CacheBox();
};

struct ModelBox {
  std::shared_ptr<EngineBox> engine;
  zs_model* model = nullptr;
  zs_model_config shape{};
  int64_t reported = 0;
  ~ModelBox();
};

constexpr napi_type_tag TagOf(const EngineBox*) { return {0x7a736c61622d656eULL, 1}; }
constexpr napi_type_tag TagOf(const CacheBox*) { return {0x7a736c61622d6361ULL, 2}; }
constexpr napi_type_tag TagOf(const ModelBox*) { return {0x7a736c61622d6d6fULL, 3}; }

// Tells the garbage collector what a box holds outside its heap.
void Report(Napi::Env env, int64_t bytes, int64_t* reported);

template <typename Box>
Napi::Value Wrap(Napi::Env env, std::shared_ptr<Box> box) {
  auto* held = new std::shared_ptr<Box>(std::move(box));
  auto external =
      Napi::External<std::shared_ptr<Box>>::New(env, held, [](Napi::Env environment, std::shared_ptr<Box>* data) {
        if (*data) Report(environment, 0, &(*data)->reported);
        delete data;
      });
  const napi_type_tag tag = TagOf(static_cast<const Box*>(nullptr));
  if (napi_type_tag_object(env, external, &tag) != napi_ok) throw Napi::Error::New(env, "cannot tag a native object");
  return external;
}

template <typename Box>
std::shared_ptr<Box>& Held(const Napi::Value& value) {
  const napi_type_tag tag = TagOf(static_cast<const Box*>(nullptr));
  bool same = false;
  if (!value.IsExternal() || napi_check_object_type_tag(value.Env(), value, &tag, &same) != napi_ok || !same)
    throw Napi::TypeError::New(value.Env(), "not a native object of this kind");
  return *value.As<Napi::External<std::shared_ptr<Box>>>().Data();
}

template <typename Box>
std::shared_ptr<Box> Unwrap(const Napi::Value& value) {
  const std::shared_ptr<Box>& box = Held<Box>(value);
  if (!box) throw Napi::Error::New(value.Env(), "this object was disposed");
  return box;
}

// The cache of info[0], which no call may be changing.
std::shared_ptr<CacheBox> AtRest(const Napi::CallbackInfo& info);
// `value`: Uint8Array [layers, kvHeads] of the cache, 1 = this head.
const uint8_t* HeadMarks(const CacheBox& box, const Napi::Value& value);

// An Error with `status` (zs_status) and the engine's own sentence.
Napi::Error Failed(Napi::Env env, zs_status status, const std::string& message);
void Check(Napi::Env env, zs_status status);

}  // namespace zs_addon
#endif
