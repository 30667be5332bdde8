// What goes to a device for a step and what comes back, in one piece each way, on both sides.
#ifndef ZSLAB_CUDA_BACKEND_MAIL_H
#define ZSLAB_CUDA_BACKEND_MAIL_H

#include <cstdint>

#include "core/kernels.h"

namespace zs::cuda {

constexpr int64_t kAlign = 256;

// One layer's part.
struct Mail {
  char *in_here, *in, *out_here, *out;  // `here`: in host memory
};

// Cuts one piece of memory into arrays; without memory it counts.
class Cutter {
 public:
  explicit Cutter(char* memory) : memory_(memory) {}
  template <class T>
  T* take(int64_t count) {
    const int64_t at = round_up(bytes_, kAlign);
    bytes_ = at + count * static_cast<int64_t>(sizeof(T));
    return memory_ ? reinterpret_cast<T*>(memory_ + at) : nullptr;
  }
  // One for each layer.
  template <class T>
  void leave_each(int32_t layers, int64_t count) {
    for (int32_t l = 0; l < layers; ++l) take<T>(count);
  }
  int64_t bytes() const { return round_up(bytes_, kAlign); }

 private:
  char* const memory_;
  int64_t bytes_ = 0;
};

}  // namespace zs::cuda
#endif
