// A token through a small model in one launch beside the same in one launch after another, which other tests judge: all that either leaves in
// device memory is the same bytes, token after token, whatever the order of threads and the number of blocks.
#include "cuda/token_step.h"

#include "cuda/test/step_model.h"
#include "cuda/tuning.h"

namespace {

using test::Random;
using zs::cuda::StepModel;
using zs::cuda::StepSizes;

constexpr int kTokens = 2;

StepSizes sizes_of(Random& random, zs::cuda::UpkeepShape& rule) {
  constexpr int32_t kStorages[] = {ZS_F32, ZS_F16, ZS_BF16}, kDims[] = {64, 128, 32, 80, 2, 18};
  StepSizes s{};
  s.layers = random.upto(1, 2);
  s.kv_heads = random.upto(1, 3);
  s.group = random.upto(1, random.one_in(4) ? zs::cuda::kMostGroup : 3);
  s.d = random.one_in(2) ? random.of(kDims) : 16;
  s.pairs = random.one_in(2) ? s.d / 2 : random.upto(1, s.d / 2);
  s.inner = 16 * random.upto(1, 6);
  // Now and then so many that blocks have other numbers of outputs.
  const bool many = random.one_in(16);
  s.vocabulary = many ? zs::cuda::kManyOutputs + random.upto(0, 70) : random.upto(1, 200);
  s.hidden = !many && random.one_in(4) ? random.upto(1, 300) : random.upto(1, 64);
  s.weights = random.of(kStorages);
  s.storage = random.of(kStorages);
  s.slots = zs::twins::slots_of(random) + (random.one_in(4) ? zs::kChunk : 0);
  s.merged = random.one_in(3) ? 0 : random.one_in(8) ? zs::kChunk + zs::twins::slots_of(random) : random.upto(1, 70);
  s.leaves = s.slots > 1 && !random.one_in(3);
  rule.decay = random.one_in(4) ? 1.0f : static_cast<float>(random.unit());
  rule.scores = !random.one_in(4);
  rule.by_age = random.one_in(6);
  rule.told = !random.one_in(4);
  rule.merging.similarity = random.upto(ZS_DOT, ZS_COSINE);
  rule.merging.sums_scores = random.one_in(2);
  rule.merging.aggregate = static_cast<zs::cuda::Aggregate>(random.upto(0, 2));
  rule.alpha = 1;
  return s;
}

void one_case(uint64_t seed) {
  Random random(seed);
  zs::gpu::vary_order(seed);
  zs::gpu::vary_together(seed % 4 ? 1 + static_cast<int>(seed / 4 % 6) : 1 << 20);
  zs::cuda::UpkeepShape rule{};
  const StepSizes sizes = sizes_of(random, rule);
  const StepModel model(sizes, rule, seed);
  int32_t blocks = 0;
  const std::string cannot = zs::cuda::step_blocks(model.shape(), blocks);
  if (!test::check(cannot.empty(), "case %llu: %s", static_cast<unsigned long long>(seed), cannot.c_str())) return;
  const auto after = [&](auto step) {
    model.restore();
    std::vector<std::vector<zs::twins::Bytes>> states;
    for (int token = 0; token < kTokens; ++token) {
      const std::string wrong = step();
      test::check(wrong.empty(), "case %llu: %s", static_cast<unsigned long long>(seed), wrong.c_str());
      states.push_back(model.state());
    }
    return states;
  };
  const auto apart = after([&] { return model.apart({}); }), at_once = after([&] { return model.at_once(blocks, {}); });
  for (size_t token = 0; token < apart.size(); ++token)
    for (size_t i = 0; i < apart[token].size(); ++i)
      test::check(i == model.only_apart() || apart[token][i] == at_once[token][i],
                  "case %llu, token %zu: piece %zu of what a token leaves is another in one launch of %d blocks",
                  static_cast<unsigned long long>(seed), token, i, blocks);
  test::check(model.stage_count() == 2 + 6 * sizes.layers, "%d stages of %d layers", model.stage_count(), sizes.layers);
}

void refusals() {
  const auto says = [](const zs::cuda::StepShape& shape, const char* what) {
    int32_t blocks = 1;
    for (const std::string& said :
         {zs::cuda::step_blocks(shape, blocks), zs::cuda::token_step(nullptr, 0, shape, 1, {})})
      test::check(said.find(what) != std::string::npos && !blocks, "expected \"%s\", got \"%s\"", what, said.c_str());
  };
  says({ZS_F32, 9, 64, 64}, "1 to 8 query heads");
  says({ZS_F32, 1, 130, 64}, "an even headDim of at most 128");
  says({ZS_F32, 1, 63, 64}, "an even headDim of at most 128");
  says({ZS_F32, 1, 64, 20000}, "products of at most 16384 inputs, not 20000");
  says({7, 1, 64, 64}, "does not know storage 7");
}

}  // namespace

int main(int count, char** words) {
  refusals();
  const int cases = count > 1 ? 1 : test::cases(400, 80, 30);
  for (int i = 0; i < cases; ++i) one_case(count > 1 ? std::strtoull(words[1], nullptr, 10) : static_cast<uint64_t>(i));
  std::printf("  %d cases\n", cases);
  return test::finish("token_step");
}
