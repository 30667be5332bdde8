#include "bench/bench.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <stdexcept>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace bench {

Spread spread_of(std::vector<double> values) {
  if (values.empty()) return {0, 0, 0};
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(values.size() - 1);
    const size_t below = static_cast<size_t>(place), above = std::min(below + 1, values.size() - 1);
    return values[below] + (values[above] - values[below]) * (place - static_cast<double>(below));
  };
  return {at(0.1), at(0.5), at(0.9)};
}

double seconds(int threads) {
#if defined(__linux__)
  if (threads == 1) {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
  }
#else
  static_cast<void>(threads);
#endif
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void must(zs_status status, const char* what) {
  if (status != ZS_OK) throw std::runtime_error(std::string(what) + ": " + zs_last_error());
}

// ---- bandwidth

namespace {

enum Pattern { kPlain, kPrefetch, kNonTemporal, kStreams, kBlocks, kPatterns };

typedef float Line __attribute__((vector_size(64)));
constexpr int64_t kLine = 64, kFar = 4096, kBlock = int64_t{1} << 16, kHuge = int64_t{1} << 21;
volatile float sink;

// `lines` cache lines from `from` on, `streams` pieces side by side.
template <int kStreamsAtOnce, int kHint>
inline __attribute__((always_inline)) void read(const char* from, int64_t lines) {
  Line sums[4] = {};
  const int64_t each = lines / kStreamsAtOnce * kLine;
  for (int64_t at = 0; at + 4 / kStreamsAtOnce * kLine <= each; at += 4 / kStreamsAtOnce * kLine)
    for (int i = 0; i < 4; ++i) {
      const char* p = from + (i % kStreamsAtOnce) * each + at + i / kStreamsAtOnce * kLine;
      if (kHint == 1) __builtin_prefetch(p + kFar, 0, 3);
      if (kHint == 2) __builtin_prefetch(p + kFar, 0, 0);
      sums[i] += *reinterpret_cast<const Line*>(p);
    }
  const Line all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  float total = 0;
  for (int i = 0; i < 16; ++i) total += all[i];
  sink = total;
}

inline __attribute__((always_inline)) void read_as(int pattern, const char* from, int64_t lines) {
  switch (pattern) {
    case kPlain:
      return read<1, 0>(from, lines);
    case kNonTemporal:
      return read<1, 2>(from, lines);
    case kStreams:
      return read<4, 1>(from, lines);
    default:
      return read<1, 1>(from, lines);
  }
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) void read_512(int pattern, const char* from, int64_t lines) {
  read_as(pattern, from, lines);
}
__attribute__((target("avx2"))) void read_256(int pattern, const char* from, int64_t lines) {
  read_as(pattern, from, lines);
}
#endif
void read_any(int pattern, const char* from, int64_t lines) { read_as(pattern, from, lines); }

using Reader = void (*)(int, const char*, int64_t);
Reader reader() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return read_512;
  if (__builtin_cpu_supports("avx2")) return read_256;
#endif
  return read_any;
}

}  // namespace

const std::vector<std::string>& Bandwidth::patterns() {
  static const std::vector<std::string> names{"plain", "prefetch", "non-temporal", "4 streams", "blocks"};
  return names;
}

Bandwidth::Bandwidth(int64_t bytes) : bytes_((bytes + kHuge - 1) / kHuge * kHuge) {
  data_ = static_cast<char*>(std::aligned_alloc(static_cast<size_t>(kHuge), static_cast<size_t>(bytes_)));
  if (!data_) throw std::bad_alloc();
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  madvise(data_, static_cast<size_t>(bytes_), MADV_HUGEPAGE);
#endif
  std::memset(data_, 0, static_cast<size_t>(bytes_));
}

Bandwidth::~Bandwidth() { std::free(data_); }

double Bandwidth::pass(zs::Pool& pool, int pattern) {
  const Reader read = reader();
  const int64_t share = pattern == kBlocks ? kBlock : bytes_ / pool.threads() / kLine * kLine;
  const double from = seconds(pool.threads());
  pool.run(bytes_ / share, nullptr, [&](int64_t unit, int) { read(pattern, data_ + unit * share, share / kLine); });
  return static_cast<double>(bytes_ / share * share) / (seconds(pool.threads()) - from) / 1e9;
}

// ---- caches

test::Options full_policy(bool history) {
  test::Options p = test::full_policy();
  p.history = history ? 1 : 0;
  return p;
}

test::Options zsmerge_policy(int32_t budget) {
  test::Options p;
  p.budget = budget;
  return p;
}

const char* storage_name(int32_t storage) {
  return storage == ZS_F32 ? "float32" : storage == ZS_F16 ? "float16" : "bfloat16";
}

int64_t slot_bytes(const Shape& shape, int32_t storage) {
  return zs::Geometry{shape.d, storage}.slot_bytes() * shape.kv_heads;
}

int32_t layers_for(const Shape& shape, int32_t storage, int32_t slots, int64_t bytes) {
  const int64_t layer = slots * slot_bytes(shape, storage);
  return static_cast<int32_t>(std::max<int64_t>(2, (bytes + layer - 1) / layer));
}

FilledCache::FilledCache(zs_engine* engine, const Case& c) : case_(c) {
  const Shape& s = c.shape;
  const int64_t d = s.d, heads = static_cast<int64_t>(s.kv_heads) * s.group;
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  const auto fill = [&](std::vector<float>& to, int64_t count) {
    to.resize(static_cast<size_t>(count));
    for (float& x : to) x = normal(random);
  };
  fill(q_, heads * d);
  fill(k_, s.kv_heads * d);
  fill(v_, s.kv_heads * d);
  out_.resize(q_.size());
  constexpr int32_t kDifferent = 251;
  std::vector<float> keys, values;
  fill(keys, kDifferent * d);
  fill(values, kDifferent * d);

  zs_cache_config config{};
  config.struct_bytes = sizeof config;
  config.layers = c.layers;
  config.heads = static_cast<int32_t>(heads);
  config.kv_heads = s.kv_heads;
  config.head_dim = s.d;
  config.storage = c.storage;
  config.trace = c.trace;
  const auto policy = c.policy.native();
  config.origins = 1;
  config.policy = policy->policy;
  must(zs_cache_create(engine, &config, &cache_), "create");
  for (int32_t layer = 0; layer < c.layers; ++layer) {
    must(zs_cache_prefill(cache_, layer, {q_.data(), d, d}, {k_.data(), d, d}, {v_.data(), d, d}, 1, 0,
                          {out_.data(), d, d}, nullptr),
         "prefill");
    zs::Layer& to = cache_->layers[static_cast<size_t>(layer)];
    for (size_t g = 0; g < to.heads.size(); ++g) {
      zs::Head& head = to.heads[g];
      const int32_t slots = c.by_head.empty() ? c.slots : c.by_head[g % c.by_head.size()];
      head = head.emptied();
      head.links.clear();
      head.reserve(slots);
      for (int32_t t = 0; t < slots; ++t)
        head.append(keys.data() + t % kDifferent * d, values.data() + t % kDifferent * d, t);
      head.counters.admitted = slots;
    }
    to.seq_len = c.slots;
  }
}

double FilledCache::step() {
  const int64_t d = case_.shape.d;
  const double from = seconds(threads());
  for (int32_t layer = 0; layer < case_.layers; ++layer)
    must(zs_cache_extend(cache_, layer, {q_.data(), d, d}, {k_.data(), d, d}, {v_.data(), d, d}, 1, {out_.data(), d, d},
                         nullptr),
         "extend");
  return seconds(threads()) - from;
}

int64_t FilledCache::bytes_read() const {
  int64_t bytes = 0;
  for (const zs::Layer& layer : cache_->layers)
    for (const zs::Head& head : layer.heads)
      for (const zs::Segment& segment : head.segments) bytes += segment.slots() * segment.pages.geometry().slot_bytes();
  return bytes;
}

void Ceiling::turn() {
  for (size_t p = 0; p < read_.size(); ++p) read_[p].push_back(memory_.pass(pool_, static_cast<int>(p)));
}

size_t Ceiling::best() const {
  size_t found = 0;
  for (size_t p = 1; p < read_.size(); ++p)
    if (spread_of(read_[p]).median > spread_of(read_[found]).median) found = p;
  return found;
}

Spread Ceiling::share(const std::vector<double>& rates) const {
  const std::vector<double>& read = read_[best()];
  std::vector<double> shares;
  for (size_t i = 0; i < rates.size(); ++i) shares.push_back(100 * rates[i] / read[i]);
  return spread_of(shares);
}

}  // namespace bench
