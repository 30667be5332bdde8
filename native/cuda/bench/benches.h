// The benches. `small`: the same work in sizes that an emulation can do, to see that it runs; what it takes then says nothing.
#ifndef ZSLAB_CUDA_BENCH_BENCHES_H
#define ZSLAB_CUDA_BENCH_BENCHES_H

#include "cuda/bench/clock.h"

namespace zs::bench {

struct Size {
  bool small;
  int turns() const { return small ? 2 : 11; }
  int64_t of(int64_t usual, int64_t if_small) const { return small ? if_small : usual; }
};

void attention(Clock& clock, Size size);    // shares of copy bandwidth, one sequence, ragged budgets, upkeep
void prompts(Clock& clock, Size size);      // attention of prompts and its column sums
void steps(Clock& clock, Size size);        // whole models: long contexts, small batches, the largest batch
void whole_steps(Clock& clock, Size size);  // a small model's token in one launch and as a graph
void traces(Size size);                     // caches that keep their events beside caches that do not

}  // namespace zs::bench
#endif
