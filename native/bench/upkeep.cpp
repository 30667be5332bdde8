// What ZSMerge costs beside attention: steps of a compressed cache (scores, victim, merge, places) against steps of a full cache without
// history that holds as many slots, in turns. Share = (with upkeep - plain) / plain.
//   upkeep [rounds]   default 25
#include <cstdio>
#include <exception>

#include "bench/bench.h"

namespace {

constexpr int64_t kWorkingSet = int64_t{256} << 20;
constexpr int32_t kSlots = 2048;

void one(const bench::Shape& shape, int32_t storage, int threads, int rounds) {
  zs_engine* engine = nullptr;
  bench::must(zs_engine_create(threads, ZS_ISA_BEST, &engine), "engine");
  {
    const int32_t layers = bench::layers_for(shape, storage, kSlots, kWorkingSet);
    // The plain cache grows by a slot a step: it starts half the rounds below.
    bench::FilledCache plain(engine, {shape, storage, kSlots - rounds / 2, layers, bench::full_policy(false)});
    bench::FilledCache scored(engine, {shape, storage, kSlots - rounds / 2, layers, bench::full_policy(true)});
    bench::FilledCache merged(engine, {shape, storage, kSlots, layers, bench::zsmerge_policy(kSlots)});
    merged.step();  // compresses
    plain.step(), scored.step(), merged.step();
    std::vector<double> base, scores, all;
    for (int round = 0; round < rounds; ++round) {
      base.push_back(plain.step());
      scores.push_back(100 * (scored.step() / base.back() - 1));
      all.push_back(100 * (merged.step() / base.back() - 1));
    }
    const bench::Spread s = bench::spread_of(scores), a = bench::spread_of(all);
    std::printf("%-8s  %3d  %2d/%d  %7d  %6d  %9.4f   %6.1f (%.1f–%.1f)   %6.1f (%.1f–%.1f)\n",
                bench::storage_name(storage), shape.d, shape.kv_heads * shape.group, shape.kv_heads, threads, layers,
                bench::spread_of(base).median / layers * 1e3, s.median, s.low, s.high, a.median, a.low, a.high);
    std::fflush(stdout);
  }
  zs_engine_destroy(engine);
}

}  // namespace

int main(int count, char** words) {
  try {
    const int rounds = count > 1 ? std::atoi(words[1]) : 25;
    if (rounds < 1) throw std::runtime_error("upkeep [rounds]: rounds must be a number of at least 1");
    std::printf("ZSMerge's upkeep beside the plain attention step at %d slots\n", kSlots);
    std::printf(
        "%d rounds in turns; medians (10th–90th of a hundred); %% of the plain step\n"
        "one thread: its CPU time; more: wall time\n\n",
        rounds);
    std::printf("storage   dim  heads  threads  layers  plain ms/layer  scores only %%   scores, victim, merge %%\n");
    for (const bench::Shape& shape : {bench::Shape{3, 3, 64}, bench::Shape{8, 4, 128}})
      for (int32_t storage : {ZS_F32, ZS_BF16, ZS_F16})
        for (int threads : {2, 1}) one(shape, storage, threads, rounds);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "upkeep: %s\n", error.what());
    return 1;
  }
}
