// Finds out, while it works, which of a few ways to do the same thing is the quickest on this machine. For ways that give the same bits
// and differ in what no feature flag tells, such as how well they go with a CPU's own fetching ahead.
#ifndef ZSLAB_CPU_TRIALS_H
#define ZSLAB_CPU_TRIALS_H

#include <atomic>
#include <cstdint>
#if !defined(__x86_64__)
#include <chrono>
#endif

namespace zs {

inline uint64_t ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

// Threads share what was measured; each has turns of its own: rounds in which every way does a few pieces of work, and after each round,
// for twice as long as after the one before, the quickest so far.
template <int kWays, uint64_t (*kClock)() = ticks>
class Trials {
 public:
  class Turn {
    friend Trials;
    int64_t done = 0, wait = 64;  // pieces since the round began; of the pause after it
    int way = 0;
    bool measured = false;
    uint64_t from = 0;
  };

  // Before a piece of work: the way to do it.
  int start(Turn& turn) const {
    if (turn.done == kRound + turn.wait) {
      turn.done = 0;
      if (turn.wait < kLongest) turn.wait *= 2;
    }
    const int64_t at = turn.done++;
    turn.way = at < kRound ? static_cast<int>(at / kRun) : best_.load(std::memory_order_relaxed);
    turn.measured = at < kRound && at % kRun;  // a way's first piece still has what the one before it fetched
    if (turn.measured) turn.from = kClock();
    return turn.way;
  }

  // After it; `amount` of work, in any unit.
  void end(const Turn& turn, int64_t amount) {
    if (!turn.measured || amount <= 0) return;
    const float took = static_cast<float>(kClock() - turn.from) / static_cast<float>(amount);
    std::atomic<float>& cost = cost_[turn.way];
    const float known = cost.load(std::memory_order_relaxed);
    // Whoever was interrupted counts as twice as slow at most.
    cost.store(known > 0 ? known + ((took < 2 * known ? took : 2 * known) - known) / 4 : took,
               std::memory_order_relaxed);
    int best = 0;
    for (int way = 1; way < kWays; ++way)
      if (cost_[way].load(std::memory_order_relaxed) < cost_[best].load(std::memory_order_relaxed)) best = way;
    best_.store(best, std::memory_order_relaxed);
  }

 private:
  static constexpr int64_t kRun = 4, kRound = kWays * kRun, kLongest = 4096;
  std::atomic<float> cost_[kWays] = {};  // ticks of a unit of work; 0 = never measured
  std::atomic<int> best_{0};
};

}  // namespace zs
#endif
