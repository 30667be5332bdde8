// Struct fields by name, type and offset: read from and written to JavaScript objects by these tables alone, and handed to
// src/native/contract.ts, which refuses to go on when its own list differs.
#ifndef ZSLAB_ADDON_STRUCTS_H
#define ZSLAB_ADDON_STRUCTS_H

#include <napi.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "addon/own_hook.h"
#include "zslab/model.h"

namespace zs_addon {

struct Table {
  const char* name;
  size_t bytes;
  std::vector<zs_field> fields;
};

extern const Table kResolved, kTraits, kRotation, kDevice, kCacheConfig, kLayerState, kHeadState, kReceipt,
    kModelConfig, kCall;

// { name, budget, chunk, parameters: { … as described … }, of?: { … }, choose?: a function } as a zs_policy, with what it points to.
class HeldPolicy {
 public:
  explicit HeldPolicy(const Napi::Object& object);
  HeldPolicy(const HeldPolicy&) = delete;
  HeldPolicy& operator=(const HeldPolicy&) = delete;
  const zs_policy& policy() const { return policy_; }

 private:
  zs_policy policy_{};
  std::string name_;
  std::vector<double> block_;
  std::unique_ptr<HeldPolicy> of_;
  std::unique_ptr<OwnHook> hook_;
};

// Fills the fields of `table` from `object`; throws a TypeError naming the field that is missing or of the wrong type.
void Read(const Napi::Object& object, const Table& table, void* out);
Napi::Object Write(Napi::Env env, const Table& table, const void* in);
// { abi, structs: [{ name, bytes, fields: [{ name, type, offset }] }], policies: [the same, and wraps] }
Napi::Value Describe(const Napi::CallbackInfo& info);

}  // namespace zs_addon
#endif
