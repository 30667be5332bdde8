// The reference alone: the golden runs, cases worked out by hand, and the theorem. What it says is then what the engine must do.
// ZSLAB_GOLDEN names test/golden/zsmerge_reference.json (scripts/native-tests.mjs sets it).
#include "test/reference_golden.h"

int main() {
  const char *path = std::getenv("ZSLAB_GOLDEN");
  try {
    const test::Json golden = test::Json::read(path ? path : "test/golden/zsmerge_reference.json");
    test::check(golden["cases"].items.size() == 8, "the golden file has %zu cases, not 8", golden["cases"].items.size());
    for (const test::Json &c : golden["cases"].items) test::golden_case(c);
  } catch (const std::exception &e) {
    test::check(false, "%s", e.what());
  }
  return test::finish("reference_selfcheck");
}
