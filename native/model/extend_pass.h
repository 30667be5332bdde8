// Tokens on living caches through all layers: those of several caches go through products side by side, and each cache attends by itself.
#ifndef ZSLAB_MODEL_EXTEND_PASS_H
#define ZSLAB_MODEL_EXTEND_PASS_H

#include <exception>
#include <vector>

#include "model/runner.h"

namespace zs {

// One cache's part of a pass.
struct Extension {
  zs_cache* cache;  // may be changed freely
  const zs_forward* forward;
  zs_call *stop, *report;       // its own; stop = nullptr: it is in place, and does not stop on the way
  int64_t first = 0;            // of its rows
  std::exception_ptr failed{};  // what ended it: its cache is half way, its rows are nobody's
};

class ExtendPass {
 public:
  // `extensions` have their rows one after another, as many as `rows` has at most. Without `there` the CPU does all of it.
  ExtendPass(zs_model& model, Rows& rows, std::vector<Extension>& extensions, DevicePass* there, zs_call* stop);

  // Throws what ends all of them: an abort by `stop`.
  void run();

 private:
  void embed();
  void layer(int32_t layer);
  void attend(int32_t layer, Extension& one);
  void give(int32_t layer, const Extension& one) const;
  template <class F>
  void each(F f);  // that goes on
  bool any() const;

  zs_model& model_;
  Rows& r_;
  RowWork work_;
  std::vector<Extension>& extensions_;
  DevicePass* const there_;
  zs_call* const stop_;
  std::vector<int32_t> ids_;  // of all rows
};

}  // namespace zs
#endif
