// The engine's own thread pool: hands out numbered units of work in short runs. Which thread runs a unit never shows in a result, so
// callers cut work into units whose content does not depend on the thread count.
#ifndef ZSLAB_CORE_POOL_H
#define ZSLAB_CORE_POOL_H

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "zslab/zslab.h"

namespace zs {

class Pool {
 public:
  explicit Pool(int threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // f(unit, thread) for every unit in [0, count), thread in [0, threads()). An abort is seen between units: true = all ran.
  // f must not throw and must not call run again.
  template <class F>
  bool run(int64_t count, const zs_call* call, F&& f) {
    return run_units(
        count, call, [](void* context, int64_t unit, int thread) { (*static_cast<F*>(context))(unit, thread); },
        const_cast<void*>(static_cast<const void*>(&f)));
  }

 private:
  using Unit = void (*)(void* context, int64_t unit, int thread);
  bool run_units(int64_t count, const zs_call* call, Unit unit, void* context);
  void work(int thread);
  void drain(int thread);

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<int64_t> next_{0}, count_{0};
  std::atomic<uint64_t> gate_{0};  // odd = a job is open to join; one step up when it opens, one when it closes
  std::atomic<int> inside_{0};     // workers that are looking at the job or are at work on it
  std::atomic<bool> stop_{false}, cut_{false};
  int sleeping_ = 0;
  Unit unit_ = nullptr;
  void* context_ = nullptr;
  const zs_call* call_ = nullptr;
};

}  // namespace zs
#endif
