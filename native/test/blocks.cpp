// Blocks of every tensor type widen to the bits that the gguf package gives (test/golden/blocks.json), NaN to NaN.
#include <cmath>

#include "model/quants.h"
#include "test/check.h"
#include "test/json.h"

namespace {

using test::check;

bool same(float a, float b) { return std::isnan(b) ? std::isnan(a) : !std::memcmp(&a, &b, sizeof a); }

void widened(const test::Json& type) {
  const char* name = type["name"].text.c_str();
  const int number = type["type"].whole();
  const zs::BlockType* known = zs::block_type(number);
  if (!check(known && known->name == type["name"].text && known->values == type["values"].whole() &&
                 known->bytes == type["bytes"].whole(),
             "%s (%d) is none that is read, or of other sizes", name, number))
    return;
  const std::vector<uint8_t> raw = type["blocks"].bytes();
  const std::vector<float> expected = type["widened"].floats();
  const size_t bytes = static_cast<size_t>(known->bytes), values = static_cast<size_t>(known->values),
               blocks = raw.size() / bytes;
  check(blocks > 0 && expected.size() == blocks * values, "%s: %zu values in %zu blocks", name, expected.size(),
        blocks);
  // Together, and each alone: aligned to nothing, with nothing behind it.
  std::vector<float> all(expected.size()), one(values);
  zs::dequantize(number, raw.data(), static_cast<int64_t>(all.size()), all.data());
  for (size_t b = 0; b < blocks; ++b) {
    std::vector<uint8_t> moved(1 + bytes);
    std::memcpy(moved.data() + 1, raw.data() + b * bytes, bytes);
    zs::dequantize(number, moved.data() + 1, known->values, one.data());
    size_t i = 0;
    while (i < values && same(one[i], expected[b * values + i]) && same(all[b * values + i], one[i])) ++i;
    check(i == values, "%s, block %zu: value %zu is %.9g (alone) and %.9g (among others), not %.9g", name, b, i,
          static_cast<double>(one[i % values]), static_cast<double>(all[b * values + i % values]),
          static_cast<double>(expected[b * values + i % values]));
  }
}

}  // namespace

int main() {
  try {
    const test::Json golden = test::Json::golden("blocks.json");
    for (const test::Json& type : golden["types"].items) widened(type);
    std::string names;
    for (int32_t number = -1; number < 1000; ++number)
      if (const zs::BlockType* known = zs::block_type(number)) names += std::string(known->name) + " ";
    check(names == "F32 F16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K BF16 " && golden["types"].items.size() == 11,
          "read are %s, judged %zu", names.c_str(), golden["types"].items.size());
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::finish("blocks");
}
