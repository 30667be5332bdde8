// What the tape costs a decode step: ZSMerge's steps with every event noted against the same steps without, and those against the steps of
// an engine that is built without a tape; in turns, each the CPU time of its one thread. Rounds go through all orders, so that nobody gains
// by being second.
//   tape [rounds]   default 252
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "bench/bench.h"

namespace {

constexpr int64_t kWorkingSet = int64_t{64} << 20;

// An engine of its own.
class Library {
 public:
  explicit Library(const char* path) : handle_(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
    if (!handle_) throw std::runtime_error(dlerror());
    make = reinterpret_cast<decltype(make)>(symbol("steps_make"));
    one = reinterpret_cast<decltype(one)>(symbol("steps_one"));
    free = reinterpret_cast<decltype(free)>(symbol("steps_free"));
  }

  void* (*make)(const bench::Shape*, int32_t slots, int32_t layers, int32_t trace);
  double (*one)(void*);
  void (*free)(void*);

 private:
  void* symbol(const char* name) {
    void* found = dlsym(handle_, name);
    if (!found) throw std::runtime_error(dlerror());
    return found;
  }
  void* handle_;
};

struct Contender {
  const Library* library;
  int32_t trace;
  void* steps = nullptr;
};

std::string shown(const std::vector<double>& share) {
  const bench::Spread s = bench::spread_of(share);
  char text[64];
  std::snprintf(text, sizeof text, "%.3f (%.3f–%.3f)", s.median, s.low, s.high);
  return text;
}

void compared(const Library& with, const Library& without, const bench::Shape& shape, int32_t slots, int rounds) {
  const int32_t layers = bench::layers_for(shape, ZS_BF16, slots, kWorkingSet);
  Contender all[] = {{&without, 0}, {&with, 0}, {&with, 1}};
  for (Contender& one : all) {
    one.steps = one.library->make(&shape, slots, layers, one.trace);
    if (!one.steps) throw std::runtime_error("a cache cannot be made");
    for (int i = 0; i < 3; ++i) one.library->one(one.steps);  // the first compresses
  }
  std::vector<double> off, off_share, events_share;
  int order[] = {0, 1, 2};
  for (int round = 0; round < rounds; ++round) {
    double took[3];
    for (int i : order) took[i] = all[i].library->one(all[i].steps);
    std::next_permutation(order, order + 3);
    off.push_back(took[1]);
    off_share.push_back(took[1] / took[0]);
    events_share.push_back(took[2] / took[1]);
  }
  for (Contender& one : all) one.library->free(one.steps);
  std::printf("%6d  %3d  %2d/%d  %6d  %9.4f   %s   %s\n", slots, shape.d, shape.kv_heads * shape.group, shape.kv_heads,
              layers, bench::spread_of(off).median / layers * 1e3, shown(events_share).c_str(),
              shown(off_share).c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** words) {
  try {
    const int rounds = count > 1 ? std::atoi(words[1]) : 252;
    if (rounds < 1) throw std::runtime_error("tape [rounds]: rounds must be a number of at least 1");
    std::printf(
        "decode steps with every event noted : with none noted : of an engine without a tape; %d rounds in turns\n",
        rounds);
    std::printf("one thread's CPU time, medians (10th–90th of a hundred), bfloat16\n\n");
    std::printf("budget  dim  heads  layers  off ms/layer   events : off          off : without\n");
    const Library with(ZS_STEPS), without(ZS_STEPS_TAPELESS);
    for (const bench::Shape& shape : {bench::Shape{3, 3, 64}, bench::Shape{8, 4, 128}})
      for (int32_t slots : {512, 2048}) compared(with, without, shape, slots, rounds);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tape: %s\n", error.what());
    return 1;
  }
}
