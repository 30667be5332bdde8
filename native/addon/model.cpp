// Models: loading and the forward pass, both long calls.
#include "addon/boxes.h"
#include "addon/calls.h"
#include "addon/jobs.h"
#include "addon/structs.h"

namespace zs_addon {
namespace {

struct Loading {
  std::vector<std::string> paths;
  std::vector<const char*> path_pointers;
  std::string packed;
  zs_model_config config{};
  std::vector<std::string> names;
  std::vector<zs_tensor> tensors;
};

// (engine, [path], config, [{ name, type, shape, offset, bytes, file }], call) -> Promise<model>
Napi::Value Load(const Napi::CallbackInfo& info) {
  auto engine = Unwrap<EngineBox>(info[0]);
  auto loading = std::make_shared<Loading>();
  Napi::Array paths = info[1].As<Napi::Array>();
  for (uint32_t i = 0; i < paths.Length(); ++i) loading->paths.push_back(paths.Get(i).As<Napi::String>().Utf8Value());
  for (const std::string& path : loading->paths) loading->path_pointers.push_back(path.c_str());
  Read(info[2].As<Napi::Object>(), kModelConfig, &loading->config);
  loading->config.struct_bytes = sizeof(zs_model_config);
  const Napi::Value packed = info[2].As<Napi::Object>().Get("packed");
  if (packed.IsString()) {
    loading->packed = packed.As<Napi::String>().Utf8Value();
    loading->config.packed = loading->packed.c_str();
  }
  Napi::Array list = info[3].As<Napi::Array>();
  loading->names.reserve(list.Length());  // the tensors point into it
  for (uint32_t i = 0; i < list.Length(); ++i) {
    Napi::Object one = list.Get(i).As<Napi::Object>();
    loading->names.push_back(one.Get("name").As<Napi::String>().Utf8Value());
    zs_tensor tensor{};
    tensor.name = loading->names.back().c_str();
    tensor.type = static_cast<int32_t>(Whole(one.Get("type"), 0, 255, "type"));
    Napi::Array shape = one.Get("shape").As<Napi::Array>();
    tensor.dims = static_cast<int32_t>(Whole(Napi::Number::New(info.Env(), shape.Length()), 1, 2, "dims"));
    tensor.shape[0] = Whole(shape.Get(uint32_t{0}), 1, int64_t{1} << 40, "shape");
    tensor.shape[1] = tensor.dims == 2 ? Whole(shape.Get(uint32_t{1}), 1, int64_t{1} << 40, "shape") : 1;
    tensor.offset = Whole(one.Get("offset"), 0, int64_t{1} << 52, "offset");
    tensor.bytes = Whole(one.Get("bytes"), 0, int64_t{1} << 52, "bytes");
    tensor.file = static_cast<int32_t>(Whole(one.Get("file"), 0, int64_t{paths.Length()} - 1, "file"));
    loading->tensors.push_back(tensor);
  }
  auto box = std::make_shared<ModelBox>();
  box->engine = engine;
  box->shape = loading->config;
  Job* job = new Job(info.Env(), engine, info[4]);
  return job->Start(
      [box, loading](zs_call* call) {
        return zs_model_load(box->engine->engine, loading->path_pointers.data(),
                             static_cast<int32_t>(loading->paths.size()), &loading->config, loading->tensors.data(),
                             static_cast<int64_t>(loading->tensors.size()), &box->model, call);
      },
      [box](Napi::Env env) {
        Report(env, zs_model_bytes(box->model), &box->reported);
        return Wrap(env, box);
      });
}

Napi::Value DescribeModel(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), zs_model_describe(Unwrap<ModelBox>(info[0])->model));
}

// A forward with what it points to, which a job has to pin.
struct HeldForward {
  zs_forward forward{};
  std::vector<int64_t> rows;
  std::vector<Napi::Value> pins;
};

// { ids, shareOf, rows, logits, targets, logprobs, given }: ids and targets Int32Array, rows an array of row numbers, logits and given
// Float32Array, logprobs Float64Array; rows with logits, targets with logprobs and given may be left out.
std::shared_ptr<HeldForward> ForwardOf(const zs_model_config& c, const Napi::Value& value) {
  Napi::Object given = value.As<Napi::Object>();
  auto held = std::make_shared<HeldForward>();
  zs_forward& forward = held->forward;
  forward.struct_bytes = sizeof(zs_forward);
  auto ids = ArrayOf<Napi::Int32Array>(given.Get("ids"), napi_int32_array, 1, "ids");
  forward.ids = ids.Data();
  forward.tokens = static_cast<int64_t>(ids.ElementLength());
  forward.share_of = Whole(given.Get("shareOf"), 0, int64_t{1} << 31, "shareOf");
  Napi::Value logits = given.Get("logits");
  Napi::Value targets = given.Get("targets");
  Napi::Value logprobs = given.Get("logprobs");
  if (given.Get("rows").IsArray()) {
    Napi::Array list = given.Get("rows").As<Napi::Array>();
    for (uint32_t i = 0; i < list.Length(); ++i)
      held->rows.push_back(Whole(list.Get(i), 0, forward.tokens - 1, "rows"));
    const size_t need = held->rows.size() * static_cast<size_t>(c.vocabulary);
    forward.rows = held->rows.data();
    forward.row_count = static_cast<int64_t>(held->rows.size());
    forward.logits = ArrayOf<Napi::Float32Array>(logits, napi_float32_array, need, "logits").Data();
  }
  if (!targets.IsUndefined()) {
    forward.targets = ArrayOf<Napi::Int32Array>(targets, napi_int32_array, ids.ElementLength(), "targets").Data();
    forward.logprobs =
        ArrayOf<Napi::Float64Array>(logprobs, napi_float64_array, ids.ElementLength(), "logprobs").Data();
  }
  Napi::Value attention = given.Get("given");
  if (!attention.IsUndefined()) {
    const size_t need = ids.ElementLength() * static_cast<size_t>(c.layers) * 2 *
                        static_cast<size_t>(c.heads + c.kv_heads) * static_cast<size_t>(c.head_dim);
    forward.given = ArrayOf<Napi::Float32Array>(attention, napi_float32_array, need, "given").Data();
  }
  held->pins = {ids, attention, logits, targets, logprobs};
  return held;
}

// (model, cache, a forward, call) -> Promise
Napi::Value Forward(const Napi::CallbackInfo& info) {
  auto model = Unwrap<ModelBox>(info[0]);
  auto cache = Unwrap<CacheBox>(info[1]);
  auto held = ForwardOf(model->shape, info[2]);
  Job* job = new Job(info.Env(), model->engine, info[3]);
  for (const Napi::Value& pin : held->pins) job->Pin(pin);
  held->pins.clear();
  job->Uses(cache);
  return job->Start([model, cache, held](
                        zs_call* call) { return zs_model_forward(model->model, cache->cache, &held->forward, call); },
                    [](Napi::Env env) { return env.Undefined(); });
}

// (model, [{ cache, forward, call }], call) -> Promise<[undefined or what went wrong with this one, an Error with `status`]>
Napi::Value ForwardMany(const Napi::CallbackInfo& info) {
  auto model = Unwrap<ModelBox>(info[0]);
  Napi::Array list = info[1].As<Napi::Array>();
  auto caches = std::make_shared<std::vector<std::shared_ptr<CacheBox>>>();
  auto forwards = std::make_shared<std::vector<std::shared_ptr<HeldForward>>>();
  auto all = std::make_shared<std::vector<zs_batched>>(list.Length());
  for (uint32_t i = 0; i < list.Length(); ++i) {
    Napi::Object one = list.Get(i).As<Napi::Object>();
    caches->push_back(Unwrap<CacheBox>(one.Get("cache")));
    forwards->push_back(ForwardOf(model->shape, one.Get("forward")));
  }
  Job* job = new Job(info.Env(), model->engine, info[2]);
  for (uint32_t i = 0; i < list.Length(); ++i) {
    zs_batched& one = (*all)[i];
    one.struct_bytes = sizeof(zs_batched);
    one.cache = (*caches)[i]->cache;
    one.forward = &(*forwards)[i]->forward;
    one.call = job->Part(list.Get(i).As<Napi::Object>().Get("call"));
    for (const Napi::Value& pin : (*forwards)[i]->pins) job->Pin(pin);
    (*forwards)[i]->pins.clear();
    job->Uses((*caches)[i]);
  }
  return job->Start(
      [model, caches, forwards, all](zs_call* call) {
        return zs_model_forward_many(model->model, all->data(), static_cast<int64_t>(all->size()), call);
      },
      [all](Napi::Env env) {
        Napi::Array ended = Napi::Array::New(env, all->size());
        for (uint32_t i = 0; i < all->size(); ++i) {
          const zs_batched& one = (*all)[i];
          ended.Set(i, one.status == ZS_OK ? env.Undefined() : Failed(env, one.status, one.error).Value());
        }
        return ended;
      });
}

// (engine, p, q: Float32Array) -> { kl, logSumP, logSumQ, bestP, bestQ }, at once.
Napi::Value CompareLogits(const Napi::CallbackInfo& info) {
  const auto engine = Unwrap<EngineBox>(info[0]);
  const auto p = ArrayOf<Napi::Float32Array>(info[1], napi_float32_array, 1, "p");
  const auto q = ArrayOf<Napi::Float32Array>(info[2], napi_float32_array, p.ElementLength(), "q");
  const int64_t count = static_cast<int64_t>(p.ElementLength());
  zs_compared compared;
  Check(info.Env(), zs_compare_logits(engine->engine, p.Data(), q.Data(), count, &compared));
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("kl", compared.kl);
  result.Set("logSumP", compared.log_sum_p);
  result.Set("logSumQ", compared.log_sum_q);
  result.Set("bestP", static_cast<double>(compared.best_p));
  result.Set("bestQ", static_cast<double>(compared.best_q));
  return result;
}

}  // namespace

void RegisterModel(Napi::Env env, Napi::Object exports) {
  exports.Set("modelLoad", Napi::Function::New(env, Load));
  exports.Set("modelDescribe", Napi::Function::New(env, DescribeModel));
  exports.Set("modelForward", Napi::Function::New(env, Forward));
  exports.Set("modelForwardMany", Napi::Function::New(env, ForwardMany));
  exports.Set("rowsTogether", Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
                return Napi::Number::New(info.Env(), zs_rows_together());
              }));
  exports.Set("compareLogits", Napi::Function::New(env, CompareLogits));
}

}  // namespace zs_addon
