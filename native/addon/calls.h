// The functions that JavaScript sees, by object; src/native/binding.ts documents them.
#ifndef ZSLAB_ADDON_CALLS_H
#define ZSLAB_ADDON_CALLS_H

#include <napi.h>

#include "zslab/zslab.h"

namespace zs_addon {

void RegisterCache(Napi::Env env, Napi::Object exports);
void RegisterCounterfactuals(Napi::Env env, Napi::Object exports);
void RegisterEvents(Napi::Env env, Napi::Object exports);
void RegisterHeads(Napi::Env env, Napi::Object exports);
void RegisterInspection(Napi::Env env, Napi::Object exports);
void RegisterLocal(Napi::Env env, Napi::Object exports);
void RegisterModel(Napi::Env env, Napi::Object exports);

// A typed array argument, checked: at least `least` elements, of the type that T needs.
template <typename Array>
Array ArrayOf(const Napi::Value& value, napi_typedarray_type type, size_t least, const char* name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type ||
      value.As<Napi::TypedArray>().ElementLength() < least)
    throw Napi::TypeError::New(value.Env(), std::string(name) + " is not a typed array of the right type and length");
  return value.As<Array>();
}

inline int64_t Whole(const Napi::Value& value, int64_t least, int64_t most, const char* name) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1e300;
  if (!(number >= static_cast<double>(least) && number <= static_cast<double>(most)) ||
      number != static_cast<double>(static_cast<int64_t>(number)))
    throw Napi::TypeError::New(value.Env(), std::string(name) + " is not a whole number in its range");
  return static_cast<int64_t>(number);
}

}  // namespace zs_addon
#endif
