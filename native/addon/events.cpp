// Events as columns: JavaScript's arrays lie where the tape has them, nothing is copied, and they stay as they are.
#include "addon/boxes.h"
#include "addon/calls.h"
#include "addon/jobs.h"
#include "zslab/tape.h"

namespace zs_addon {
namespace {

using Held = std::shared_ptr<zs_held_events>;

template <typename Array, typename T>
void Column(Napi::Object* object, const char* name, const T* data, size_t count, const Held& held) {
  const Napi::Env env = object->Env();
  if (count == 0) return static_cast<void>(object->Set(name, Array::New(env, 0)));
  auto bytes = Napi::ArrayBuffer::New(
      env, const_cast<T*>(data), count * sizeof(T), [](Napi::Env, void*, Held* last) { delete last; }, new Held(held));
  object->Set(name, Array::New(env, count, bytes, 0));
}

// (cache, from) -> the columns of zs_events from event `from` on, with `count` of all
Napi::Value Events(const Napi::CallbackInfo& info) {
  auto box = AtRest(info);
  zs_events events{};
  zs_held_events* hold = nullptr;
  Check(info.Env(), zs_cache_hold_events(box->cache, &events, &hold));
  const Held held(hold, zs_held_events_release);
  const int64_t from = Whole(info[1], 0, events.count, "from");
  const size_t n = static_cast<size_t>(events.count - from);
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("count", static_cast<double>(events.count));
#define COLUMN(TYPE, MEMBER, NAME) Column<Napi::TYPE##Array>(&result, NAME, events.MEMBER + (n ? from : 0), n, held)
  COLUMN(Int32, step, "step");
  COLUMN(Uint16, layer, "layer");
  COLUMN(Uint16, kv_head, "kvHead");
  COLUMN(Uint8, action, "action");
  COLUMN(Uint8, reason, "reason");
  COLUMN(Int32, position, "position");
  COLUMN(Int32, slot, "slot");
  COLUMN(Int32, target, "target");
  COLUMN(Int32, rank, "rank");
  COLUMN(Float32, score, "score");
  COLUMN(Float32, threshold, "threshold");
  COLUMN(Float32, similarity, "similarity");
  COLUMN(Float32, target_score, "targetScore");
  COLUMN(Float32, weight, "weight");
  COLUMN(Float32, target_weight, "targetWeight");
#undef COLUMN
  return result;
}

// (cache, bytes, folder)
void Spill(const Napi::CallbackInfo& info) {
  auto box = AtRest(info);
  const int64_t bytes = Whole(info[1], 0, int64_t{1} << 53, "bytes");
  if (!info[2].IsString()) throw Napi::TypeError::New(info.Env(), "folder: expected a path");
  Check(info.Env(), zs_cache_spill(box->cache, bytes, info[2].As<Napi::String>().Utf8Value().c_str()));
}

Napi::Value TapeBytes(const Napi::CallbackInfo& info) {
  zs_tape_bytes bytes;
  Check(info.Env(), zs_cache_tape_bytes(AtRest(info)->cache, &bytes));
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("events", static_cast<double>(bytes.events));
  result.Set("memory", static_cast<double>(bytes.memory));
  result.Set("files", static_cast<double>(bytes.files));
  return result;
}

}  // namespace

void RegisterEvents(Napi::Env env, Napi::Object exports) {
  exports.Set("cacheEvents", Napi::Function::New(env, Events));
  exports.Set("cacheSpill", Napi::Function::New(env, Spill));
  exports.Set("cacheTapeBytes", Napi::Function::New(env, TapeBytes));
}

}  // namespace zs_addon
