// Caches: long calls as promises; reading is immediate, and refused while a call on the same cache is under way.
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
  Check(info.Env(), zs_cache_create(box->engine->engine, &whole, &box->cache));
  return Wrap(info.Env(), box);
}

// The cache of info[0], which no call may be changing.
std::shared_ptr<CacheBox> AtRest(const Napi::CallbackInfo& info) {
  auto box = Unwrap<CacheBox>(info[0]);
  if (box->calls > 0)
    throw Failed(info.Env(), ZS_INVALID,
                 "the cache is busy: await the call that is under way before reading or forking it");
  return box;
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

Napi::Value Layer(const Napi::CallbackInfo& info) {
  auto box = AtRest(info);
  zs_layer_state state;
  Check(info.Env(), zs_cache_layer(box->cache, static_cast<int32_t>(Whole(info[1], 0, 1 << 20, "layer")), &state));
  return Write(info.Env(), kLayerState, &state);
}

// (cache, layer) -> [{ slots, residual, ring, compressed, read }] of each kv head
Napi::Array HeadsOf(Napi::Env env, const CacheBox& box, int32_t layer) {
  std::vector<zs_head_state> heads(static_cast<size_t>(box.shape.kv_heads));
  Check(env, zs_cache_heads(box.cache, layer, heads.data()));
  Napi::Array result = Napi::Array::New(env, heads.size());
  for (size_t g = 0; g < heads.size(); ++g) result.Set(static_cast<uint32_t>(g), Write(env, kHeadState, &heads[g]));
  return result;
}

// (cache, layer, whole) -> { seqLen, slots, origins, heads, originOffsets, originPositions } and, if `whole`, keys, values, weights,
// scores: heads one after another
Napi::Value State(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto box = AtRest(info);
  const int32_t layer = static_cast<int32_t>(Whole(info[1], 0, 1 << 20, "layer"));
  const bool whole = info[2].ToBoolean();
  zs_layer_state state;
  Check(env, zs_cache_layer(box->cache, layer, &state));
  const size_t slots = static_cast<size_t>(state.slots);
  const auto column = [&](size_t width) { return Napi::Float32Array::New(env, whole ? slots * width : 0); };
  auto keys = column(static_cast<size_t>(box->shape.head_dim)),
       values = column(static_cast<size_t>(box->shape.head_dim));
  auto weights = column(1), scores = column(1);
  std::vector<int64_t> offsets(slots + 1, 0);
  auto positions = Napi::Int32Array::New(env, static_cast<size_t>(state.origins));
  const auto place = [&](Napi::Float32Array& of) { return whole ? of.Data() : nullptr; };
  Check(env, zs_cache_state(box->cache, layer, place(keys), place(values), place(weights), place(scores),
                            offsets.data(), positions.Data()));
  auto starts = Napi::Int32Array::New(env, slots + 1);
  for (size_t i = 0; i <= slots; ++i) starts[i] = static_cast<int32_t>(offsets[i]);
  Napi::Object result = Write(env, kLayerState, &state);
  result.Set("heads", HeadsOf(env, *box, layer));
  result.Set("originOffsets", starts);
  result.Set("originPositions", positions);
  if (!whole) return result;
  result.Set("keys", keys);
  result.Set("values", values);
  result.Set("weights", weights);
  result.Set("scores", scores);
  return result;
}

// (cache, layer, kvHead)
Napi::Value Resolved(const Napi::CallbackInfo& info) {
  auto box = AtRest(info);
  zs_resolved resolved;
  const int32_t layer = static_cast<int32_t>(Whole(info[1], 0, 1 << 20, "layer"));
  const int32_t head = static_cast<int32_t>(Whole(info[2], 0, 1 << 20, "kvHead"));
  Check(info.Env(), zs_cache_resolved(box->cache, layer, head, &resolved));
  return Write(info.Env(), kResolved, &resolved);
}

Napi::Value Receipt(const Napi::CallbackInfo& info) {
  auto box = AtRest(info);
  zs_receipt receipt;
  Check(info.Env(), zs_cache_receipt(box->cache, &receipt));
  return Write(info.Env(), kReceipt, &receipt);
}

// -> Float64Array [layers][kvHeads][regions]
Napi::Value Bytes(const Napi::CallbackInfo& info) {
  auto box = AtRest(info);
  std::vector<int64_t> bytes(static_cast<size_t>(box->shape.layers) * static_cast<size_t>(box->shape.kv_heads) *
                             ZS_REGIONS);
  Check(info.Env(), zs_cache_bytes(box->cache, bytes.data()));
  auto result = Napi::Float64Array::New(info.Env(), bytes.size());
  for (size_t i = 0; i < bytes.size(); ++i) result[i] = static_cast<double>(bytes[i]);
  return result;
}

Napi::Value PeakBytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(zs_cache_peak_bytes(AtRest(info)->cache)));
}

template <typename Array, typename T>
void Column(Napi::Object* object, const char* name, const T* data, size_t count) {
  auto column = Array::New(object->Env(), count);
  if (count) std::copy(data, data + count, column.Data());
  object->Set(name, column);
}

// (cache, from) -> the columns of zs_events from event `from` on, copied, with `count` of all
Napi::Value Events(const Napi::CallbackInfo& info) {
  auto box = AtRest(info);
  zs_events events{};
  Check(info.Env(), zs_cache_events(box->cache, &events));
  const int64_t from = Whole(info[1], 0, events.count, "from");
  const size_t n = static_cast<size_t>(events.count - from);
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("count", static_cast<double>(events.count));
#define INTEGERS(MEMBER, NAME) Column<Napi::Int32Array>(&result, NAME, events.MEMBER + (n ? from : 0), n)
#define REALS(MEMBER, NAME) Column<Napi::Float32Array>(&result, NAME, events.MEMBER + (n ? from : 0), n)
  INTEGERS(step, "step");
  INTEGERS(layer, "layer");
  INTEGERS(kv_head, "kvHead");
  INTEGERS(action, "action");
  INTEGERS(position, "position");
  INTEGERS(slot, "slot");
  INTEGERS(target, "target");
  REALS(score, "score");
  REALS(similarity, "similarity");
  REALS(weight, "weight");
  REALS(target_weight, "targetWeight");
#undef INTEGERS
#undef REALS
  return result;
}

}  // namespace

void RegisterCache(Napi::Env env, Napi::Object exports) {
  exports.Set("cacheCreate", Napi::Function::New(env, Create));
  exports.Set("cacheAttend", Napi::Function::New(env, Attend));
  exports.Set("cacheFork", Napi::Function::New(env, Fork));
  exports.Set("cacheRollback", Napi::Function::New(env, Rollback));
  exports.Set("cacheForkPolicies", Napi::Function::New(env, ForkPolicies));
  exports.Set("cacheLayer", Napi::Function::New(env, Layer));
  exports.Set("cacheState", Napi::Function::New(env, State));
  exports.Set("cacheResolved", Napi::Function::New(env, Resolved));
  exports.Set("cacheReceipt", Napi::Function::New(env, Receipt));
  exports.Set("cacheBytes", Napi::Function::New(env, Bytes));
  exports.Set("cachePeakBytes", Napi::Function::New(env, PeakBytes));
  exports.Set("cacheEvents", Napi::Function::New(env, Events));
}

}  // namespace zs_addon
