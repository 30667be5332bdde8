// Struct fields by name, type and offset: read from and written to JavaScript objects by these tables alone, and handed to
// src/native/contract.ts, which refuses to go on when its own list differs.
#ifndef ZSLAB_ADDON_STRUCTS_H
#define ZSLAB_ADDON_STRUCTS_H

#include <napi.h>

#include <cstddef>
#include <vector>

#include "zslab/zslab.h"

namespace zs_addon {

enum class Type { kInt32, kInt64, kFloat, kDouble };

struct Field {
  const char* name;  // in camel case, as JavaScript knows it
  Type type;
  size_t offset;
};

struct Table {
  const char* name;
  size_t bytes;
  std::vector<Field> fields;
};

extern const Table kPolicy, kResolved, kCacheConfig, kLayerState, kReceipt, kModelConfig, kCall;

// Fills the fields of `table` from `object`; throws a TypeError naming the field that is missing or of the wrong type.
void Read(const Napi::Object& object, const Table& table, void* out);
Napi::Object Write(Napi::Env env, const Table& table, const void* in);
// { abi, structs: [{ name, bytes, fields: [{ name, type, offset }] }] }
Napi::Value Describe(const Napi::CallbackInfo& info);

}  // namespace zs_addon
#endif
