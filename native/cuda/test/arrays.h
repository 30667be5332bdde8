// Arrays in device memory that are made at once and go together: what benches time and bytes are counted of.
#ifndef ZSLAB_CUDA_TEST_ARRAYS_H
#define ZSLAB_CUDA_TEST_ARRAYS_H

#include <algorithm>
#include <vector>

#include "cuda/gpu.h"

namespace zs::cuda {

class Arrays {
 public:
  Arrays() = default;
  ~Arrays() {
    for (void* memory : memory_) gpu::release(memory);
  }
  Arrays(const Arrays&) = delete;
  Arrays& operator=(const Arrays&) = delete;

  // Whether there was room for all of them.
  bool there() const { return std::find(memory_.begin(), memory_.end(), nullptr) == memory_.end(); }
  template <class T>
  T* room(int64_t count) {
    memory_.push_back(gpu::allocate(static_cast<size_t>(count) * sizeof(T)));
    return static_cast<T*>(memory_.back());
  }
  // Small finite numbers in every type.
  unsigned char* filled(int64_t bytes) {
    auto* const memory = room<unsigned char>(bytes);
    constexpr int64_t kPattern = int64_t{16} << 20;
    std::vector<unsigned char> pattern(static_cast<size_t>(std::min(bytes, kPattern)));
    for (size_t i = 0; i < pattern.size(); ++i)
      pattern[i] = static_cast<unsigned char>(i % 2 ? 0x3c : i * 0x9e3779b9u >> 24 & 127u);
    for (int64_t from = 0; memory && from < bytes; from += kPattern)
      gpu::upload(memory + from, pattern.data(), static_cast<size_t>(std::min(bytes - from, kPattern)));
    return memory;
  }
  template <class T>
  T* list(const std::vector<T>& items) {
    T* const memory = room<T>(static_cast<int64_t>(items.size()));
    if (memory && !items.empty()) gpu::upload(memory, items.data(), items.size() * sizeof(T));
    return memory;
  }

 private:
  std::vector<void*> memory_;
};

}  // namespace zs::cuda
#endif
