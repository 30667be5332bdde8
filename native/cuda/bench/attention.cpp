// A layer's attention and upkeep. Keys and values are bfloat16; exponentials are written, as scores need them. Shares are of what a copy
// within device memory reaches in the same run (bytes read and written); predicted bytes are keys and values, each once.
#include <algorithm>
#include <memory>

#include "cuda/bench/benches.h"
#include "cuda/bench/replay.h"
#include "cuda/bench/uniform_layer.h"

namespace zs::bench {

double copy_bandwidth(Clock& clock, int64_t bytes) {
  cuda::Arrays arrays;
  unsigned char* const from = arrays.filled(bytes);
  auto* const to = arrays.room<unsigned char>(bytes);
  if (!arrays.there()) must("a copy of " + std::to_string(bytes) + " bytes has no room");
  double best = 0;
  for (int i = 0; i < 10; ++i)
    best = std::max(best, 2e-3 * static_cast<double>(bytes) /
                              clock.of([&] { gpu::copy(to, from, static_cast<size_t>(bytes), clock.stream); }));
  must(gpu::wait(clock.stream));
  return best;
}

namespace {

// A layer with rows of its own.
class Layer {
 public:
  explicit Layer(const LayerShape& shape) : stride_((shape.group + 2) * shape.kv_heads * shape.d) {
    const int64_t out_stride = int64_t{shape.group} * shape.kv_heads * shape.d;
    auto* const in = reinterpret_cast<float*>(arrays_.filled(4 * shape.sequences * stride_));
    auto* const out = arrays_.room<float>(shape.sequences * out_stride);
    layer_ = std::make_unique<UniformLayer>(
        shape, LayerRows{in, in + out_stride, in + out_stride + shape.kv_heads * shape.d, out, stride_, out_stride});
    if (!arrays_.there() || !layer_->there()) must("a layer's cache has no room on the device");
  }
  std::string attend(gpu::Stream stream) const { return layer_->attend(stream); }
  std::string step(gpu::Stream stream) const { return layer_->step(stream); }

 private:
  const int64_t stride_;
  cuda::Arrays arrays_;
  std::unique_ptr<UniformLayer> layer_;
};

std::string shape_of(const LayerShape& s) {
  return "group " + std::to_string(s.group) + ", headDim " + std::to_string(s.d) + ", " +
         std::to_string(s.slots_of(0)) + " slots";
}

// More than 256 MB a launch.
void large(Clock& clock, Size size, int group, int d) {
  LayerShape shape{ZS_BF16, static_cast<int>(size.of(16, 1)), 8, group, d, {}, 0, true, false};
  shape.slots = {
      static_cast<int32_t>(size.of((int64_t{320} << 20) / (shape.heads() * d * 4) / kChunk * kChunk, kChunk))};
  const Layer layer(shape);
  const Replay replay(clock, [&] { must(layer.attend(clock.stream)); });
  const std::vector<double> times = replay.us(size.turns());
  std::vector<double> shares;
  const double copy = copy_bandwidth(clock, size.of(int64_t{1} << 30, 1 << 16));
  for (const double us : times) shares.push_back(static_cast<double>(shape.cache_bytes()) * 1e-3 / us / copy);
  const Spread us = spread_of(times), share = spread_of(shares);
  Line("decode")
      .number("group", group)
      .number("headDim", d)
      .number("slots", shape.slots[0])
      .number("kvHeads", shape.kv_heads)
      .number("batch", shape.sequences)
      .number("bytes", static_cast<double>(shape.cache_bytes()))
      .number("copyGBs", copy)
      .spread("us", us)
      .spread("share", share)
      .tell("attention, " + shape_of(shape), words_of(us, 1) + " us, " + words_of(share, 3) + " of copy bandwidth");
}

// One layer after another, of together more than any cache holds: of each `work` is done.
template <class F>
Spread one_by_one(Clock& clock, Size size, const LayerShape& shape, F work) {
  const auto sets = static_cast<size_t>(size.of((int64_t{400} << 20) / shape.cache_bytes() + 1, 2));
  std::vector<std::unique_ptr<Layer>> layers;
  for (size_t i = 0; i < sets; ++i) layers.push_back(std::make_unique<Layer>(shape));
  const Replay replay(clock, [&] {
    for (const auto& layer : layers) must(work(*layer));
  });
  std::vector<double> times = replay.us(size.turns());
  for (double& us : times) us /= static_cast<double>(sets);
  return spread_of(times);
}

// One sequence, 32 query heads on 4 kv heads.
void single(Clock& clock, Size size, int32_t slots) {
  const LayerShape shape{ZS_BF16, 1, 4, 8, 128, {slots}, 0, true, false};
  const Spread us = one_by_one(clock, size, shape, [&](const Layer& layer) { return layer.attend(clock.stream); });
  Line("single")
      .number("slots", slots)
      .number("bytes", static_cast<double>(shape.cache_bytes()))
      .spread("us", us)
      .tell("attention of one sequence, 32 query heads on 4, headDim 128, " + std::to_string(slots) + " slots",
            words_of(us, 2) + " us");
}

// Budgets from half to one and a half of the same sum, and beside them equal ones.
void ragged(Clock& clock, Size size, int sequences, int32_t slots) {
  LayerShape equal{ZS_BF16, sequences, 8, 4, 128, {slots}, 0, true, false}, other = equal;
  other.slots.clear();
  for (int64_t head = 0; head < equal.heads(); ++head)
    other.slots.push_back(slots / 2 + static_cast<int32_t>(head * slots / (equal.heads() - 1)));
  const Layer first(other), second(equal);
  const Replay a(clock, [&] { must(first.attend(clock.stream)); });
  const Replay b(clock, [&] { must(second.attend(clock.stream)); });
  const Pair pair = in_turns(a, b, size.turns());
  Line("ragged")
      .number("batch", sequences)
      .number("slots", slots)
      .spread("us", pair.first)
      .spread("uniformUs", pair.second)
      .spread("ratio", pair.ratio)
      .tell("ragged : uniform budgets, " + std::to_string(sequences) + " sequences of 8 kv heads, mean of " +
                std::to_string(slots) + " slots",
            words_of(pair.ratio, 3) + " (uniform " + words_of(pair.second, 1) + " us)");
}

// What follows attention where at each step somebody leaves into one of 64 merged slots.
void upkeep(Clock& clock, Size size, int sequences, int32_t slots) {
  const LayerShape shape{ZS_BF16, sequences, 8, 4, 128, {slots}, static_cast<int32_t>(size.of(64, 8)), true, true};
  const Spread attention =
      one_by_one(clock, size, shape, [&](const Layer& layer) { return layer.attend(clock.stream); });
  const Spread all = one_by_one(clock, size, shape, [&](const Layer& layer) { return layer.step(clock.stream); });
  const double more = all.median - attention.median;
  Line("upkeep")
      .number("batch", sequences)
      .number("slots", slots)
      .spread("attentionUs", attention)
      .spread("stepUs", all)
      .number("upkeepUs", more)
      .number("share", more / attention.median)
      .tell("upkeep, " + std::to_string(sequences) + " sequences of 8 kv heads, " + std::to_string(slots) + " slots, " +
                std::to_string(shape.merged) + " of them merged",
            words_of(more, 2) + " us more than " + words_of(attention, 2) + " us of attention");
}

}  // namespace

void attention(Clock& clock, Size size) {
  for (const int d : {64, 128})
    for (const int group : {1, 3, 4, 8}) large(clock, size, group, d);
  for (const int32_t slots : {1024, 4096}) single(clock, size, static_cast<int32_t>(size.of(slots, slots / 16)));
  for (const int sequences : {1, 16})
    ragged(clock, size, static_cast<int>(size.of(sequences, 1)), static_cast<int32_t>(size.of(4096, 64)));
  for (const int sequences : {1, 16, 64})
    upkeep(clock, size, static_cast<int>(size.of(sequences, 1)), static_cast<int32_t>(size.of(2048, 64)));
}

}  // namespace zs::bench
