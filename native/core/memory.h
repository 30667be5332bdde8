// Memory for what a step reads of a cache: pages of keys and values, and columns of what is kept of each slot. They are small and many:
// cut one after another out of large blocks that ask the system for huge pages, pages are read half as fast again as in ordinary ones
// (bfloat16, one thread: 25 GB/s, not 18), and columns, a line here and there, without looking up each one's address first.
#ifndef ZSLAB_CORE_MEMORY_H
#define ZSLAB_CORE_MEMORY_H

#include <cstdint>
#include <memory>
#include <vector>

namespace zs {

// At least `bytes`, 64-byte aligned, not filled; safe from any thread. Throws std::bad_alloc.
std::shared_ptr<void> page_memory(int64_t bytes);

// The same for columns; short ones are ordinary memory. To be freed with the same count.
void* column_memory(int64_t bytes);
void free_column(void* column, int64_t bytes) noexcept;

template <class T>
struct ColumnMemory {
  using value_type = T;
  ColumnMemory() = default;
  template <class U>
  ColumnMemory(const ColumnMemory<U>&) {}
  T* allocate(size_t count) { return static_cast<T*>(column_memory(static_cast<int64_t>(count * sizeof(T)))); }
  void deallocate(T* p, size_t count) noexcept { free_column(p, static_cast<int64_t>(count * sizeof(T))); }
  template <class U>
  bool operator==(const ColumnMemory<U>&) const {
    return true;
  }
  template <class U>
  bool operator!=(const ColumnMemory<U>&) const {
    return false;
  }
};
template <class T>
using Column = std::vector<T, ColumnMemory<T>>;

}  // namespace zs
#endif
