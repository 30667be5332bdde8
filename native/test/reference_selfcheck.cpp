// The reference alone: the golden runs, cases worked out by hand, and the theorem. What it says is then what the engine
// must do.
#include "test/reference_by_hand.h"
#include "test/reference_golden.h"
#include "test/theorem.h"

int main() {
  try {
    const test::Json golden = test::Json::golden("zsmerge_reference.json");
    test::check(golden["cases"].items.size() == 8, "the golden file has %zu cases, not 8",
                golden["cases"].items.size());
    for (const test::Json& c : golden["cases"].items) test::golden_case(c);
  } catch (const std::exception& e) {
    test::check(false, "%s", e.what());
  }
  test::resolving_by_hand();
  test::storage_by_hand();
  test::regions_by_hand();
  test::similarity_by_hand();
  const auto make = [](const test::CacheConfig& c) { return test::ReferenceCache(c); };
  const int cases = test::cases(1000, 300, 15);
  for (int i = 0; i < cases; ++i) {
    const uint64_t seed = static_cast<uint64_t>(i);
    test::equalities(seed);
    test::theorem_1(make, seed, 1e-12);
    test::equal_groups(make, seed, 1e-12);
    test::no_compensation(make, seed, 1e-6);  // the state is compared as float32
  }
  return test::finish("reference_selfcheck");
}
