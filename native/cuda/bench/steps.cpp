// Whole steps of models as graphs, full caches beside compressed ones in turns. Weights, keys and values are bfloat16; merged slots float32.
#include <algorithm>

#include "cuda/bench/benches.h"
#include "cuda/bench/replay.h"
#include "cuda/bench/uniform_model.h"

namespace zs::bench {
namespace {

constexpr ModelShape kLlama = {"LLaMA2-7B", 32, 4096, 32, 32, 128, 11008, 32000},
                     kTiny = {"a tiny model", 2, 64, 4, 2, 32, 96, 128};

int32_t of(int64_t slots) { return static_cast<int32_t>(slots); }
Held full(int64_t slots) { return {of(slots), 0, false}; }
// As many merged slots as the default policy has.
Held compressed(int64_t slots) { return {of(slots), std::max(1, of(slots / 100)), true}; }

// A full cache of `all` slots beside one that keeps `kept`.
void beside(Clock& clock, Size size, const UniformWeights& weights, int batch, int64_t all, int64_t kept) {
  UniformStep first(weights, batch, full(all)), second(weights, batch, compressed(kept));
  const std::string what = std::string(weights.shape.name) + ", batch " + std::to_string(batch) + ": keeping " +
                           std::to_string(kept) + " of " + std::to_string(all) + " slots : all";
  Line line("step");
  line.number("batch", batch).number("slots", static_cast<double>(all)).number("kept", static_cast<double>(kept));
  if (!first.there() || !second.there()) return line.not_run(what, "it has no room on this device");
  const Replay a(clock, [&] { must(first.launch(clock.stream)); });
  const Replay b(clock, [&] { must(second.launch(clock.stream)); });
  const Pair pair = in_turns(a, b, size.turns());
  const double predicted = static_cast<double>(first.bytes()) / static_cast<double>(second.bytes());
  line.number("fullBytes", static_cast<double>(first.bytes()))
      .number("bytes", static_cast<double>(second.bytes()))
      .number("predictedRatio", predicted)
      .spread("fullUs", pair.first)
      .spread("us", pair.second)
      .spread("ratio", pair.ratio)
      .tell(what, words_of(pair.ratio, 3) + " times the tokens (at most " + words_of(predicted, 2) + " by bytes); " +
                      words_of(1e6 * batch / pair.second.median, 1) + " against " +
                      words_of(1e6 * batch / pair.first.median, 1) + " tokens/s");
}

// As many sequences as the device has room for, of a context that is kept as `held`.
void largest(Clock& clock, Size size, const UniformWeights& weights, int64_t context, Held held) {
  gpu::Facts facts;
  must(gpu::facts_of(0, facts));
  const ModelShape& m = weights.shape;
  const int64_t slot = int64_t{2} * m.d * m.kv_heads * m.layers,
                each = slot * (2 * (held.slots + kChunk) + 2 * held.merged);
  // What work takes beside caches: partial results, lists, logits.
  const auto batch = static_cast<int>(std::min<int64_t>(facts.free * 17 / 20 / each, size.of(256, 2)));
  const std::string what = std::string(m.name) + ", context of " + std::to_string(context) + " tokens, " +
                           std::to_string(held.slots) + " kept: the largest batch of at most 256";
  Line line("largest");
  line.number("context", static_cast<double>(context)).number("slots", held.slots).number("batch", batch);
  if (batch < 1) return line.not_run(what, "not one sequence has room on this device");
  if (batch > cuda::kFewRows) {
    cuda::Products products;
    if (const std::string wrong = products.need_library(); !wrong.empty()) return line.not_run(what, wrong);
  }
  UniformStep step(weights, batch, held);
  if (!step.there()) return line.not_run(what, "it has no room on this device");
  const Replay replay(clock, [&] { must(step.launch(clock.stream)); });
  const Spread us = spread_of(replay.us(size.turns()));
  line.number("memory", static_cast<double>(facts.memory))
      .spread("us", us)
      .tell(what, std::to_string(batch) + ", " + words_of(1e6 * batch / us.median, 1) + " tokens/s");
}

}  // namespace

void steps(Clock& clock, Size size) {
  const UniformWeights weights(size.small ? kTiny : kLlama);
  if (!weights.there()) return Line("step").not_run("steps of LLaMA2-7B", "its weights have no room on this device");
  const int64_t context = size.of(54000, 64), kept = context / 20;
  beside(clock, size, weights, 1, context, kept);
  for (const int batch : {1, 4}) {
    const int64_t budget = size.of(4096, 32);
    beside(clock, size, weights, batch, budget, budget);
    beside(clock, size, weights, batch, budget * 11 / 10, budget);
    beside(clock, size, weights, batch, budget / 2 * 11 / 10, budget / 2);
  }
  const int64_t tokens = size.of(8192, 64);
  largest(clock, size, weights, tokens, full(tokens));
  largest(clock, size, weights, tokens, compressed(tokens / 20));
}

}  // namespace zs::bench
