// The field tables of the structs that cross between JavaScript and the engine.
#include "addon/structs.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

namespace zs_addon {
namespace {

template <typename T>
constexpr Type TypeOf() {
  using U = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<U, int32_t>)
    return Type::kInt32;
  else if constexpr (std::is_same_v<U, int64_t>)
    return Type::kInt64;
  else if constexpr (std::is_same_v<U, float>)
    return Type::kFloat;
  else {
    static_assert(std::is_same_v<U, double>, "a field type that JavaScript cannot fill");
    return Type::kDouble;
  }
}

const char* Name(Type type) {
  switch (type) {
    case Type::kInt32:
      return "int32";
    case Type::kInt64:
      return "int64";
    case Type::kFloat:
      return "float32";
    default:
      return "float64";
  }
}

[[noreturn]] void Wrong(Napi::Env env, const Table& table, const Field& field) {
  throw Napi::TypeError::New(env, std::string(table.name) + "." + field.name + " is not a " + Name(field.type));
}

}  // namespace

#define FIELD(STRUCT, MEMBER, NAME) {NAME, TypeOf<decltype(STRUCT::MEMBER)>(), offsetof(STRUCT, MEMBER)}

const Table kPolicy = {"zs_policy",
                       sizeof(zs_policy),
                       {FIELD(zs_policy, kind, "kind"),
                        FIELD(zs_policy, budget, "budget"),
                        FIELD(zs_policy, recent, "recent"),
                        FIELD(zs_policy, residual, "residual"),
                        FIELD(zs_policy, sink, "sink"),
                        FIELD(zs_policy, least_budget, "leastBudget"),
                        FIELD(zs_policy, least_recent, "leastRecent"),
                        FIELD(zs_policy, least_residual, "leastResidual"),
                        FIELD(zs_policy, raise_counts, "raiseCounts"),
                        FIELD(zs_policy, alpha, "alpha"),
                        FIELD(zs_policy, decay, "decay"),
                        FIELD(zs_policy, history, "history"),
                        FIELD(zs_policy, similarity, "similarity"),
                        FIELD(zs_policy, score_merge, "scoreMerge"),
                        FIELD(zs_policy, init, "init"),
                        FIELD(zs_policy, underfull, "underfull"),
                        FIELD(zs_policy, granularity, "granularity"),
                        FIELD(zs_policy, aggregate, "aggregate"),
                        FIELD(zs_policy, window, "window"),
                        FIELD(zs_policy, chunk, "chunk")}};

const Table kResolved = {"zs_resolved",
                         sizeof(zs_resolved),
                         {FIELD(zs_resolved, budget, "budget"), FIELD(zs_resolved, recent, "recent"),
                          FIELD(zs_resolved, residual, "residual"), FIELD(zs_resolved, sink, "sink"),
                          FIELD(zs_resolved, context, "context"), FIELD(zs_resolved, window, "window")}};

const Table kCacheConfig = {"zs_cache_config",
                            sizeof(zs_cache_config),
                            {FIELD(zs_cache_config, layers, "layers"), FIELD(zs_cache_config, heads, "heads"),
                             FIELD(zs_cache_config, kv_heads, "kvHeads"), FIELD(zs_cache_config, head_dim, "headDim"),
                             FIELD(zs_cache_config, storage, "storage"), FIELD(zs_cache_config, trace, "trace"),
                             FIELD(zs_cache_config, keep_queries, "keepQueries")}};

const Table kLayerState = {"zs_layer_state",
                           sizeof(zs_layer_state),
                           {FIELD(zs_layer_state, seq_len, "seqLen"), FIELD(zs_layer_state, slots, "slots"),
                            FIELD(zs_layer_state, residual, "residual"), FIELD(zs_layer_state, ring, "ring"),
                            FIELD(zs_layer_state, origins, "origins")}};

const Table kReceipt = {
    "zs_receipt",
    sizeof(zs_receipt),
    {FIELD(zs_receipt, seq_len, "seqLen"), FIELD(zs_receipt, admitted, "admitted"), FIELD(zs_receipt, left, "left"),
     FIELD(zs_receipt, merged, "merged"), FIELD(zs_receipt, dropped, "dropped"),
     FIELD(zs_receipt, weights_sum, "weightsSum"), FIELD(zs_receipt, positions_once, "positionsOnce"),
     FIELD(zs_receipt, budget_held, "budgetHeld"), FIELD(zs_receipt, finite, "finite"),
     FIELD(zs_receipt, compressed, "compressed")}};

const Table kModelConfig = {
    "zs_model_config",
    sizeof(zs_model_config),
    {FIELD(zs_model_config, arch, "arch"), FIELD(zs_model_config, layers, "layers"),
     FIELD(zs_model_config, heads, "heads"), FIELD(zs_model_config, kv_heads, "kvHeads"),
     FIELD(zs_model_config, head_dim, "headDim"), FIELD(zs_model_config, hidden, "hidden"),
     FIELD(zs_model_config, feed_forward, "feedForward"), FIELD(zs_model_config, vocabulary, "vocabulary"),
     FIELD(zs_model_config, context, "context"), FIELD(zs_model_config, rope_dims, "ropeDims"),
     FIELD(zs_model_config, rope_base, "ropeBase"), FIELD(zs_model_config, norm_eps, "normEps"),
     FIELD(zs_model_config, tied_output, "tiedOutput"), FIELD(zs_model_config, weights, "weights")}};

const Table kCall = {"zs_call",
                     sizeof(zs_call),
                     {FIELD(zs_call, abort, "abort"), FIELD(zs_call, done, "done"), FIELD(zs_call, total, "total")}};

#undef FIELD

void Read(const Napi::Object& object, const Table& table, void* out) {
  for (const Field& field : table.fields) {
    Napi::Value value = object.Get(field.name);
    if (!value.IsNumber()) Wrong(object.Env(), table, field);
    const double number = value.As<Napi::Number>().DoubleValue();
    char* at = static_cast<char*>(out) + field.offset;
    const bool whole = std::nearbyint(number) == number;
    switch (field.type) {
      case Type::kInt32: {
        if (!whole || std::fabs(number) > 2147483647.0) Wrong(object.Env(), table, field);
        const int32_t v = static_cast<int32_t>(number);
        std::memcpy(at, &v, sizeof v);
        break;
      }
      case Type::kInt64: {
        if (!whole || std::fabs(number) > 9007199254740991.0) Wrong(object.Env(), table, field);
        const int64_t v = static_cast<int64_t>(number);
        std::memcpy(at, &v, sizeof v);
        break;
      }
      case Type::kFloat: {
        const float v = static_cast<float>(number);
        std::memcpy(at, &v, sizeof v);
        break;
      }
      case Type::kDouble:
        std::memcpy(at, &number, sizeof number);
        break;
    }
  }
}

Napi::Object Write(Napi::Env env, const Table& table, const void* in) {
  Napi::Object object = Napi::Object::New(env);
  for (const Field& field : table.fields) {
    const char* at = static_cast<const char*>(in) + field.offset;
    double number = 0;
    switch (field.type) {
      case Type::kInt32: {
        int32_t v;
        std::memcpy(&v, at, sizeof v);
        number = v;
        break;
      }
      case Type::kInt64: {
        int64_t v;
        std::memcpy(&v, at, sizeof v);
        number = static_cast<double>(v);
        break;
      }
      case Type::kFloat: {
        float v;
        std::memcpy(&v, at, sizeof v);
        number = v;
        break;
      }
      case Type::kDouble:
        std::memcpy(&number, at, sizeof number);
        break;
    }
    object.Set(field.name, number);
  }
  return object;
}

Napi::Value Describe(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const Table* tables[] = {&kPolicy, &kResolved, &kCacheConfig, &kLayerState, &kReceipt, &kModelConfig, &kCall};
  Napi::Array structs = Napi::Array::New(env);
  for (const Table* table : tables) {
    Napi::Array fields = Napi::Array::New(env);
    for (const Field& field : table->fields) {
      Napi::Object one = Napi::Object::New(env);
      one.Set("name", field.name);
      one.Set("type", Name(field.type));
      one.Set("offset", static_cast<double>(field.offset));
      fields.Set(fields.Length(), one);
    }
    Napi::Object one = Napi::Object::New(env);
    one.Set("name", table->name);
    one.Set("bytes", static_cast<double>(table->bytes));
    one.Set("fields", fields);
    structs.Set(structs.Length(), one);
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("abi", ZS_ABI_VERSION);
  result.Set("structs", structs);
  return result;
}

}  // namespace zs_addon
