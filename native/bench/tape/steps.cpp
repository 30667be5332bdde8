// Steps of ZSMerge for bench/tape: built into two libraries, one of an engine that keeps events when asked, one of an engine that cannot.
#include <cstdio>
#include <exception>

#include "bench/bench.h"

namespace {

struct Steps {
  zs_engine* engine = nullptr;
  bench::FilledCache* cache = nullptr;
  ~Steps() {
    delete cache;
    zs_engine_destroy(engine);
  }
};

}  // namespace

extern "C" {

// nullptr, and why on stderr, where it cannot be made.
ZS_API void* steps_make(const bench::Shape* shape, int32_t slots, int32_t layers, int32_t trace) {
  auto* steps = new Steps;
  try {
    bench::must(zs_engine_create(1, ZS_ISA_BEST, &steps->engine), "engine");
    bench::Case asked{*shape, ZS_BF16, slots, layers, bench::zsmerge_policy(slots)};
    asked.trace = trace;
    steps->cache = new bench::FilledCache(steps->engine, asked);
    return steps;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tape: %s\n", error.what());
    delete steps;
    return nullptr;
  }
}

// Seconds of the thread.
ZS_API double steps_one(void* steps) { return static_cast<Steps*>(steps)->cache->step(); }

ZS_API void steps_free(void* steps) { delete static_cast<Steps*>(steps); }

}  // extern "C"
