// What attention moves, counted by the race build: no byte of a cache twice, no half-used sectors, no conflicts of banks.
#include "cuda/emulation/traffic.h"

#include "cuda/test/uniform.h"
#include "cuda/test/uniform_prompt.h"
#include "test/check.h"

namespace {

using zs::emulation::TrafficLine;

// What a launch moves, beside the bytes that it has to.
template <class Shape, class Launch>
void one(const char* name, const Shape& shape, int64_t model, Launch launch) {
  zs::emulation::begin_traffic();
  const std::string what = launch();
  const std::vector<TrafficLine> lines = zs::emulation::end_traffic();
  if (!test::check(what.empty(), "%s", what.c_str())) return;
#if defined(ZS_RACE)
  uint64_t bytes = 0, parts[2] = {}, ideal[2] = {};
  for (const TrafficLine& line : lines) {
    if (!line.shared) bytes += line.bytes;
    parts[line.shared] += line.parts;
    ideal[line.shared] += line.ideal;
  }
  const auto ratio = [](uint64_t a, uint64_t b) { return static_cast<double>(a) / static_cast<double>(b); };
  const double moved = ratio(bytes, static_cast<uint64_t>(model)), sectors = ratio(parts[0], ideal[0]),
               passes = ratio(parts[1], ideal[1]);
  const bool held = test::check(moved <= 1.05, "%.3f of the bytes that are needed", moved) &
                    test::check(sectors <= 1.05, "%.3f of the fewest sectors", sectors) &
                    test::check(passes <= 1.05, "%.3f of the fewest passes over banks", passes);
  std::printf(
      "  %s, storage %d, group %d, headDim %d: bytes %.3f of the model, sectors %.3f and passes %.3f of the fewest\n",
      name, shape.storage, shape.group, shape.d, moved, sectors, passes);
  if (held) return;
  for (const TrafficLine& line : lines)
    if (line.parts > line.ideal)
      std::printf("    %s %s %s: %llu %s, %llu would do\n", line.place.c_str(), line.writes ? "writes" : "reads",
                  line.shared ? "shared" : "device", static_cast<unsigned long long>(line.parts),
                  line.shared ? "passes" : "sectors", static_cast<unsigned long long>(line.ideal));
#else
  (void)name, (void)shape, (void)model;
  test::check(lines.empty(), "traffic is counted outside of the race build");
#endif
}

}  // namespace

int main() {
  for (const int32_t storage : {ZS_F32, ZS_F16, ZS_BF16})
    for (const int group : {1, 3, 8})
      for (const int d : {64, 128}) {
        const zs::cuda::UniformShape shape = {storage, 1, 1, group, d, 2048};
        const zs::cuda::Uniform work(shape);
        one("decode", shape, shape.decode_bytes(), [&] { return work.decode({}); });
      }
  for (const int32_t storage : {ZS_F32, ZS_F16, ZS_BF16})
    for (const int d : {64, 128, 256}) {
      const int group = d == 64 ? 1 : d == 128 ? 8 : 3;
      const zs::cuda::UniformPromptShape shape = {storage, 1, group, d, 512, zs::cuda::prefill_rows(group, d)};
      const zs::cuda::UniformPrompt work(shape);
      one("prefill", shape, shape.prefill_bytes(), [&] { return work.prefill({}); });
    }
  return test::finish("traffic");
}
