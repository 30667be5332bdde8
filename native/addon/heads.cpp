// Heads changed and watched: a text read whole, and one with many changes; both long calls.
#include "zslab/heads.h"

#include <algorithm>
#include <limits>

#include "addon/boxes.h"
#include "addon/calls.h"
#include "addon/jobs.h"

namespace zs_addon {
namespace {

// What a call points to; its arrays are pinned by the job.
struct Asked {
  std::vector<Napi::Value> pinned;
  std::vector<zs_head_change> changes;
  std::vector<int64_t> starts;
  std::vector<zs_pattern> patterns;
  zs_head_watch watch{};
  zs_read read{};
  zs_vary vary{};

  template <typename Array, typename T>
  T* Take(const Napi::Value& value, napi_typedarray_type type, size_t least, const char* name) {
    if (value.IsUndefined()) return nullptr;
    pinned.push_back(value);
    return ArrayOf<Array>(value, type, least, name).Data();
  }
  float* Floats(const Napi::Object& of, const char* name, size_t least) {
    return Take<Napi::Float32Array, float>(of.Get(name), napi_float32_array, least, name);
  }
  double* Doubles(const Napi::Object& of, const char* name, size_t least) {
    return Take<Napi::Float64Array, double>(of.Get(name), napi_float64_array, least, name);
  }
};

size_t Size(int64_t n) { return static_cast<size_t>(n); }

// [{ layer, head, kind, gate, values? }]; values in rows of head_dim.
void ReadChanges(Asked& asked, const Napi::Value& value, int64_t tokens, int64_t head_dim) {
  const Napi::Array list = value.As<Napi::Array>();
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Object one = list.Get(i).As<Napi::Object>();
    zs_head_change change{};
    change.layer = static_cast<int32_t>(Whole(one.Get("layer"), -most, most, "layer"));
    change.head = static_cast<int32_t>(Whole(one.Get("head"), -most, most, "head"));
    change.kind = static_cast<int32_t>(Whole(one.Get("kind"), 0, 255, "kind"));
    change.gate = one.Get("gate").ToNumber().FloatValue();
    const int64_t rows = change.kind == ZS_HEAD_ROWS ? tokens : 1;
    change.values = asked.Floats(one, "values", Size(rows * head_dim));
    asked.changes.push_back(change);
  }
}

// What zs_read and zs_vary share: the text, how many of its rows count, and all changes.
template <typename Work>
void ReadText(Asked& asked, const Napi::Object& given, const zs_model_config& shape, Work& work) {
  work.struct_bytes = sizeof work;
  const auto ids = ArrayOf<Napi::Int32Array>(given.Get("ids"), napi_int32_array, 0, "ids");
  asked.pinned.push_back(ids);
  work.ids = ids.Data(), work.tokens = static_cast<int64_t>(ids.ElementLength());
  work.rows = Whole(given.Get("rows"), 0, int64_t{1} << 31, "rows");
  ReadChanges(asked, given.Get("changes"), work.tokens, shape.head_dim);
  work.changes = asked.changes.data();
}

void ReadWatch(Asked& asked, const Napi::Object& given, const zs_model_config& shape, int64_t tokens) {
  zs_head_watch& w = asked.watch;
  w.struct_bytes = sizeof w;
  const size_t heads = Size(int64_t{shape.layers} * shape.heads);
  w.heads = asked.Take<Napi::Uint8Array, uint8_t>(given.Get("heads"), napi_uint8_array, heads, "heads");
  int64_t count = 0;
  for (size_t i = 0; w.heads && i < heads; ++i) count += w.heads[i] != 0;
  const int64_t d = shape.head_dim;
  const Napi::Value patterns = given.Get("patterns");
  if (patterns.IsArray()) {
    const Napi::Array list = patterns.As<Napi::Array>();
    for (uint32_t i = 0; i < list.Length(); ++i) {
      const Napi::Object one = list.Get(i).As<Napi::Object>();
      zs_pattern pattern{};
      const auto whole = [&](const char* name, size_t least) {
        return asked.Take<Napi::Int32Array, int32_t>(one.Get(name), napi_int32_array, least, name);
      };
      pattern.starts = whole("starts", Size(tokens + 1));
      const int32_t pairs = pattern.starts ? pattern.starts[tokens] : 0;
      pattern.positions = whole("positions", Size(std::max(pairs, 0)));
      pattern.complement = one.Get("complement").ToBoolean().Value();
      asked.patterns.push_back(pattern);
    }
  }
  w.pattern_count = static_cast<int32_t>(asked.patterns.size());
  w.patterns = asked.patterns.data();
  w.masses = asked.Doubles(given, "masses", Size(w.pattern_count * count));
  w.entropies = asked.Doubles(given, "entropies", Size(count * tokens));
  w.norms = asked.Doubles(given, "norms", Size(count * tokens));
  w.outputs = asked.Floats(given, "outputs", Size(count * tokens * d));
  w.mean_outputs = asked.Doubles(given, "meanOutputs", Size(count * d));
  w.mean_queries = asked.Doubles(given, "meanQueries", Size(count * d));
  w.mean_keys = asked.Doubles(given, "meanKeys", Size(int64_t{shape.layers} * shape.kv_heads * d));
  const auto number = [&](const char* name) {
    const Napi::Value value = given.Get(name);
    return value.IsUndefined() ? 0 : Whole(value, 0, int64_t{1} << 31, name);
  };
  w.last = number("last"), w.first_row = number("firstRow"), w.row_count = number("rowCount");
  w.most_from = number("mostFrom");
  w.queries = asked.Floats(given, "queries", Size(count * w.last * d));
  w.rows = asked.Floats(given, "rows", Size(count * w.row_count * tokens));
  w.most = asked.Floats(given, "most", Size(count * tokens));
  w.distance_bins = number("distanceBins");
  w.by_distance = asked.Doubles(given, "byDistance", Size(count * w.distance_bins));
  w.distances = asked.Doubles(given, "distances", Size(count));
  asked.read.watch = &w;
}

Napi::Value Begin(const Napi::CallbackInfo& info, const std::shared_ptr<ModelBox>& model,
                  const std::shared_ptr<Asked>& asked, Job::Work work) {
  Job* job = new Job(info.Env(), model->engine, info[2]);
  for (const Napi::Value& value : asked->pinned) job->Pin(value);
  asked->pinned.clear();  // handles of this call alone
  return job->Start(std::move(work), [](Napi::Env env) { return env.Undefined(); });
}

// (model, { ids, rows, changes, watch?, logits?, losses? }, call): see zs_read and zs_head_watch; binding.ts has the shapes.
Napi::Value Read(const Napi::CallbackInfo& info) {
  auto model = Unwrap<ModelBox>(info[0]);
  const Napi::Object given = info[1].As<Napi::Object>();
  auto asked = std::make_shared<Asked>();
  zs_read& r = asked->read;
  ReadText(*asked, given, model->shape, r);
  r.change_count = static_cast<int64_t>(asked->changes.size());
  if (given.Get("watch").IsObject()) ReadWatch(*asked, given.Get("watch").As<Napi::Object>(), model->shape, r.tokens);
  r.logits = asked->Floats(given, "logits", Size(r.rows * model->shape.vocabulary));
  r.losses = asked->Doubles(given, "losses", Size(r.rows));
  return Begin(info, model, asked,
               [model, asked](zs_call* call) { return zs_model_read(model->model, &asked->read, call); });
}

// (model, { ids, rows, starts, changes, together, kl, losses, baseLoss }, call): see zs_vary.
Napi::Value Vary(const Napi::CallbackInfo& info) {
  auto model = Unwrap<ModelBox>(info[0]);
  const Napi::Object given = info[1].As<Napi::Object>();
  auto asked = std::make_shared<Asked>();
  zs_vary& v = asked->vary;
  ReadText(*asked, given, model->shape, v);
  const Napi::Array starts = given.Get("starts").As<Napi::Array>();
  const int64_t changes = static_cast<int64_t>(asked->changes.size());
  for (uint32_t i = 0; i < starts.Length(); ++i) asked->starts.push_back(Whole(starts.Get(i), 0, changes, "starts"));
  v.variants = static_cast<int64_t>(asked->starts.size()) - 1;
  v.starts = asked->starts.data();
  v.together = Whole(given.Get("together"), 0, int64_t{1} << 31, "together");
  const size_t answers = Size(std::max<int64_t>(v.variants, 0));
  v.kl = asked->Doubles(given, "kl", answers);
  v.losses = asked->Doubles(given, "losses", answers);
  v.base_loss = asked->Doubles(given, "baseLoss", 1);
  return Begin(info, model, asked,
               [model, asked](zs_call* call) { return zs_model_vary(model->model, &asked->vary, call); });
}

}  // namespace

void RegisterHeads(Napi::Env env, Napi::Object exports) {
  exports.Set("modelRead", Napi::Function::New(env, Read));
  exports.Set("modelVary", Napi::Function::New(env, Vary));
}

}  // namespace zs_addon
