// What the tape costs a decode step: ZSMerge's steps with every event noted against the same steps without, in turns, each the CPU time
// of its one thread. Share = with / without; pairs swap their order, so that neither gains by being second.
//   tape [rounds]   default 250
#include <cstdio>
#include <exception>

#include "bench/bench.h"

namespace {

constexpr int64_t kWorkingSet = int64_t{64} << 20;

void one(zs_engine* engine, const bench::Shape& shape, int32_t slots, int rounds) {
  const int32_t layers = bench::layers_for(shape, ZS_BF16, slots, kWorkingSet);
  const bench::Case quiet{shape, ZS_BF16, slots, layers, bench::zsmerge_policy(slots)};
  bench::Case told = quiet;
  told.trace = 1;
  bench::FilledCache off(engine, quiet), events(engine, told);
  for (int i = 0; i < 3; ++i) off.step(), events.step();  // the first compresses
  std::vector<double> base, share;
  for (int round = 0; round < rounds; ++round) {
    double with = 0, without = 0;
    if (round % 2) with = events.step();
    without = off.step();
    if (round % 2 == 0) with = events.step();
    base.push_back(without);
    share.push_back(with / without);
  }
  const bench::Spread s = bench::spread_of(share);
  std::printf("%6d  %3d  %2d/%d  %6d  %9.4f   %6.3f (%.3f–%.3f)\n", slots, shape.d, shape.kv_heads * shape.group,
              shape.kv_heads, layers, bench::spread_of(base).median / layers * 1e3, s.median, s.low, s.high);
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** words) {
  try {
    const int rounds = count > 1 ? std::atoi(words[1]) : 250;
    if (rounds < 1) throw std::runtime_error("tape [rounds]: rounds must be a number of at least 1");
    std::printf("a decode step with every event noted : without; %d pairs of steps in turns, one thread's CPU time\n",
                rounds);
    std::printf("medians (10th–90th of a hundred), bfloat16\n\n");
    std::printf("budget  dim  heads  layers  off ms/layer   events : off\n");
    zs_engine* engine = nullptr;
    bench::must(zs_engine_create(1, ZS_ISA_BEST, &engine), "engine");
    for (const bench::Shape& shape : {bench::Shape{3, 3, 64}, bench::Shape{8, 4, 128}})
      for (int32_t slots : {512, 2048}) one(engine, shape, slots, rounds);
    zs_engine_destroy(engine);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tape: %s\n", error.what());
    return 1;
  }
}
