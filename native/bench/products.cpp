// What multiplies a prompt's rows: blocks of 128 rows and 256 outputs, as model/products.h cuts them, by our own kernels and by the library, in
// turns; and what widening a block's weights costs beside it. The table of docs/products.md is this bench's.
//   products [rounds [isa]]   default 15, and the best instruction set (0 generic, 1 AVX2, 2 AVX-512)
#include <cstdio>
#include <exception>
#include <stdexcept>

#include "bench/bench.h"
#include "cpu/linear.h"
#include "model/library.h"
#include "model/packed.h"

namespace {

constexpr int64_t kRows = 128, kTiles = 16, kAtOnce = 64;  // blocks of a pass

struct Way {
  const char* name;
  std::vector<double> rate;
};

// 10⁹ multiply-adds a second, doubled, of one pass: f(block, thread) for each block.
template <class F>
double pass(zs::Pool& pool, int64_t k, F f) {
  const double from = bench::seconds(pool.threads());
  pool.run(kAtOnce, nullptr, [&](int64_t block, int thread) { f(block, thread); });
  return 2.0 * static_cast<double>(kAtOnce * kRows * kTiles * zs::kTile * k) / (bench::seconds(pool.threads()) - from) /
         1e9;
}

void one(zs_engine& engine, int64_t k, int threads, int rounds) {
  const zs::LinearKernels& kernels = *engine.linear;
  zs::Pool& pool = engine.pool;
  zs::Buffer x(kRows * k), w(kTiles * zs::kTile * k), y(threads * kRows * kTiles * zs::kTile),
      wide(threads * kTiles * zs::kTile * k);
  for (int64_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(i % 17 - 8) / 16;
  for (int64_t i = 0; i < w.size(); ++i) w.data()[i] = static_cast<float>(i % 19 - 9) / 16;
  const auto result = [&](int thread) { return y.data() + thread * kRows * kTiles * zs::kTile; };
  const std::unique_ptr<zs::Library> library = zs::make_library(engine);
  const zs::Library::Plan* const plan = library ? library->plan({kRows, k, kTiles}) : nullptr;
  Way ways[] = {{"own float32", {}}, {"library bfloat16", {}}, {"widening Q4_1", {}}};
  for (int round = 0; round <= rounds; ++round) {
    const auto note = [&](Way& way, double rate) {
      if (round) way.rate.push_back(rate);
    };
    note(ways[0], pass(pool, k, [&](int64_t, int thread) {
           kernels.multiply[static_cast<int>(zs::Packing::kF32)](
               {w.data(), k, kTiles, x.data(), k, kRows, result(thread), kTiles * zs::kTile});
         }));
    if (plan)
      note(ways[1], pass(pool, k, [&](int64_t, int thread) {
             library->run(*plan, x.data(), w.data(), result(thread), thread);
           }));
    note(ways[2], pass(pool, k, [&](int64_t, int thread) {
           kernels.widen[static_cast<int>(zs::Packing::kQ4_1)](w.data(), k, kTiles,
                                                               wide.data() + thread * kTiles * zs::kTile * k);
         }));
  }
  for (const Way& way : ways) {
    if (way.rate.empty()) {
      std::printf("%6lld  %7d  %-17s        –\n", static_cast<long long>(k), threads, way.name);
      continue;
    }
    std::vector<double> share;
    for (size_t i = 0; i < way.rate.size(); ++i) share.push_back(way.rate[i] / ways[0].rate[i]);
    const bench::Spread rate = bench::spread_of(way.rate), s = bench::spread_of(share);
    std::printf("%6lld  %7d  %-17s  %7.0f  %6.2f (%.2f–%.2f)\n", static_cast<long long>(k), threads, way.name,
                rate.median, s.median, s.low, s.high);
  }
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** words) {
  try {
    const int rounds = count > 1 ? std::atoi(words[1]) : 15;
    const int isa = count > 2 ? std::atoi(words[2]) : ZS_ISA_BEST;
    if (rounds < 1) throw std::runtime_error("products [rounds [isa]]: rounds must be a number of at least 1");
    for (int threads : {2, 1}) {
      zs_engine* engine = nullptr;
      bench::must(zs_engine_create(threads, isa, &engine), "engine");
      if (threads == 2)
        std::printf(
            "products of %lld rows and %lld outputs, %s\n%d rounds in turns; medians (10th–90th of a hundred); GFLOP/s "
            "= 10^9 a second, of the product, for widening too\none thread: its CPU time; more: wall time\n\n"
            "inputs  threads  by                GFLOP/s  to own float32\n",
            static_cast<long long>(kRows), static_cast<long long>(kTiles * zs::kTile), zs_engine_describe(engine),
            rounds);
      for (const int64_t k : {576, 1536, 4096}) one(*engine, k, threads, rounds);
      zs_engine_destroy(engine);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "products: %s\n", error.what());
    return 1;
  }
}
