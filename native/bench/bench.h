// What the benches share: medians with their spread, this machine's read bandwidth by several access patterns, and caches filled
// without a prompt's n² (the only place outside core/ that looks into core/: the product has no hooks for benches).
// Bench lines give every share its ceiling, measured in the same run and in turns with what is judged: the machine moves.
#ifndef ZSLAB_BENCH_BENCH_H
#define ZSLAB_BENCH_BENCH_H

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "core/cache.h"
#include "core/pool.h"
#include "test/policies.h"
#include "zslab/zslab.h"

namespace bench {

// Tenth, half and ninetieth of a hundred.
struct Spread {
  double low, median, high;
};
Spread spread_of(std::vector<double> values);

// Of a steady clock; where one thread works alone, of its own CPU time, which neighbours on a shared machine do not lengthen.
double seconds(int threads);

// Throws std::runtime_error with zs_last_error() unless status is ZS_OK.
void must(zs_status status, const char* what);

// Threads reading memory far larger than the last-level cache, in the ways that have won on one machine or another.
class Bandwidth {
 public:
  explicit Bandwidth(int64_t bytes);
  ~Bandwidth();
  Bandwidth(const Bandwidth&) = delete;
  Bandwidth& operator=(const Bandwidth&) = delete;

  static const std::vector<std::string>& patterns();
  // GB/s (10⁹ bytes) of one pass over everything.
  double pass(zs::Pool& pool, int pattern);

 private:
  int64_t bytes_;
  char* data_;
};

// What passes that only read reach, in turns with what is judged; the ceiling is the pattern with the best median.
class Ceiling {
 public:
  // `pool`: of what is judged, too: the workers of a second one would spin beside it.
  Ceiling(Bandwidth& memory, zs::Pool& pool) : memory_(memory), pool_(pool), read_(Bandwidth::patterns().size()) {}
  // A pass of each pattern.
  void turn();
  Spread rate() const { return spread_of(read_[best()]); }
  const std::string& pattern() const { return Bandwidth::patterns()[best()]; }
  // Per cent of it, turn by turn, of rates in GB/s.
  Spread share(const std::vector<double>& rates) const;

 private:
  size_t best() const;
  Bandwidth& memory_;
  zs::Pool& pool_;
  std::vector<std::vector<double>> read_;  // of each pattern
};

struct Shape {
  int32_t kv_heads, group, d;
};

struct Case {
  Shape shape;
  int32_t storage, slots, layers;
  test::Options policy;
  std::vector<int32_t> by_head = {};  // slots of each kv head instead; cycled
  int32_t trace = 0;
};

test::Options full_policy(bool history);
test::Options zsmerge_policy(int32_t budget);
const char* storage_name(int32_t storage);
int64_t slot_bytes(const Shape& shape, int32_t storage);

// Layers so that all of them together hold at least `bytes`; at least two.
int32_t layers_for(const Shape& shape, int32_t storage, int32_t slots, int64_t bytes);

// A cache whose layers each hold `slots` tokens, as a prompt would have left them, and inputs for steps.
class FilledCache {
 public:
  FilledCache(zs_engine* engine, const Case& c);
  ~FilledCache() { zs_cache_destroy(cache_); }
  FilledCache(const FilledCache&) = delete;
  FilledCache& operator=(const FilledCache&) = delete;

  // One step through every layer; returns its seconds.
  double step();
  int threads() const { return cache_->engine->pool.threads(); }
  // Bytes of keys and values that the last step read.
  int64_t bytes_read() const;

 private:
  Case case_;
  zs_cache* cache_ = nullptr;
  std::vector<float> q_, k_, v_, out_;
};

}  // namespace bench
#endif
