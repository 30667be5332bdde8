// Reading a cache: immediate, and refused while a call on the same cache is under way.
#include "addon/boxes.h"
#include "addon/calls.h"
#include "addon/jobs.h"
#include "addon/structs.h"
#include "zslab/device.h"
#include "zslab/record.h"

namespace zs_addon {

// The cache of info[0], which no call may be changing.
std::shared_ptr<CacheBox> AtRest(const Napi::CallbackInfo& info) {
  auto box = Unwrap<CacheBox>(info[0]);
  if (box->calls > 0)
    throw Failed(info.Env(), ZS_INVALID,
                 "the cache is busy: await the call that is under way before reading or forking it");
  return box;
}

const uint8_t* HeadMarks(const CacheBox& box, const Napi::Value& value) {
  const size_t count = static_cast<size_t>(box.shape.layers) * static_cast<size_t>(box.shape.kv_heads);
  return ArrayOf<Napi::Uint8Array>(value, napi_uint8_array, count, "heads").Data();
}

namespace {

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

template <typename Array, typename T>
void Column(Napi::Object* object, const char* name, const T* data, size_t count) {
  auto column = Array::New(object->Env(), count);
  if (count) std::copy(data, data + count, column.Data());
  object->Set(name, column);
}

// (cache, layer) -> of each kv head its policy's own arrays: { [name]: { shape, data: Float32Array } }
Napi::Value Inspect(const Napi::CallbackInfo& info) {
  struct Array {
    std::string name;
    std::vector<int32_t> shape;
    std::vector<float> data;
  };
  Napi::Env env = info.Env();
  auto box = AtRest(info);
  const int32_t layer = static_cast<int32_t>(Whole(info[1], 0, 1 << 20, "layer"));
  // Arrays are gathered first: JavaScript's errors must not pass through the engine.
  const auto gather = [](void* context, const zs_array* a) {
    size_t elements = 1;
    for (int32_t i = 0; i < a->dims; ++i) elements *= static_cast<size_t>(a->shape[i]);
    static_cast<std::vector<Array>*>(context)->push_back(
        {a->name, {a->shape, a->shape + a->dims}, {a->data, a->data + elements}});
  };
  Napi::Array result = Napi::Array::New(env, static_cast<size_t>(box->shape.kv_heads));
  for (int32_t g = 0; g < box->shape.kv_heads; ++g) {
    std::vector<Array> arrays;
    Check(env, zs_cache_inspect(box->cache, layer, g, gather, &arrays));
    Napi::Object head = Napi::Object::New(env);
    for (const Array& array : arrays) {
      Napi::Object one = Napi::Object::New(env);
      Napi::Array shape = Napi::Array::New(env, array.shape.size());
      for (uint32_t i = 0; i < array.shape.size(); ++i) shape.Set(i, array.shape[i]);
      one.Set("shape", shape);
      Column<Napi::Float32Array>(&one, "data", array.data.data(), array.data.size());
      head.Set(array.name, one);
    }
    result.Set(static_cast<uint32_t>(g), head);
  }
  return result;
}

Napi::Value Receipt(const Napi::CallbackInfo& info) {
  auto box = AtRest(info);
  zs_receipt receipt;
  Check(info.Env(), zs_cache_receipt(box->cache, &receipt));
  int64_t here = 0, there = 0;
  Check(info.Env(), zs_cache_attended(box->cache, &here, &there));
  Napi::Object result = Write(info.Env(), kReceipt, &receipt);
  result.Set("rowsHere", static_cast<double>(here));
  result.Set("rowsThere", static_cast<double>(there));
  return result;
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

// (cache, heads: Uint8Array [layers][kvHeads], queryRows)
void Record(const Napi::CallbackInfo& info) {
  auto box = AtRest(info);
  const uint8_t* const heads = HeadMarks(*box, info[1]);
  Check(info.Env(), zs_cache_record(box->cache, heads, Whole(info[2], 0, int64_t{1} << 40, "queryRows")));
}

// (cache, layer, kvHead) -> { tokens, keys, values, queries, outputs }
Napi::Value Recorded(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto box = AtRest(info);
  const int32_t layer = static_cast<int32_t>(Whole(info[1], 0, 1 << 20, "layer"));
  const int32_t head = static_cast<int32_t>(Whole(info[2], 0, 1 << 20, "kvHead"));
  zs_recorded sizes;
  Check(env, zs_cache_recorded(box->cache, layer, head, &sizes));
  const int64_t d = box->shape.head_dim, group = box->shape.heads / box->shape.kv_heads;
  Napi::Object result = Napi::Object::New(env);
  const auto column = [&](const char* name, int64_t rows, int64_t width) {
    auto array = Napi::Float32Array::New(env, static_cast<size_t>(rows * width));
    result.Set(name, array);
    return array.Data();
  };
  float *const keys = column("keys", sizes.tokens, d), *const values = column("values", sizes.tokens, d);
  float *const queries = column("queries", sizes.queries, group * d), *const outputs =
                                                                          column("outputs", sizes.outputs, group * d);
  Check(env, zs_cache_record_read(box->cache, layer, head, keys, values, queries, outputs));
  result.Set("tokens", static_cast<double>(sizes.tokens));
  return result;
}

// (cache, heads: Uint8Array [layers][kvHeads], every, mostBytes)
void RecordScores(const Napi::CallbackInfo& info) {
  auto box = AtRest(info);
  const uint8_t* const heads = HeadMarks(*box, info[1]);
  Check(info.Env(), zs_cache_record_scores(box->cache, heads, Whole(info[2], 1, int64_t{1} << 40, "every"),
                                           Whole(info[3], 0, int64_t{1} << 50, "mostBytes")));
}

// (cache, layer, kvHead) -> { bytes, steps, first, positions, starts, scores, probabilities }
Napi::Value Scored(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto box = AtRest(info);
  const int32_t layer = static_cast<int32_t>(Whole(info[1], 0, 1 << 20, "layer"));
  const int32_t head = static_cast<int32_t>(Whole(info[2], 0, 1 << 20, "kvHead"));
  zs_scored sizes;
  Check(env, zs_cache_scored(box->cache, layer, head, &sizes));
  const size_t rows = static_cast<size_t>(sizes.rows), slots = static_cast<size_t>(sizes.slots);
  auto steps = Napi::Int32Array::New(env, rows), first = Napi::Int32Array::New(env, rows),
       positions = Napi::Int32Array::New(env, rows);
  auto starts = Napi::Float64Array::New(env, rows + 1);
  auto scores = Napi::Float32Array::New(env, slots), probabilities = Napi::Float32Array::New(env, slots);
  std::vector<int64_t> whole(rows + 1);
  Check(env, zs_cache_scores_read(box->cache, layer, head, steps.Data(), first.Data(), positions.Data(), whole.data(),
                                  scores.Data(), probabilities.Data()));
  std::copy(whole.begin(), whole.end(), starts.Data());
  Napi::Object result = Napi::Object::New(env);
  result.Set("bytes", static_cast<double>(sizes.bytes));
  result.Set("steps", steps), result.Set("first", first), result.Set("positions", positions);
  result.Set("starts", starts), result.Set("scores", scores), result.Set("probabilities", probabilities);
  return result;
}

}  // namespace

void RegisterInspection(Napi::Env env, Napi::Object exports) {
  exports.Set("cacheLayer", Napi::Function::New(env, Layer));
  exports.Set("cacheState", Napi::Function::New(env, State));
  exports.Set("cacheResolved", Napi::Function::New(env, Resolved));
  exports.Set("cacheInspect", Napi::Function::New(env, Inspect));
  exports.Set("cacheReceipt", Napi::Function::New(env, Receipt));
  exports.Set("cacheBytes", Napi::Function::New(env, Bytes));
  exports.Set("cachePeakBytes", Napi::Function::New(env, PeakBytes));
  exports.Set("cacheRecord", Napi::Function::New(env, Record));
  exports.Set("cacheRecorded", Napi::Function::New(env, Recorded));
  exports.Set("cacheRecordScores", Napi::Function::New(env, RecordScores));
  exports.Set("cacheScored", Napi::Function::New(env, Scored));
}

}  // namespace zs_addon
