// The engine: a thread pool, the kernels chosen for this CPU, scratch memory, and the sentence that says what it runs on.
#ifndef ZSLAB_CORE_ENGINE_H
#define ZSLAB_CORE_ENGINE_H

#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "core/pool.h"
#include "zslab/zslab.h"

namespace zs {
struct AttentionKernels;  // core/kernels.h
struct LinearKernels;     // cpu/linear.h
class Device;             // core/device.h
struct Upkeep;            // core/policy.h
struct Selection;
struct Reader;               // core/reading.h
const char* library_name();  // native/model: "oneDNN 3.2.0" or "portable"

// Memory that attention works in, kept from call to call.
struct Workspace {
  Workspace();
  ~Workspace();
  Buffer probs, statistics, partial, threads;
  Buffer choice;                      // summed scores of several heads
  std::vector<Reader> readers;        // of a step
  std::vector<int64_t> start;         // of each reader: its first chunk in a work list
  std::vector<Selection> selections;  // of each kv head
  std::vector<Upkeep> upkeep;         // one per thread
  // Where keys are kept before rotation (core/turning.h): positions of slots by head and chunk, each head's first chunk, turned queries, and
  // for each thread a turned chunk.
  std::vector<int32_t> places;
  std::vector<int64_t> first_place;
  Buffer turned_queries, turned;
};
}  // namespace zs

struct zs_engine {
  zs_engine(int threads, zs_isa isa);
  ~zs_engine();
  zs::Pool pool;
  zs_isa isa;
  const zs::AttentionKernels* attention;
  const zs::LinearKernels* linear;
  std::unique_ptr<zs::Device> device;  // nullptr = all is done on the CPU
  void use(std::unique_ptr<zs::Device> made);
  std::string description, on_cpu;  // JSON; without the device, and open
  std::mutex busy;                  // one call at a time
  zs::Workspace work;

  // pool.run for units that may throw: the first exception comes out after all threads have stopped.
  template <class F>
  bool run(int64_t count, const zs_call* call, F&& f) {
    std::exception_ptr failed;
    std::atomic<bool> any{false};
    const bool all = pool.run(count, call, [&](int64_t unit, int thread) {
      if (any.load(std::memory_order_relaxed)) return;
      try {
        f(unit, thread);
      } catch (...) {
        if (!any.exchange(true)) failed = std::current_exception();
      }
    });
    if (failed) std::rethrow_exception(failed);
    return all;
  }
};
#endif
