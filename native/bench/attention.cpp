// Decode attention as a share of read bandwidth: steps through the C ABI over caches far larger than the last-level cache, in turns
// with passes that only read. Bytes = keys and values of all slots; the share is of the pattern with the best median.
//   attention [rounds [isa]]   default 15, and the best instruction set (0 generic, 1 AVX2, 2 AVX-512)
#include <cstdio>
#include <exception>

#include "bench/bench.h"

namespace {

constexpr int64_t kWorkingSet = int64_t{256} << 20;

void one(const bench::Case& c, int isa, int threads, int rounds, bench::Bandwidth& memory) {
  zs_engine* engine = nullptr;
  bench::must(zs_engine_create(threads, isa, &engine), "engine");
  {
    bench::FilledCache cache(engine, c);
    bench::Ceiling ceiling(memory, engine->pool);
    std::vector<double> took, rate;
    cache.step();
    for (int round = 0; round < rounds; ++round) {
      took.push_back(cache.step());
      rate.push_back(static_cast<double>(cache.bytes_read()) / took.back() / 1e9);
      ceiling.turn();
    }
    const bench::Spread s = ceiling.share(rate);
    std::printf("%6d  %-8s  %3d  %2d/%d  %7d  %9.3f  %7.1f  %7.1f  %-12s  %5.0f  (%.0f–%.0f)\n", c.slots,
                bench::storage_name(c.storage), c.shape.d, c.shape.kv_heads * c.shape.group, c.shape.kv_heads, threads,
                bench::spread_of(took).median / c.layers * 1e3, bench::spread_of(rate).median, ceiling.rate().median,
                ceiling.pattern().c_str(), s.median, s.low, s.high);
    std::fflush(stdout);
  }
  zs_engine_destroy(engine);
}

}  // namespace

int main(int count, char** words) {
  try {
    const int rounds = count > 1 ? std::atoi(words[1]) : 15;
    const int isa = count > 2 ? std::atoi(words[2]) : ZS_ISA_BEST;
    if (rounds < 1) throw std::runtime_error("attention [rounds]: rounds must be a number of at least 1");
    zs_engine* engine = nullptr;
    bench::must(zs_engine_create(0, isa, &engine), "engine");
    std::printf("decode attention, %s\n", zs_engine_describe(engine));
    zs_engine_destroy(engine);
    std::printf(
        "%d rounds in turns; medians (10th–90th of a hundred); GB = 10^9 bytes; working set >= %lld MiB\n"
        "one thread: its CPU time; more: wall time\n\n",
        rounds, static_cast<long long>(kWorkingSet >> 20));
    std::printf(" slots  storage   dim  heads  threads  ms/layer     GB/s  ceiling  (its pattern)   share %%\n");
    bench::Bandwidth memory(kWorkingSet);
    for (const bench::Shape& shape : {bench::Shape{3, 3, 64}, bench::Shape{8, 4, 128}})
      for (int32_t storage : {ZS_F32, ZS_BF16, ZS_F16})
        for (int32_t slots : {2048, 8192, 32768})
          for (int threads : {2, 1})
            one({shape, storage, slots, bench::layers_for(shape, storage, slots, kWorkingSet),
                 bench::full_policy(false)},
                isa, threads, rounds, memory);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "attention: %s\n", error.what());
    return 1;
  }
}
