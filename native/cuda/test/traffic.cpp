// What attention, upkeep, selection, first compressions and products of few rows move, counted by the race build: no byte of a cache or of
// weights twice, no half-used sectors, no conflicts of banks.
#include "cuda/emulation/traffic.h"

#include <functional>
#include <vector>

#include "cuda/products.h"
#include "cuda/select.h"
#include "cuda/test/uniform.h"
#include "cuda/test/uniform_compress.h"
#include "cuda/test/uniform_prompt.h"
#include "cuda/test/uniform_upkeep.h"
#include "cuda/tuning.h"
#include "test/check.h"

namespace {

using zs::emulation::TrafficLine;

// What a launch moves, beside `bytes`, what it has to, and the fewest passes over banks and sectors, `more_sectors` and `more_passes` added to
// these, which the layout of what it reads and writes costs.
void moves(const char* name, int64_t bytes, const std::function<std::string()>& launch, int64_t more_sectors = 0,
           int64_t more_passes = 0) {
  zs::emulation::begin_traffic();
  const std::string what = launch();
  const std::vector<TrafficLine> lines = zs::emulation::end_traffic();
  if (!test::check(what.empty(), "%s: %s", name, what.c_str())) return;
#if defined(ZS_RACE)
  uint64_t moved = 0, parts[2] = {}, ideal[2] = {};
  for (const TrafficLine& line : lines) {
    if (!line.shared) moved += line.bytes;
    parts[line.shared] += line.parts;
    ideal[line.shared] += line.ideal;
  }
  ideal[0] += static_cast<uint64_t>(more_sectors);
  ideal[1] += static_cast<uint64_t>(more_passes);
  const auto ratio = [](uint64_t a, uint64_t b) { return static_cast<double>(a) / static_cast<double>(b); };
  const double of_bytes = ratio(moved, static_cast<uint64_t>(bytes)), sectors = ratio(parts[0], ideal[0]),
               passes = ratio(parts[1], ideal[1]);
  const bool held = test::check(of_bytes <= 1.05, "%s: %.3f of the bytes that are needed", name, of_bytes) &
                    test::check(of_bytes >= 0.95, "%s: only %.3f of the bytes that are needed", name, of_bytes) &
                    test::check(sectors <= 1.05, "%s: %.3f of the fewest sectors", name, sectors) &
                    test::check(passes <= 1.05, "%s: %.3f of the fewest passes over banks", name, passes);
  std::printf("  %s: bytes %.3f of the model, sectors %.3f and passes %.3f of the fewest\n", name, of_bytes, sectors,
              passes);
  if (held) return;
  for (const TrafficLine& line : lines)
    if (line.parts > line.ideal)
      std::printf("    %s %s %s: %llu %s, %llu would do\n", line.place.c_str(), line.writes ? "writes" : "reads",
                  line.shared ? "shared" : "device", static_cast<unsigned long long>(line.parts),
                  line.shared ? "passes" : "sectors", static_cast<unsigned long long>(line.ideal));
#else
  test::check(lines.empty(), "%s: traffic is counted outside of the race build", name);
#endif
}

template <class Shape, class Launch>
void attention(const char* kernel, const Shape& shape, int64_t bytes, Launch launch, int64_t more_sectors = 0,
               int64_t more_passes = 0) {
  char name[100];
  std::snprintf(name, sizeof name, "%s, storage %d, group %d, headDim %d", kernel, shape.storage, shape.group, shape.d);
  moves(name, bytes, launch, more_sectors, more_passes);
}

// Of large matrices and one row the rows' inputs count once, else once a block: those come from the second-level cache.
void product(int32_t storage, int32_t rows, int64_t outputs, int64_t k) {
  const bool many = outputs >= zs::cuda::kManyOutputs;
  const int64_t weights = outputs * k * (storage == ZS_F32 ? 4 : 2), blocks = outputs / (many ? 64 : 32);
  std::vector<void*> memory;
  const auto zeros = [&](int64_t bytes) {
    memory.push_back(zs::gpu::allocate(static_cast<size_t>(bytes)));
    const std::vector<unsigned char> some(static_cast<size_t>(bytes));
    zs::gpu::upload(memory.back(), some.data(), some.size());
    return memory.back();
  };
  zs::cuda::Product p{};
  p.w = {zeros(weights), storage, outputs, k};
  p.x = zeros(rows * k * 4);
  p.rows = rows;
  p.then = zs::cuda::Then::kStore;
  p.y = zeros(rows * outputs * 4);
  p.y_stride = outputs;
  zs::cuda::Products products;
  char name[100];
  std::snprintf(name, sizeof name, "product, storage %d, %d rows, %lld x %lld", storage, rows,
                static_cast<long long>(outputs), static_cast<long long>(k));
  moves(name, weights + rows * (outputs + k * (many && rows == 1 ? 1 : blocks)) * 4,
        [&] { return products.multiply(p, {}); });
  for (void* one : memory) zs::gpu::release(one);
}

// The best of scores that are all different, in no order. Scores that have room in shared memory are read once, others once a digit of four bits
// and twice to part the slots; who is taken and who is left is written once. More than have room there are sorted in two pieces, with one step
// between them over those that the second has, and merged in two more.
void selection(int64_t slots, int64_t count) {
  using zs::cuda::kSelectSorted;
  const int64_t read = slots <= zs::cuda::kSelectKept ? slots : 10 * slots;
  const int64_t sorted = count <= kSelectSorted ? 0 : count + 2 * 4 * count + 2 * 4 * (count - kSelectSorted);
  zs::cuda::Arrays arrays;
  std::vector<float> scores(static_cast<size_t>(slots));
  for (size_t i = 0; i < scores.size(); ++i)
    scores[i] = static_cast<float>(static_cast<uint32_t>(i) * 0x9e3779b9u >> 8) / (1 << 24);
  zs::cuda::SelectTask task{};
  task.scores = arrays.list(scores);
  task.to = static_cast<int32_t>(slots);
  task.count = static_cast<int32_t>(count);
  task.best = arrays.room<int32_t>(count);
  task.rest = arrays.room<int32_t>(slots - count);
  task.scratch = arrays.room<uint32_t>(zs::cuda::select_scratch(count));
  const auto* const list = arrays.list(std::vector<zs::cuda::SelectTask>{task});
  char name[100];
  std::snprintf(name, sizeof name, "select, %lld of %lld", static_cast<long long>(count),
                static_cast<long long>(slots));
  moves(name, 4 * (read + slots + sorted), [&] { return zs::cuda::select(list, 1, {}); });
}

}  // namespace

int main() {
  for (const int32_t storage : {ZS_F32, ZS_F16, ZS_BF16}) {
    for (const int group : {1, 3, 8})
      for (const int d : {64, 128}) {
        const zs::cuda::UniformShape shape = {storage, 1, 1, group, d, 2048};
        const zs::cuda::Uniform work(shape);
        attention("decode", shape, shape.decode_bytes(), [&] { return work.decode({}); });
        const int merged = (group == 3) == (d == 64) ? 64 : 0;
        const zs::cuda::UniformUpkeepShape over = {storage, 1, group, d, 2048 + merged, merged};
        const zs::cuda::UniformUpkeep kept(over);
        attention(
            merged ? "upkeep, merged slots" : "upkeep", over, over.bytes(), [&] { return kept.upkeep({}); },
            over.more_sectors());
      }
    for (const int d : {64, 128}) {
      const zs::cuda::UniformCompressShape shape = {storage, 1, d, 2048, 512, 16};
      const zs::cuda::UniformCompress in_runs(shape, false), by_similarity(shape, true);
      attention("first compression, who stays", shape, shape.keep_bytes(), [&] { return in_runs.keep({}); });
      attention(
          "first compression, runs", shape, shape.run_bytes(), [&] { return in_runs.runs({}); },
          shape.run_more_sectors());
      attention(
          "first compression, by similarity", shape, shape.alike_bytes(), [&] { return by_similarity.alike({}); },
          shape.alike_more_sectors(), shape.alike_more_passes());
    }
    for (const int d : {64, 128, 256}) {
      const int group = d == 64 ? 1 : d == 128 ? 8 : 3;
      const zs::cuda::UniformPromptShape shape = {
          storage, 1, group, d, d == 64 ? 512 : 256, zs::cuda::prefill_rows(group, d)};
      const zs::cuda::UniformPrompt work(shape);
      attention("prefill", shape, shape.prefill_bytes(), [&] { return work.prefill({}); });
      attention("columns", shape, shape.columns_bytes(), [&] { return work.columns({}); });
    }
    product(storage, 1, zs::cuda::kManyOutputs, 64);
    product(storage, 1, 576, 1536);
    product(storage, 8, 576, 576);
  }
  selection(2048, 2048);
  selection(2048, 512);
  selection(8192, 819);
  selection(20000, 5000);
  return test::finish("traffic");
}
