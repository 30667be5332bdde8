// The read ceiling of this machine: threads that only read memory, by several access patterns.
//   ceiling [rounds]        GB/s of every pattern by size and threads; default 15
//   ceiling serve THREADS   for bench/model: a number of bytes on a line of stdin, GB/s by pattern on a line of stdout; without bytes
//                           the patterns' names
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>

#include "bench/bench.h"

namespace {

// Of one answer, after one that wakes the threads.
constexpr int kPasses = 5;

std::vector<double> rates(bench::Bandwidth& memory, zs::Pool& pool, int passes) {
  std::vector<double> medians;
  for (size_t p = 0; p < bench::Bandwidth::patterns().size(); ++p) {
    std::vector<double> took;
    memory.pass(pool, static_cast<int>(p));
    for (int i = 0; i < passes; ++i) took.push_back(memory.pass(pool, static_cast<int>(p)));
    medians.push_back(bench::spread_of(took).median);
  }
  return medians;
}

void serve(int threads) {
  zs::Pool pool(threads);
  std::unique_ptr<bench::Bandwidth> memory;
  int64_t held = 0;
  for (std::string line; std::getline(std::cin, line);) {
    const int64_t bytes = std::strtoll(line.c_str(), nullptr, 10);
    if (bytes <= 0) {
      const std::vector<std::string>& names = bench::Bandwidth::patterns();
      for (size_t p = 0; p < names.size(); ++p) std::cout << (p ? "," : "") << names[p];
    } else {
      if (bytes != held) memory.reset(), memory = std::make_unique<bench::Bandwidth>(bytes), held = bytes;
      for (double rate : rates(*memory, pool, kPasses)) std::cout << rate << ' ';
    }
    std::cout << std::endl;
  }
}

void table(int rounds) {
  std::printf("read ceiling, GB/s (GB = 10^9 bytes); medians of %d passes\n\nthreads      MiB", rounds);
  for (const std::string& name : bench::Bandwidth::patterns()) std::printf("  %12s", name.c_str());
  std::printf("\n");
  for (int threads : {2, 1})
    for (int64_t mib : {32, 96, 256, 1024}) {
      zs::Pool pool(threads);
      bench::Bandwidth memory(mib << 20);
      std::printf("%7d  %7lld", threads, static_cast<long long>(mib));
      for (double rate : rates(memory, pool, rounds)) std::printf("  %12.1f", rate);
      std::printf("\n");
      std::fflush(stdout);
    }
}

}  // namespace

int main(int count, char** words) {
  try {
    const bool serves = count > 1 && std::strcmp(words[1], "serve") == 0;
    const int number = count > 1 + serves ? std::atoi(words[1 + serves]) : serves ? 0 : 15;
    if (number < 1) throw std::runtime_error("ceiling [rounds] or ceiling serve THREADS: a number of at least 1");
    if (serves)
      serve(number);
    else
      table(number);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ceiling: %s\n", error.what());
    return 1;
  }
}
