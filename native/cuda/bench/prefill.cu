// Attention of prompts on a GPU, in multiplications added a second: keys and values are bfloat16 and uniform, one JSON object a line. Keys and
// values are read once a block of rows, so that arithmetic is the limit, not memory.
#include <cstdio>
#include <vector>

#include "cuda/bench/clock.h"
#include "cuda/test/uniform_prompt.h"

namespace zs::bench {

void prompts(Clock& clock) {
  for (const int d : {64, 128})
    for (const int group : {1, 4}) {
      const cuda::UniformPromptShape shape = {ZS_BF16, 8, group, d, 0, 4096};
      const cuda::UniformPrompt work(shape);
      if (!work.there()) must(cudaErrorMemoryAllocation, "a prompt");
      must(work.prefill(clock.stream));
      std::vector<double> times;
      for (int i = 0; i < 11; ++i) times.push_back(clock.of([&] { must(work.prefill(clock.stream)); }));
      const Spread us = spread_of(times);
      std::printf(
          "{\"bench\":\"prefill\",\"storage\":\"bfloat16\",\"group\":%d,\"headDim\":%d,\"slots\":%d,\"kvHeads\":%d,"
          "\"bytes\":%lld,\"us\":[%.2f,%.2f,%.2f],\"tflops\":%.2f}\n",
          group, d, shape.tokens, shape.heads, static_cast<long long>(shape.prefill_bytes()), us.low, us.median,
          us.high, 2e-6 * static_cast<double>(shape.prefill_products()) / us.median);
    }
}

}  // namespace zs::bench
