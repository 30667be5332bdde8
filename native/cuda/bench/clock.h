// How long work takes on a GPU, in its own stream; emulated, where times mean nothing, on the CPU.
#ifndef ZSLAB_CUDA_BENCH_CLOCK_H
#define ZSLAB_CUDA_BENCH_CLOCK_H

#include <chrono>

#include "cuda/bench/tell.h"
#include "cuda/gpu.h"

namespace zs::bench {

#ifdef __CUDACC__
class Clock {
 public:
  Clock() {
    must(gpu::new_stream(stream));
    must(gpu::told(cudaEventCreate(&begin_)));
    must(gpu::told(cudaEventCreate(&end_)));
  }
  // Microseconds that f takes, in the stream.
  template <class F>
  double of(F f) {
    must(gpu::told(cudaEventRecord(begin_, stream)));
    f();
    must(gpu::told(cudaEventRecord(end_, stream)));
    must(gpu::told(cudaEventSynchronize(end_)));
    float ms = 0;
    must(gpu::told(cudaEventElapsedTime(&ms, begin_, end_)));
    return static_cast<double>(ms) * 1e3;
  }
  gpu::Stream stream;

 private:
  cudaEvent_t begin_, end_;
};
#else
class Clock {
 public:
  template <class F>
  double of(F f) {
    const auto begin = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
  }
  gpu::Stream stream;
};
#endif

// GB/s of the best of ten copies within device memory, read and written.
double copy_bandwidth(Clock& clock, int64_t bytes);

}  // namespace zs::bench
#endif
