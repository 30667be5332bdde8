// Device memory under a budget. Pieces that come back are kept for others of their size: a GPU's own allocator waits for all that is under
// way.
#ifndef ZSLAB_CUDA_BACKEND_POOL_H
#define ZSLAB_CUDA_BACKEND_POOL_H

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace zs::cuda {

// A piece of device memory; given back with the last of its owners.
using Memory = std::shared_ptr<void>;
template <class T>
T* as(const Memory& memory) {
  return static_cast<T*>(memory.get());
}

class Pool : public std::enable_shared_from_this<Pool> {
 public:
  explicit Pool(int64_t budget) : budget_(budget) {}
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // At least `bytes`, not filled. Throws Error where the budget or the device has no more.
  Memory take(int64_t bytes);
  int64_t taken() const { return taken_; }
  int64_t budget() const { return budget_; }

 private:
  void* find(int64_t bytes);
  void give_back(void* memory, int64_t bytes);
  void forget_free();

  const int64_t budget_;
  int64_t taken_ = 0, kept_ = 0;  // bytes that others have, and those in free_; together within the budget
  std::map<int64_t, std::vector<void*>> free_;  // by size
  std::mutex mutex_;
};

}  // namespace zs::cuda
#endif
