// Attention of prompts and its column sums on a GPU, in operations a second: keys and values are bfloat16 and uniform, one JSON object a line.
// Keys and values are read once a block of rows, so that arithmetic is the limit, not memory.
#include "cuda/bench/benches.h"
#include "cuda/bench/replay.h"
#include "cuda/test/uniform_prompt.h"

namespace zs::bench {

void prompts(Clock& clock, Size size) {
  for (const int d : {64, 128})
    for (const int group : {1, 4}) {
      const cuda::UniformPromptShape shape = {ZS_BF16, static_cast<int>(size.of(8, 1)),    group, d,
                                              0,       static_cast<int>(size.of(4096, 48))};
      const cuda::UniformPrompt work(shape);
      if (!work.there()) must("a prompt has no room on the device");
      // Column sums take half of the multiplications: they have no values.
      const auto told = [&](const char* name, int64_t bytes, int64_t products, auto launch) {
        const Replay replay(clock, [&] { must(launch()); });
        const Spread us = spread_of(replay.us(size.turns()));
        const double tflops = 2e-6 * static_cast<double>(products) / us.median;
        Line(name)
            .number("group", group)
            .number("headDim", d)
            .number("tokens", shape.tokens)
            .number("kvHeads", shape.heads)
            .number("bytes", static_cast<double>(bytes))
            .spread("us", us)
            .number("tflops", tflops)
            .tell(std::string(name) + " of a prompt, group " + std::to_string(group) + ", headDim " +
                      std::to_string(d) + ", " + std::to_string(shape.tokens) + " tokens",
                  words_of(us, 1) + " us, " + words_of(tflops, 2) + " TFLOP/s");
      };
      told("prefill", shape.prefill_bytes(), shape.prefill_products(), [&] { return work.prefill(clock.stream); });
      told("columns", shape.columns_bytes(), shape.prefill_products() / 2, [&] { return work.columns(clock.stream); });
    }
}

}  // namespace zs::bench
