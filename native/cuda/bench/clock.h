// What benches share: failures end the program, and times are told as tenth, half and ninetieth of a hundred.
#ifndef ZSLAB_CUDA_BENCH_CLOCK_H
#define ZSLAB_CUDA_BENCH_CLOCK_H

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "cuda/gpu.h"

namespace zs::bench {

inline void must(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}
inline void must(const std::string& error) {
  if (error.empty()) return;
  std::fprintf(stderr, "%s\n", error.c_str());
  std::exit(1);
}

struct Spread {
  double low, median, high;
};
inline Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
  };
  return {at(0.1), at(0.5), at(0.9)};
}

class Clock {
 public:
  Clock() {
    must(cudaStreamCreate(&stream), "a stream");
    must(cudaEventCreate(&begin_), "an event");
    must(cudaEventCreate(&end_), "an event");
  }
  // Microseconds that f takes, in the stream.
  template <class F>
  double of(F f) {
    must(cudaEventRecord(begin_, stream), "an event");
    f();
    must(cudaEventRecord(end_, stream), "an event");
    must(cudaEventSynchronize(end_), "a launch");
    float ms = 0;
    must(cudaEventElapsedTime(&ms, begin_, end_), "a time");
    return static_cast<double>(ms) * 1e3;
  }
  cudaStream_t stream;

 private:
  cudaEvent_t begin_, end_;
};

// bench/prefill.cu: attention of prompts.
void prompts(Clock& clock);

}  // namespace zs::bench
#endif
