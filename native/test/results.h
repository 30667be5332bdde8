// All that a run comes to, and where two of them differ in a bit.
#ifndef ZSLAB_TEST_RESULTS_H
#define ZSLAB_TEST_RESULTS_H

#include "test/runs.h"

namespace test {

struct Result {
  Outputs outputs;
  std::vector<State> states;
  std::vector<uint8_t> events;
  zs_receipt receipt{};
};

template <class T>
void append_column(std::vector<uint8_t>& to, const T* column, int64_t count) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(column);
  if (count) to.insert(to.end(), bytes, bytes + static_cast<size_t>(count) * sizeof(T));
}

// States, events and receipt of a cache, as they are now.
inline void look(const Cache& cache, Result& result) {
  result.states = states_of(cache);
  result.events.clear();
  const zs_events e = cache.events();
  for (const uint8_t* column : {e.action, e.reason}) append_column(result.events, column, e.count);
  for (const uint16_t* column : {e.layer, e.kv_head}) append_column(result.events, column, e.count);
  for (const int32_t* column : {e.step, e.position, e.slot, e.target, e.rank})
    append_column(result.events, column, e.count);
  for (const float* column : {e.score, e.threshold, e.similarity, e.target_score, e.weight, e.target_weight})
    append_column(result.events, column, e.count);
  result.receipt = cache.receipt();
}

inline void same(const Result& a, const Result& b, const char* name, const Config& config) {
  const bool outputs = same_bits(a.outputs, b.outputs), states = same_bits(a.states, b.states),
             events = same_bits(a.events, b.events), receipts = same_bits(a.receipt, b.receipt);
  check(outputs && states && events && receipts, "%s differs in%s%s%s%s: %s", name, outputs ? "" : " outputs",
        states ? "" : " states", events ? "" : " events", receipts ? "" : " the receipt", config.text().c_str());
}

}  // namespace test
#endif
