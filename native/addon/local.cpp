// A shadow's local part: what it takes is gathered from JavaScript's arrays, which stay as they are.
#include <algorithm>

#include "addon/boxes.h"
#include "addon/calls.h"
#include "addon/jobs.h"
#include "zslab/record.h"

namespace zs_addon {
namespace {

struct Given {
  std::vector<const float*> given;
  std::vector<int64_t> tokens;
  zs_events events{};
  zs_local local{};
};

// (cache, { keysFixed, valuesFixed, prompt, given: [Float32Array], events, seeded, positions, firsts }, call) -> Promise<{ error, dropped,
// plain, missed, blurred: [rows, layers, heads], probability, worst, change: [losses] Float64Array; worstRow, lossRow: Int32Array }>
Napi::Value Local(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto box = Unwrap<CacheBox>(info[0]);
  const Napi::Object from = info[1].As<Napi::Object>();
  const zs_cache_config& shape = box->shape;
  auto all = std::make_shared<Given>();
  zs_local& local = all->local;
  std::vector<Napi::Value> pinned;
  const auto whole = [&](const Napi::Object& of, const char* name, size_t least) {
    const auto array = ArrayOf<Napi::Int32Array>(of.Get(name), napi_int32_array, least, name);
    pinned.push_back(array);
    return array;
  };
  local.struct_bytes = sizeof local;
  local.keys_fixed = from.Get("keysFixed").ToBoolean();
  local.values_fixed = from.Get("valuesFixed").ToBoolean();
  local.prompt = Whole(from.Get("prompt"), 1, INT32_MAX, "prompt");
  const size_t token = static_cast<size_t>(shape.layers) * 2 * static_cast<size_t>(shape.heads + shape.kv_heads) *
                       static_cast<size_t>(shape.head_dim);
  const Napi::Array given = from.Get("given").As<Napi::Array>();
  for (uint32_t i = 0; i < given.Length(); ++i) {
    const auto call = ArrayOf<Napi::Float32Array>(given.Get(i), napi_float32_array, token, "given");
    pinned.push_back(call);
    all->given.push_back(call.Data());
    all->tokens.push_back(static_cast<int64_t>(call.ElementLength() / token));
  }
  local.calls = static_cast<int64_t>(all->given.size());
  local.given = all->given.data(), local.tokens = all->tokens.data();
  const Napi::Object events = from.Get("events").As<Napi::Object>();
  const auto steps = whole(events, "step", 0);
  const size_t count = steps.ElementLength();
  const auto small = [&](const char* name) {
    const auto array = ArrayOf<Napi::Uint16Array>(events.Get(name), napi_uint16_array, count, name);
    pinned.push_back(array);
    return array.Data();
  };
  const auto byte = [&](const char* name) {
    const auto array = ArrayOf<Napi::Uint8Array>(events.Get(name), napi_uint8_array, count, name);
    pinned.push_back(array);
    return array;
  };
  const auto actions = byte("action");
  all->events.count = static_cast<int64_t>(count);
  all->events.step = steps.Data(), all->events.action = actions.Data();
  all->events.reason = byte("reason").Data();
  all->events.layer = small("layer"), all->events.kv_head = small("kvHead");
  all->events.position = whole(events, "position", count).Data();
  all->events.slot = whole(events, "slot", count).Data(), all->events.target = whole(events, "target", count).Data();
  local.events = &all->events;
  const auto seeded = whole(from, "seeded", 0);
  local.seeds = static_cast<int64_t>(seeded.ElementLength() / 4), local.seeded = seeded.Data();
  const auto positions = whole(from, "positions", 0);
  const size_t rows = positions.ElementLength(),
               each = rows * static_cast<size_t>(shape.layers) * static_cast<size_t>(shape.heads);
  local.rows = static_cast<int64_t>(rows), local.positions = positions.Data();
  local.firsts = whole(from, "firsts", rows).Data();
  const auto is_loss = [](uint8_t action) { return action == ZS_MERGE || action == ZS_DROP; };
  const size_t losses = static_cast<size_t>(std::count_if(actions.Data(), actions.Data() + count, is_loss));
  local.losses = static_cast<int64_t>(losses);
  Napi::Object result = Napi::Object::New(env);
  const auto doubles = [&](const char* name, size_t size) {
    auto array = Napi::Float64Array::New(env, size);
    result.Set(name, array);
    pinned.push_back(array);
    return array.Data();
  };
  local.error = doubles("error", each), local.dropped = doubles("dropped", each), local.plain = doubles("plain", each);
  local.missed = doubles("missed", each), local.blurred = doubles("blurred", each);
  local.probability = doubles("probability", losses), local.worst = doubles("worst", losses);
  local.change = doubles("change", losses);
  const auto rows_of = [&](const char* name) {
    auto array = Napi::Int32Array::New(env, losses);
    result.Set(name, array);
    pinned.push_back(array);
    return array.Data();
  };
  local.worst_row = rows_of("worstRow");
  int32_t* next = rows_of("lossRow");
  for (size_t row = 0; row < count; ++row)
    if (is_loss(actions[row])) *next++ = static_cast<int32_t>(row);
  Job* job = new Job(env, box->engine, info[2]);
  for (const Napi::Value& value : pinned) job->Pin(value);
  job->Uses(box);
  auto kept = std::make_shared<Napi::ObjectReference>(Napi::Persistent(result));
  return job->Start([box, all](zs_call* call) { return zs_cache_local(box->cache, &all->local, call); },
                    [kept](Napi::Env) -> Napi::Value { return kept->Value(); });
}

}  // namespace

void RegisterLocal(Napi::Env env, Napi::Object exports) { exports.Set("cacheLocal", Napi::Function::New(env, Local)); }

}  // namespace zs_addon
