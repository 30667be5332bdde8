// Launches recorded once and made again as one, as a model's step is.
#ifndef ZSLAB_CUDA_BENCH_REPLAY_H
#define ZSLAB_CUDA_BENCH_REPLAY_H

#include <vector>

#include "cuda/bench/clock.h"

namespace zs::bench {

class Replay {
 public:
  // `work` is done once before: what a first launch sets up is no part of a graph.
  template <class F>
  Replay(Clock& clock, F work) : clock_(clock) {
    work();
    must(gpu::wait(clock.stream));
    must(graph_.begin(clock.stream));
    work();
    must(graph_.end(clock.stream));
  }
  double us() const {
    return clock_.of([&] { must(graph_.launch(clock_.stream)); });
  }
  // Of so many, after one.
  std::vector<double> us(int turns) const {
    us();
    std::vector<double> all;
    for (int i = 0; i < turns; ++i) all.push_back(us());
    return all;
  }

 private:
  Clock& clock_;
  gpu::Graph graph_;
};

// In turns, so that whatever slows the machine meets both.
struct Pair {
  Spread first, second, ratio;  // microseconds; first / second
};
inline Pair in_turns(const Replay& first, const Replay& second, int turns) {
  std::vector<double> a, b, ratios;
  first.us(), second.us();
  for (int i = 0; i < turns; ++i) {
    a.push_back(first.us());
    b.push_back(second.us());
    ratios.push_back(a.back() / b.back());
  }
  return {spread_of(a), spread_of(b), spread_of(ratios)};
}

}  // namespace zs::bench
#endif
