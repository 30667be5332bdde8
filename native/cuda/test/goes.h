// Configurations of caches that go onto a device.
#ifndef ZSLAB_CUDA_TEST_GOES_H
#define ZSLAB_CUDA_TEST_GOES_H

#include "core/policy.h"
#include "test/guests.h"

namespace test {

// ZSMerge, evict-only, full and streaming, and of the other guests those that it knows.
inline bool goes(const Config& config) {
  for (const Options* at = &config.cache.policy; at; at = at->of.get())
    for (const char* stays : {"quest", "lorc", "think", "minicache"})
      if (at->name == stays) return false;
  return !config.cache.policy.positions;
}

// Heads of a layer go by the sum of their scores.
inline bool choose_together(const CacheConfig& cache) {
  const zs::Needs needs = zs::needs_of(*zs::checked_policy(&cache.policy.native()->policy), 1);
  return needs.granularity == ZS_PER_LAYER && needs.acts == ZS_ACTS_ALWAYS && needs.scores && cache.kv_heads > 1;
}

// Of every three one of the other guests, and one whose heads choose together.
inline Config config_that_goes(Random& random, uint64_t seed, bool small) {
  const bool together = random.one_in(3);
  for (uint64_t at = seed;; at += 1000000) {
    Config config = random.one_in(3) ? guest_config(random.of(kGuests), at, small) : random_config(at, small);
    if (goes(config) && choose_together(config.cache) == together) return config;
  }
}

}  // namespace test
#endif
