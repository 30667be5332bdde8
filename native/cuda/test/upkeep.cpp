// Upkeep, as emulated, beside native/cpu: scores bit for bit, the same victims and targets whatever the order of threads. Scores have many
// equals, and now and then infinity or no number; merged slots are none, a few, or more than a chunk; similarities of all kinds, with equal keys.
#include <algorithm>
#include <limits>
#include <memory>

#include "cuda/before.h"
#include "cuda/test/twins.h"
#include "cuda/tuning.h"

namespace {

using namespace zs::twins;
using test::Random;
using zs::round_up;

struct Head {
  std::vector<zs::cuda::before::UpkeepChunk> here;
  std::vector<Bytes> keys;
  std::vector<std::unique_ptr<Twins::Twin<float>>> e, factor, score;
  Twins::Twin<int32_t> chosen;  // victim, target
  Twins::Twin<float> told;      // least, similarity
  int32_t merged = 0, from = 0, to = 0;
};

// The slot that may leave with the least score, over all chunks as one row.
int32_t victim_of(const zs::AttentionKernels& cpu, const Head& head) {
  std::vector<float> all;
  for (const auto& chunk : head.here) all.insert(all.end(), chunk.score, chunk.score + chunk.chunk.slots);
  return static_cast<int32_t>(cpu.smallest(all.data(), head.from, head.to));
}

// target_of of policies/zsmerge.h.
int32_t target_of(const zs::AttentionKernels& cpu, const Head& head, int32_t kind, int32_t d, const float* key,
                  float* similarity) {
  std::vector<float> alike;
  for (int32_t c = 0; c < head.merged; ++c) {
    std::vector<float> some(static_cast<size_t>(round_up(head.here[c].chunk.slots, zs::kLane)));
    cpu.similarity(kind, head.here[c].chunk, d, key, some.data());
    alike.insert(alike.end(), some.begin(), some.begin() + head.here[c].chunk.slots);
  }
  size_t best = 0;
  for (size_t j = 1; j < alike.size(); ++j)
    if (alike[j] > alike[best] || (alike[best] != alike[best] && alike[j] == alike[j])) best = j;
  *similarity = alike[best];
  return static_cast<int32_t>(best);
}

void one_case(uint64_t seed) {
  Random random(seed);
  constexpr int32_t kStorages[] = {ZS_F32, ZS_F16, ZS_BF16}, kDims[] = {64, 128, 32, 80, 256, 2, 18};
  zs::cuda::before::UpkeepShape shape{};
  shape.storage = random.of(kStorages);
  shape.similarity = random.upto(ZS_DOT, ZS_COSINE);
  shape.group = random.upto(1, 9);
  shape.d = random.one_in(2) ? random.of(kDims) : 64;
  shape.decay = random.one_in(4) ? 1.0f : static_cast<float>(random.unit());
  const int64_t d = shape.d, group = shape.group;
  const bool coarse = random.one_in(2);  // many equal scores and keys
  const bool wild = random.one_in(8);
  const auto number = [&] { return coarse ? static_cast<float>(random.upto(-2, 2)) : random.element(); };

  Twins twins;
  std::vector<Head> heads(static_cast<size_t>(random.upto(1, 3)));
  std::vector<zs::cuda::before::UpkeepTask> tasks;
  for (Head& head : heads) {
    head.merged = random.one_in(4) ? 0 : random.one_in(4) ? 2 : 1;
    const int32_t count = head.merged + random.upto(1, 4);
    std::vector<zs::cuda::before::UpkeepChunk> there;
    int32_t slots = 0, merged_slots = 0;
    for (int32_t c = 0; c < count; ++c) {
      const bool merged = c < head.merged;
      const int32_t storage = merged ? static_cast<int32_t>(ZS_F32) : shape.storage;
      zs::cuda::before::UpkeepChunk chunk{};
      // A head's chunks are full but for the last of each segment.
      chunk.chunk.slots =
          c + 1 < head.merged || (!merged && c + 1 < count && random.one_in(2)) ? zs::kChunk : slots_of(random);
      chunk.chunk.storage = storage;
      const int64_t whole = round_up(chunk.chunk.slots, zs::kLane);
      Bytes keys(whole * d * (storage == ZS_F32 ? 4 : 2));
      for (int64_t s = 0; s < whole; ++s)
        for (int64_t i = 0; i < d; ++i) put(keys, key_at(s, i, d, storage), number(), storage);
      head.keys.push_back(keys);
      std::vector<float> e(group * whole), factor(group), score(chunk.chunk.slots);
      for (float& x : e) x = coarse ? static_cast<float>(random.upto(0, 1)) : static_cast<float>(random.unit());
      for (float& x : factor) x = coarse ? 0.5f : static_cast<float>(random.unit());
      for (float& x : score) x = coarse ? static_cast<float>(random.upto(0, 3)) : static_cast<float>(random.unit());
      if (wild)
        for (float& x : score)
          if (random.one_in(2)) x = random.one_in(2) ? NAN : std::numeric_limits<float>::infinity();
      head.e.push_back(std::make_unique<Twins::Twin<float>>(twins.of(e)));
      head.factor.push_back(std::make_unique<Twins::Twin<float>>(twins.of(factor)));
      head.score.push_back(std::make_unique<Twins::Twin<float>>(twins.of(score)));
      chunk.e_stride = whole;
      zs::cuda::before::UpkeepChunk twin = chunk;
      twin.chunk.keys = twins.of(keys).device;
      twin.e = head.e.back()->device;
      twin.factor = head.factor.back()->device;
      twin.score = head.score.back()->device;
      there.push_back(twin);
      chunk.e = head.e.back()->host.data();
      chunk.factor = head.factor.back()->host.data();
      chunk.score = head.score.back()->host.data();
      head.here.push_back(chunk);
      slots += chunk.chunk.slots;
      if (merged) merged_slots = slots;
    }
    for (int32_t c = 0; c < count; ++c) head.here[c].chunk.keys = head.keys[c].data();
    head.from = random.upto(merged_slots, slots);
    head.to = random.one_in(8) ? head.from : random.upto(head.from, slots);
    head.chosen = twins.blank_of<int32_t>(2);
    head.told = twins.blank_of<float>(2);
    tasks.push_back({twins.of(there).device, count, head.merged, head.from, head.to, head.chosen.device,
                     head.chosen.device + 1, head.told.device, head.told.device + 1});
  }

  const auto list = twins.of(tasks);
  zs::gpu::vary_order(seed);
  const std::string what = zs::cuda::before::upkeep(list.device, static_cast<int32_t>(tasks.size()), shape, {});
  const auto number_of_case = static_cast<unsigned long long>(seed);
  if (!test::check(what.empty(), "case %llu: %s", number_of_case, what.c_str())) return;

  const zs::AttentionKernels& cpu = *zs::attention_kernels(ZS_ISA_GENERIC);
  for (Head& head : heads) {
    for (size_t c = 0; c < head.here.size(); ++c) {
      const auto& chunk = head.here[c];
      cpu.scores(chunk.e, chunk.e_stride, chunk.factor, shape.group, chunk.chunk.slots, shape.decay, chunk.score);
      std::vector<float> got(static_cast<size_t>(chunk.chunk.slots));
      zs::gpu::download(got.data(), head.score[c]->device, got.size() * sizeof(float));
      test::check(same_bits(got.data(), chunk.score, chunk.chunk.slots), "case %llu: scores are not those of the CPU",
                  number_of_case);
    }
    int32_t victim = -1, target = -1;
    float least = 0, similarity = 0;
    if (head.from < head.to) {
      victim = victim_of(cpu, head);
      int32_t c = 0, slot = victim;
      for (; slot >= head.here[c].chunk.slots; ++c) slot -= head.here[c].chunk.slots;
      least = head.here[c].score[slot];
      if (head.merged) {
        std::vector<float> key(static_cast<size_t>(d));
        for (int64_t i = 0; i < d; ++i)
          key[i] = static_cast<float>(get(head.keys[c], key_at(slot, i, d, shape.storage), shape.storage));
        target = target_of(cpu, head, shape.similarity, shape.d, key.data(), &similarity);
      }
    }
    int32_t chosen[2];
    float told[2];
    zs::gpu::download(chosen, head.chosen.device, sizeof chosen);
    zs::gpu::download(told, head.told.device, sizeof told);
    test::check(chosen[0] == victim && chosen[1] == target, "case %llu: slot %d leaves for %d; the CPU has %d for %d",
                number_of_case, chosen[0], chosen[1], victim, target);
    // Where no candidate is a number, infinity stands for the score of the first.
    if (!std::isnan(least))
      test::check(same_bits(told, &least, 1), "case %llu: least score %g, the CPU has %g", number_of_case,
                  static_cast<double>(told[0]), static_cast<double>(least));
    test::check(same_bits(told + 1, &similarity, 1), "case %llu: similarity %g, the CPU has %g", number_of_case,
                static_cast<double>(told[1]), static_cast<double>(similarity));
  }
}

void refusals() {
  const auto says = [](int32_t d, int32_t storage, const char* what) {
    const std::string said = zs::cuda::before::upkeep(nullptr, 1, {storage, ZS_DOT, 1, d, 1}, {});
    test::check(said.find(what) != std::string::npos, "expected \"%s\", got \"%s\"", what, said.c_str());
  };
  says(258, ZS_F32, "an even headDim of at most 256");
  says(63, ZS_F32, "an even headDim of at most 256");
  says(64, 7, "does not know storage 7");
}

}  // namespace

int main() {
  refusals();
  return run_cases("upkeep", one_case);
}
