// Whole runs of a configuration, and what two of them have in common to the bit.
#ifndef ZSLAB_TEST_RUNS_H
#define ZSLAB_TEST_RUNS_H

#include "test/caches.h"

namespace test {

using Outputs = std::vector<std::vector<float>>;

inline unsigned long long told(const Config& config) { return static_cast<unsigned long long>(config.seed); }

// Runs calls [from, to) of the configuration; `sources` go on where they were.
inline Outputs run(Cache& cache, const Config& config, std::vector<Source>& sources, size_t from, size_t to) {
  Outputs outputs;
  for (size_t call = from; call < to; ++call)
    for (int layer = 0; layer < config.cache.layers; ++layer) {
      const Inputs in = sources[static_cast<size_t>(layer)].next(config.calls[call]);
      outputs.push_back(call ? cache.extend(layer, in, config.calls[call])
                             : cache.prefill(layer, in, config.calls[call], config.share_of));
    }
  return outputs;
}
inline std::vector<Source> sources_of(const Config& config) {
  std::vector<Source> sources;
  for (int layer = 0; layer < config.cache.layers; ++layer) sources.emplace_back(config, layer);
  return sources;
}
inline std::vector<State> states_of(const Cache& cache) {
  std::vector<State> states;
  for (int layer = 0; layer < cache.config.layers; ++layer) states.push_back(cache.state(layer));
  return states;
}
inline bool same_bits(const std::vector<State>& a, const std::vector<State>& b) {
  bool same = a.size() == b.size();
  for (size_t i = 0; same && i < a.size(); ++i) same = same_bits(a[i], b[i]);
  return same;
}
inline bool same_bits(const Outputs& a, const Outputs& b) {
  bool same = a.size() == b.size();
  for (size_t i = 0; same && i < a.size(); ++i) same = same_bits(a[i], b[i]);
  return same;
}
// A program's whole work: f(engine, seed) for each of its seeds. Returns its exit status.
template <class F>
int each_seed(const char* name, F f) {
  const int cases = test::alike(2000, 400, 12);
  try {
    const Engine engine(2);
    for (int i = 0; i < cases; ++i) f(engine, static_cast<uint64_t>(i) + 2000001);
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return finish(name);
}

inline bool same_bits(const zs_receipt& a, const zs_receipt& b) { return !std::memcmp(&a, &b, sizeof a); }

}  // namespace test
#endif
