// Attention of prompts and its column sums on a GPU, in operations a second: keys and values are bfloat16 and uniform, one JSON object a line.
// Keys and values are read once a block of rows, so that arithmetic is the limit, not memory.
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
      // Column sums take half of the multiplications: they have no values.
      const auto told = [&](const char* name, int64_t bytes, int64_t products, auto launch) {
        must(launch());
        std::vector<double> times;
        for (int i = 0; i < 11; ++i) times.push_back(clock.of([&] { must(launch()); }));
        const Spread us = spread_of(times);
        std::printf(
            "{\"bench\":\"%s\",\"storage\":\"bfloat16\",\"group\":%d,\"headDim\":%d,\"slots\":%d,\"kvHeads\":%d,"
            "\"bytes\":%lld,\"us\":[%.2f,%.2f,%.2f],\"tflops\":%.2f}\n",
            name, group, d, shape.tokens, shape.heads, static_cast<long long>(bytes), us.low, us.median, us.high,
            2e-6 * static_cast<double>(products) / us.median);
      };
      told("prefill", shape.prefill_bytes(), shape.prefill_products(), [&] { return work.prefill(clock.stream); });
      told("columns", shape.columns_bytes(), shape.prefill_products() / 2, [&] { return work.columns(clock.stream); });
    }
}

}  // namespace zs::bench
