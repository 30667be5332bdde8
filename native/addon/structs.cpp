// The field tables of the structs that cross between JavaScript and the engine.
#include "addon/structs.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "zslab/device.h"

namespace zs_addon {
namespace {

template <typename T>
constexpr zs_type TypeOf() {
  using U = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<U, int32_t>)
    return ZS_INT32;
  else if constexpr (std::is_same_v<U, int64_t>)
    return ZS_INT64;
  else if constexpr (std::is_same_v<U, float>)
    return ZS_FLOAT32;
  else {
    static_assert(std::is_same_v<U, double>, "a field type that JavaScript cannot fill");
    return ZS_FLOAT64;
  }
}

const char* Name(int32_t type) {
  static const char* const names[] = {"int32", "int64", "float32", "float64"};
  return names[type];
}

[[noreturn]] void Wrong(Napi::Env env, const Table& table, const zs_field& field) {
  throw Napi::TypeError::New(env, std::string(table.name) + "." + field.name + " is not a " + Name(field.type));
}

// The table of a policy's parameters; throws where there is no such policy.
Table ParametersOf(Napi::Env env, const std::string& name) {
  zs_policy_info info;
  for (int32_t i = 0; i < zs_policy_count(); ++i)
    if (zs_policy_describe(i, &info) == ZS_OK && name == info.name)
      return {info.name, static_cast<size_t>(info.parameter_bytes),
              std::vector<zs_field>(info.fields, info.fields + info.field_count)};
  throw Napi::TypeError::New(env, "no native policy is called " + name);
}

Napi::Object Described(Napi::Env env, const Table& table) {
  Napi::Array fields = Napi::Array::New(env);
  for (const zs_field& field : table.fields) {
    Napi::Object one = Napi::Object::New(env);
    one.Set("name", field.name);
    one.Set("type", Name(field.type));
    one.Set("offset", static_cast<double>(field.offset));
    fields.Set(fields.Length(), one);
  }
  Napi::Object one = Napi::Object::New(env);
  one.Set("name", table.name);
  one.Set("bytes", static_cast<double>(table.bytes));
  one.Set("fields", fields);
  return one;
}

}  // namespace

#define FIELD(STRUCT, MEMBER, NAME) \
  {NAME, TypeOf<decltype(STRUCT::MEMBER)>(), static_cast<int32_t>(offsetof(STRUCT, MEMBER))}

const Table kResolved = {
    "zs_resolved",
    sizeof(zs_resolved),
    {FIELD(zs_resolved, budget, "budget"), FIELD(zs_resolved, recent, "recent"),
     FIELD(zs_resolved, residual, "residual"), FIELD(zs_resolved, sink, "sink"), FIELD(zs_resolved, context, "context"),
     FIELD(zs_resolved, window, "window"), FIELD(zs_resolved, read, "read")}};

const Table kTraits = {
    "zs_traits",
    sizeof(zs_traits),
    {FIELD(zs_traits, acts, "acts"), FIELD(zs_traits, rotates, "rotates"), FIELD(zs_traits, endless, "endless"),
     FIELD(zs_traits, stride, "stride"), FIELD(zs_traits, projects, "projects"), FIELD(zs_traits, alters, "alters")}};

const Table kRotation = {
    "zs_rotation",
    sizeof(zs_rotation),
    {FIELD(zs_rotation, dims, "dims"), FIELD(zs_rotation, halves, "halves"), FIELD(zs_rotation, base, "base")}};

const Table kDevice = {
    "zs_device", sizeof(zs_device), {FIELD(zs_device, number, "number"), FIELD(zs_device, memory, "memory")}};

const Table kCacheConfig = {
    "zs_cache_config",
    sizeof(zs_cache_config),
    {FIELD(zs_cache_config, layers, "layers"), FIELD(zs_cache_config, heads, "heads"),
     FIELD(zs_cache_config, kv_heads, "kvHeads"), FIELD(zs_cache_config, head_dim, "headDim"),
     FIELD(zs_cache_config, storage, "storage"), FIELD(zs_cache_config, trace, "trace"),
     FIELD(zs_cache_config, keep_queries, "keepQueries"), FIELD(zs_cache_config, origins, "origins")}};

const Table kLayerState = {"zs_layer_state",
                           sizeof(zs_layer_state),
                           {FIELD(zs_layer_state, seq_len, "seqLen"), FIELD(zs_layer_state, slots, "slots"),
                            FIELD(zs_layer_state, origins, "origins")}};

const Table kHeadState = {"zs_head_state",
                          sizeof(zs_head_state),
                          {FIELD(zs_head_state, slots, "slots"), FIELD(zs_head_state, residual, "residual"),
                           FIELD(zs_head_state, ring, "ring"), FIELD(zs_head_state, compressed, "compressed"),
                           FIELD(zs_head_state, read, "read")}};

const Table kReceipt = {"zs_receipt",
                        sizeof(zs_receipt),
                        {FIELD(zs_receipt, seq_len, "seqLen"),
                         FIELD(zs_receipt, admitted, "admitted"),
                         FIELD(zs_receipt, left, "left"),
                         FIELD(zs_receipt, merged, "merged"),
                         FIELD(zs_receipt, dropped, "dropped"),
                         FIELD(zs_receipt, weights_sum, "weightsSum"),
                         FIELD(zs_receipt, positions_once, "positionsOnce"),
                         FIELD(zs_receipt, budget_held, "budgetHeld"),
                         FIELD(zs_receipt, finite, "finite"),
                         FIELD(zs_receipt, compressed, "compressed"),
                         FIELD(zs_receipt, bad_layer, "badLayer"),
                         FIELD(zs_receipt, bad_head, "badHead"),
                         FIELD(zs_receipt, bad_row, "badRow"),
                         FIELD(zs_receipt, once_position, "oncePosition"),
                         FIELD(zs_receipt, budget_step, "budgetStep"),
                         FIELD(zs_receipt, weights_found, "weightsFound"),
                         FIELD(zs_receipt, once_layer, "onceLayer"),
                         FIELD(zs_receipt, once_head, "onceHead"),
                         FIELD(zs_receipt, budget_layer, "budgetLayer"),
                         FIELD(zs_receipt, budget_head, "budgetHead"),
                         FIELD(zs_receipt, weights_layer, "weightsLayer"),
                         FIELD(zs_receipt, weights_head, "weightsHead")}};

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

void Read(const Napi::Object& object, const Table& table, void* out) {
  for (const zs_field& field : table.fields) {
    Napi::Value value = object.Get(field.name);
    if (!value.IsNumber()) Wrong(object.Env(), table, field);
    const double number = value.As<Napi::Number>().DoubleValue();
    char* at = static_cast<char*>(out) + field.offset;
    const bool whole = std::nearbyint(number) == number;
    switch (field.type) {
      case ZS_INT32: {
        if (!whole || std::fabs(number) > 2147483647.0) Wrong(object.Env(), table, field);
        const int32_t v = static_cast<int32_t>(number);
        std::memcpy(at, &v, sizeof v);
        break;
      }
      case ZS_INT64: {
        if (!whole || std::fabs(number) > 9007199254740991.0) Wrong(object.Env(), table, field);
        const int64_t v = static_cast<int64_t>(number);
        std::memcpy(at, &v, sizeof v);
        break;
      }
      case ZS_FLOAT32: {
        const float v = static_cast<float>(number);
        std::memcpy(at, &v, sizeof v);
        break;
      }
      default:
        std::memcpy(at, &number, sizeof number);
        break;
    }
  }
}

Napi::Object Write(Napi::Env env, const Table& table, const void* in) {
  Napi::Object object = Napi::Object::New(env);
  for (const zs_field& field : table.fields) {
    const char* at = static_cast<const char*>(in) + field.offset;
    double number = 0;
    switch (field.type) {
      case ZS_INT32: {
        int32_t v;
        std::memcpy(&v, at, sizeof v);
        number = v;
        break;
      }
      case ZS_INT64: {
        int64_t v;
        std::memcpy(&v, at, sizeof v);
        number = static_cast<double>(v);
        break;
      }
      case ZS_FLOAT32: {
        float v;
        std::memcpy(&v, at, sizeof v);
        number = v;
        break;
      }
      default:
        std::memcpy(&number, at, sizeof number);
        break;
    }
    object.Set(field.name, number);
  }
  return object;
}

HeldPolicy::HeldPolicy(const Napi::Object& object) : name_(object.Get("name").ToString().Utf8Value()) {
  const Table table = ParametersOf(object.Env(), name_);
  block_.resize(table.bytes / sizeof(double) + 1);
  Read(object.Get("parameters").As<Napi::Object>(), table, block_.data());
  const Napi::Value choose = object.Get("choose");
  if (choose.IsFunction()) {
    hook_ = std::make_unique<OwnHook>(object.Env(), choose.As<Napi::Function>());
    for (const zs_field& field : table.fields) {
      const std::string name = field.name;
      const int64_t address = name == "choose"    ? reinterpret_cast<intptr_t>(&OwnHook::Choose)
                              : name == "context" ? reinterpret_cast<intptr_t>(hook_.get())
                                                  : 0;
      if (address) std::memcpy(reinterpret_cast<char*>(block_.data()) + field.offset, &address, sizeof address);
    }
  }
  const Napi::Value of = object.Get("of");
  if (of.IsObject()) of_ = std::make_unique<HeldPolicy>(of.As<Napi::Object>());
  static const Table common = {
      "zs_policy", sizeof(zs_policy), {FIELD(zs_policy, budget, "budget"), FIELD(zs_policy, chunk, "chunk")}};
  Read(object, common, &policy_);
  policy_.struct_bytes = sizeof policy_;
  policy_.name = name_.c_str();
  policy_.parameters = block_.data();
  policy_.parameter_bytes = static_cast<int32_t>(table.bytes);
  policy_.of = of_ ? &of_->policy() : nullptr;
}

Napi::Value Describe(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Array structs = Napi::Array::New(env), policies = Napi::Array::New(env);
  for (const Table* table : {&kResolved, &kTraits, &kRotation, &kDevice, &kCacheConfig, &kLayerState, &kHeadState,
                             &kReceipt, &kModelConfig, &kCall})
    structs.Set(structs.Length(), Described(env, *table));
  zs_policy_info policy;
  for (int32_t i = 0; i < zs_policy_count() && zs_policy_describe(i, &policy) == ZS_OK; ++i) {
    Napi::Object one = Described(env, ParametersOf(env, policy.name));
    one.Set("wraps", policy.wraps != 0);
    policies.Set(policies.Length(), one);
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("abi", ZS_ABI_VERSION);
  result.Set("structs", structs);
  result.Set("policies", policies);
  return result;
}

}  // namespace zs_addon
