// A float array that starts on a cache line and is not filled; moved, never copied by accident.
#ifndef ZSLAB_CORE_BUFFER_H
#define ZSLAB_CORE_BUFFER_H

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace zs {

struct Freed {
  void operator()(void* p) const { std::free(p); }
};

// 64-byte aligned; throws std::bad_alloc.
inline void* aligned_bytes(int64_t bytes) {
  const int64_t whole = (bytes + 63) / 64 * 64;
  void* p = bytes < 0 || whole < bytes ? nullptr : std::aligned_alloc(64, static_cast<size_t>(whole ? whole : 64));
  if (!p) throw std::bad_alloc();
  return p;
}

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t floats) : data_(static_cast<float*>(aligned_bytes(checked(floats)))), size_(floats) {}
  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  int64_t size() const { return size_; }
  int64_t bytes() const { return size_ * 4; }
  // At least `floats` long afterwards; what it held is lost.
  void need(int64_t floats) {
    if (floats > size_) *this = Buffer(floats + floats / 4);
  }

 private:
  static int64_t checked(int64_t floats) {
    if (floats < 0 || floats > INT64_MAX / 8) throw std::bad_alloc();
    return floats * 4;
  }
  std::unique_ptr<float, Freed> data_;
  int64_t size_ = 0;
};

}  // namespace zs
#endif
