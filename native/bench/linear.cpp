// Matrix-vector products as a share of read bandwidth, a packing of weights after another: a matrix far larger than the last-level cache,
// cut into units as the model cuts it, in turns with passes that only read. The share is of the pattern with the best median.
//   linear [rounds [isa [inputs]]]   default 15, the best instruction set (0 generic, 1 AVX2, 2 AVX-512), 1536
#include "cpu/linear.h"

#include <cstdio>
#include <exception>
#include <stdexcept>

#include "bench/bench.h"
#include "core/kernels.h"
#include "model/packed.h"

namespace {

constexpr int64_t kMatrix = int64_t{256} << 20, kUnit = int64_t{1} << 16;

// Scales of about 2^-6, any fields.
std::vector<uint8_t> some_weights() {
  std::vector<uint8_t> bytes(static_cast<size_t>(kMatrix));
  uint64_t state = 1;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    bytes[i] = static_cast<uint8_t>(state >> 40), bytes[i + 1] = static_cast<uint8_t>(0x20 + (state >> 60) % 8);
  }
  return bytes;
}

class Product {
 public:
  Product(const zs::LinearKernels& kernels, zs::Packing packing, int64_t k, const uint8_t* w)
      : multiply_(kernels.multiply[static_cast<int>(packing)]),
        k_(k),
        tile_(zs::tile_bytes(packing, k)),
        each_(std::max<int64_t>(1, kUnit / tile_)),
        units_(kMatrix / tile_ / each_),
        w_(w),
        x_(static_cast<size_t>(zs::prepared_row(k)), 0.5f),
        y_(static_cast<size_t>(units_ * each_ * zs::kTile)) {
    if (const auto prepare = kernels.prepare[static_cast<int>(packing)]) {
      const std::vector<float> plain = x_;
      prepare(plain.data(), k, x_.data());
    }
  }
  // GB/s of one pass.
  double pass(zs::Pool& pool) {
    const double from = bench::seconds(pool.threads());
    pool.run(units_, nullptr, [&](int64_t unit, int) {
      multiply_({w_ + unit * each_ * tile_, k_, each_, x_.data(), k_, 1, y_.data() + unit * each_ * zs::kTile, 0});
    });
    return static_cast<double>(units_ * each_ * tile_) / (bench::seconds(pool.threads()) - from) / 1e9;
  }

 private:
  void (*multiply_)(const zs::PackedProduct&);
  const int64_t k_, tile_, each_, units_;
  const uint8_t* w_;
  std::vector<float> x_, y_;
};

void one(zs::Packing packing, Product product, int threads, int rounds, bench::Bandwidth& memory) {
  zs::Pool pool(threads);
  bench::Ceiling ceiling(memory, pool);
  std::vector<double> rate;
  product.pass(pool);
  for (int round = 0; round < rounds; ++round) {
    rate.push_back(product.pass(pool));
    ceiling.turn();
  }
  const bench::Spread s = ceiling.share(rate);
  std::printf("%-6s  %7d  %7.1f  %7.1f  %-12s  %5.0f  (%.0f–%.0f)\n", zs::packing_name(packing), threads,
              bench::spread_of(rate).median, ceiling.rate().median, ceiling.pattern().c_str(), s.median, s.low, s.high);
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** words) {
  try {
    const int rounds = count > 1 ? std::atoi(words[1]) : 15;
    const int isa = count > 2 ? std::atoi(words[2]) : ZS_ISA_BEST;
    const int64_t inputs = count > 3 ? std::atoi(words[3]) : 1536;
    if (rounds < 1 || inputs < 256 || inputs % 256)
      throw std::runtime_error("linear [rounds [isa [inputs]]]: at least 1 round, inputs a multiple of 256");
    zs_engine* engine = nullptr;
    bench::must(zs_engine_create(0, isa, &engine), "engine");
    std::printf("matrix-vector products of %lld inputs, %s\n", static_cast<long long>(inputs),
                zs_engine_describe(engine));
    const zs::LinearKernels& kernels = *engine->linear;
    std::printf(
        "%d rounds in turns; medians (10th–90th of a hundred); GB = 10^9 bytes; a matrix of %lld MiB\n"
        "one thread: its CPU time; more: wall time\n\n",
        rounds, static_cast<long long>(kMatrix >> 20));
    std::printf("type    threads     GB/s  ceiling  (its pattern)   share %%\n");
    const std::vector<uint8_t> weights = some_weights();
    bench::Bandwidth memory(kMatrix);
    for (int threads : {2, 1})
      for (int packing = 0; packing < zs::kPackings; ++packing)
        one(static_cast<zs::Packing>(packing), {kernels, static_cast<zs::Packing>(packing), inputs, weights.data()},
            threads, rounds, memory);
    zs_engine_destroy(engine);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "linear: %s\n", error.what());
    return 1;
  }
}
