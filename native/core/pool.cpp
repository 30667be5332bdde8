// Workers spin for a short while after a job (the next kernel of the same step comes within microseconds), then yield, then sleep.
// A job ends when its units are done and those who joined have left: a worker that the system does not run at the moment never holds it
// up, since the caller takes all units that nobody else takes. (Waiting for every worker cost a time slice a job on a busy machine.)
#include "core/pool.h"

#include <algorithm>
#include <chrono>

#include "core/error.h"

namespace zs {
namespace {
constexpr auto kSpin = std::chrono::microseconds(60);  // longer than the gap between two kernels of a step
constexpr auto kYield =
    std::chrono::microseconds(2000);  // lets others run on a busy machine without paying for a wake-up
// Units are taken in runs, so that a thread reads on where it fetched ahead: a run is what is left by so many times the threads. Even
// the first is a small part of all, and the last are single units.
constexpr int64_t kShares = 4;

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

// Waits until done() holds or kYield has passed.
template <class Done>
bool wait_briefly(Done done) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0;; ++i) {
    if (done()) return true;
    relax();
    if ((i & 63) != 63) continue;
    const auto spent = std::chrono::steady_clock::now() - start;
    if (spent > kYield) return false;
    if (spent > kSpin) std::this_thread::yield();
  }
}
}  // namespace

Pool::Pool(int threads) {
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
}

Pool::~Pool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void Pool::drain(int thread) {
  const int64_t count = count_.load(std::memory_order_relaxed), shares = kShares * threads();
  for (;;) {
    int64_t unit = next_.load(std::memory_order_relaxed), end;
    do {
      if (unit >= count) return;
      end = unit + std::max<int64_t>(1, (count - unit) / shares);
    } while (!next_.compare_exchange_weak(unit, end, std::memory_order_relaxed));
    for (; unit < end; ++unit) {
      if (aborted(call_)) {
        cut_.store(true, std::memory_order_relaxed);
        return;
      }
      unit_(context_, unit, thread);
    }
  }
}

void Pool::work(int thread) {
  uint64_t seen = 0;
  for (;;) {
    const auto called = [&] {
      const uint64_t gate = gate_.load(std::memory_order_relaxed);
      return ((gate & 1) && gate != seen) || stop_.load(std::memory_order_relaxed);
    };
    if (!wait_briefly(called)) {
      std::unique_lock<std::mutex> lock(mutex_);
      ++sleeping_;
      wake_.wait(lock, called);
      --sleeping_;
    }
    if (stop_) return;
    // Either the caller sees this step inside, or the gate is seen closed here: both orders are total.
    inside_.fetch_add(1, std::memory_order_seq_cst);
    const uint64_t gate = gate_.load(std::memory_order_seq_cst);
    if (gate & 1) {
      seen = gate;
      drain(thread);
    }
    inside_.fetch_sub(1, std::memory_order_release);
  }
}

bool Pool::run_units(int64_t count, const zs_call* call, Unit unit, void* context) {
  if (count <= 0) return !aborted(call);
  call_ = call;
  unit_ = unit;
  context_ = context;
  cut_.store(false, std::memory_order_relaxed);
  next_.store(0, std::memory_order_relaxed);
  count_.store(count, std::memory_order_relaxed);
  const bool alone = workers_.empty() || count == 1;
  if (!alone) {
    // The lock orders this store against a worker that is about to sleep; without it the wake-up could be lost.
    std::lock_guard<std::mutex> lock(mutex_);
    gate_.fetch_add(1, std::memory_order_seq_cst);
    if (sleeping_) wake_.notify_all();
  }
  drain(0);
  if (!alone) {
    gate_.fetch_add(1, std::memory_order_seq_cst);
    while (!wait_briefly([&] { return inside_.load(std::memory_order_seq_cst) == 0; })) {
    }
  }
  return !cut_.load(std::memory_order_relaxed);
}

}  // namespace zs
