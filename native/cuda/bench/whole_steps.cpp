// A token's way through a small model in one launch, beside the same as a graph of launches, in turns. Weights, keys and values are bfloat16,
// merged slots float32.
#include <vector>

#include "cuda/bench/benches.h"
#include "cuda/bench/replay.h"
#include "cuda/test/step_model.h"

namespace zs::bench {
namespace {

using cuda::StepModel;
using cuda::StepSizes;

// SmolLM2-135M's.
void both_ways(Clock& clock, Size size, int32_t slots, int32_t merged) {
  StepSizes sizes = {30, 3, 3, 64, 32, 576, 1536, 49152, ZS_BF16, ZS_BF16, slots, merged, merged > 0};
  if (size.small) sizes.layers = 2, sizes.hidden = 64, sizes.inner = 96, sizes.vocabulary = 128;
  cuda::UpkeepShape rule{};
  rule.decay = 0.9f;
  rule.scores = merged > 0;
  rule.alpha = 1;
  const std::string what = "a token of SmolLM2-135M in one launch : as a graph, " + std::to_string(slots) + " slots" +
                           (merged ? ", compressed" : "");
  Line line("whole");
  line.number("slots", slots).number("merged", merged);
  const StepModel model(sizes, rule, 1);
  int32_t blocks = 0;
  if (const std::string wrong = cuda::step_blocks(model.shape(), blocks); !wrong.empty())
    return line.not_run(what, wrong);
  const auto one_launch = [&] { must(model.at_once(blocks, clock.stream)); };
  const Replay graph(clock, [&] { must(model.apart(clock.stream)); });
  clock.of(one_launch), graph.us();
  std::vector<double> one, many, ratios;
  for (int i = 0; i < size.turns(); ++i) {
    one.push_back(clock.of(one_launch));
    many.push_back(graph.us());
    ratios.push_back(one.back() / many.back());
  }
  const double copy = copy_bandwidth(clock, size.of(int64_t{1} << 30, 1 << 16));
  // How many times as long as its bytes take at copy bandwidth.
  const auto of_limit = [&](const Spread& us) {
    const double scale = copy / (1e-3 * static_cast<double>(model.bytes()));
    return Spread{us.low * scale, us.median * scale, us.high * scale};
  };
  const Spread us = spread_of(one), graph_us = spread_of(many);
  line.number("blocks", blocks)
      .number("bytes", static_cast<double>(model.bytes()))
      .number("copyGBs", copy)
      .spread("us", us)
      .spread("graphUs", graph_us)
      .spread("ratio", spread_of(ratios))
      .spread("ofLimit", of_limit(us))
      .spread("graphOfLimit", of_limit(graph_us))
      .tell(what, words_of(spread_of(ratios), 3) + "; " + words_of(us, 1) + " against " + words_of(graph_us, 1) +
                      " us, " + words_of(of_limit(us), 2) + " against " + words_of(of_limit(graph_us), 2) +
                      " times its byte limit");
}

}  // namespace

void whole_steps(Clock& clock, Size size) {
  both_ways(clock, size, static_cast<int32_t>(size.of(1024, 48)), 0);
  both_ways(clock, size, static_cast<int32_t>(size.of(83, 12)), static_cast<int32_t>(size.of(20, 4)));
}

}  // namespace zs::bench
