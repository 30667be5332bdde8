// Decode attention where heads hold different numbers of slots (2 : 1) against as many slots in all, shared out evenly, in turns.
//   ragged [rounds]   default 25
#include <cstdio>
#include <exception>

#include "bench/bench.h"

namespace {

constexpr int64_t kWorkingSet = int64_t{256} << 20;

void one(const bench::Shape& shape, int32_t storage, int32_t slots, int threads, int rounds) {
  zs_engine* engine = nullptr;
  bench::must(zs_engine_create(threads, ZS_ISA_BEST, &engine), "engine");
  {
    const int32_t layers = bench::layers_for(shape, storage, slots, kWorkingSet);
    const auto policy = bench::full_policy(false);
    bench::FilledCache even(engine, {shape, storage, slots, layers, policy});
    // 2 : 1 by turns; with an odd number of heads the last holds the mean.
    std::vector<int32_t> by_head;
    for (int32_t g = 0; g < shape.kv_heads; ++g)
      by_head.push_back(shape.kv_heads % 2 && g + 1 == shape.kv_heads ? slots : g % 2 ? slots * 2 / 3 : slots * 4 / 3);
    bench::FilledCache ragged(engine, {shape, storage, slots, layers, policy, by_head});
    even.step(), ragged.step();
    std::vector<double> base, ratio;
    for (int round = 0; round < rounds; ++round) {
      const bool first = round % 2;
      const double before = first ? ragged.step() : 0;
      base.push_back(even.step());
      ratio.push_back((first ? before : ragged.step()) / base.back());
    }
    const bench::Spread r = bench::spread_of(ratio);
    std::printf("%6d  %-8s  %3d  %2d/%d  %7d  %9.3f   %5.3f (%.3f–%.3f)\n", slots, bench::storage_name(storage),
                shape.d, shape.kv_heads * shape.group, shape.kv_heads, threads,
                bench::spread_of(base).median / layers * 1e3, r.median, r.low, r.high);
    std::fflush(stdout);
  }
  zs_engine_destroy(engine);
}

}  // namespace

int main(int count, char** words) {
  try {
    const int rounds = count > 1 ? std::atoi(words[1]) : 25;
    if (rounds < 1) throw std::runtime_error("ragged [rounds]: rounds must be a number of at least 1");
    std::printf("decode attention with budgets of 2 : 1, as a ratio to even ones of the same total\n");
    std::printf("%d rounds in turns; medians (10th–90th of a hundred); one thread: its CPU time; more: wall time\n\n",
                rounds);
    std::printf(" slots  storage   dim  heads  threads  even ms/layer   ragged / even\n");
    for (const bench::Shape& shape : {bench::Shape{3, 3, 64}, bench::Shape{8, 4, 128}})
      for (int32_t storage : {ZS_F32, ZS_BF16})
        for (int32_t slots : {400, 2048, 8192})
          for (int threads : {2, 1}) one(shape, storage, slots, threads, rounds);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ragged: %s\n", error.what());
    return 1;
  }
}
