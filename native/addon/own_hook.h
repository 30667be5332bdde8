// A JavaScript function as a zs_own_choose: called on JavaScript's thread while the engine's thread waits.
#ifndef ZSLAB_ADDON_OWN_HOOK_H
#define ZSLAB_ADDON_OWN_HOOK_H

#include <napi.h>

#include <atomic>
#include <memory>

#include "zslab/zslab.h"

namespace zs_addon {

class OwnHook {
 public:
  // f(layer, step, headDim, slots, excess, positions, scores, keys | undefined, values | undefined) -> Int32Array of those that leave,
  // or the number of a failure.
  OwnHook(Napi::Env env, const Napi::Function& f);
  ~OwnHook();
  OwnHook(const OwnHook&) = delete;
  OwnHook& operator=(const OwnHook&) = delete;

  static int64_t Choose(void* self, const zs_own_view* view, int32_t* leaving);

 private:
  std::shared_ptr<std::atomic<bool>> gone_;  // the function is deleted
  Napi::ThreadSafeFunction function_;
};

// The process is about to end: nobody waits for JavaScript any more.
void StopHooks();

}  // namespace zs_addon
#endif
