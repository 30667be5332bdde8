// Selection, as emulated, beside take_best of policies/regions.h: the same slots in the same order, whatever the order of threads. Scores have
// many equals, both zeros, infinities and what is no number; ranges are empty, of one slot, a warp ± 1, a block ± 1, now and then thousands.
#include "cuda/select.h"

#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "cuda/test/twins.h"
#include "policies/regions.h"

namespace {

using namespace zs::twins;
using test::Random;

float score_of(Random& random, int kind) {
  constexpr float kOdd[] = {0.0f, -0.0f, NAN, INFINITY, -INFINITY, 1e-45f, -1e-45f, 3.4e38f};
  if (kind == 0 || random.one_in(16)) return random.of(kOdd);
  if (kind == 1) return static_cast<float>(random.upto(-2, 2));
  if (kind == 2) return random.element();
  const auto bits = static_cast<uint32_t>(random.next());
  float any;
  std::memcpy(&any, &bits, sizeof any);
  return any;
}

void one_case(uint64_t seed) {
  Random random(seed);
  constexpr int kEdges[] = {0, 1, 2, 31, 32, 33, 511, 512, 513, 1024, 1025};
  Twins twins;
  struct Head {
    std::vector<float> scores;
    Twins::Twin<int32_t> best, rest;
    int32_t from, to;
  };
  std::vector<Head> heads(static_cast<size_t>(random.upto(1, 2)));
  std::vector<zs::cuda::SelectTask> tasks;
  for (Head& head : heads) {
    const int32_t slots = random.one_in(64) ? 5000 : random.one_in(2) ? random.of(kEdges) : random.upto(0, 700);
    head.from = random.one_in(2) ? 0 : random.upto(1, 20);
    head.to = head.from + slots;
    const int32_t count = random.one_in(8) ? 0 : random.one_in(8) ? slots : random.upto(0, slots);
    const int kind = random.upto(0, 3);
    head.scores.resize(static_cast<size_t>(head.to) + 1);
    for (float& x : head.scores) x = score_of(random, kind);
    head.best = twins.blank_of<int32_t>(static_cast<size_t>(count));
    head.rest = twins.blank_of<int32_t>(static_cast<size_t>(slots - count));
    const auto scratch = twins.blank_of<uint32_t>(static_cast<size_t>(zs::cuda::select_scratch(count)));
    tasks.push_back(
        {twins.of(head.scores).device, head.from, head.to, count, head.best.device, head.rest.device, scratch.device});
  }
  const auto list = twins.of(tasks);
  zs::gpu::vary_order(seed);
  const std::string what = zs::cuda::select(list.device, static_cast<int32_t>(tasks.size()), {});
  const auto number = static_cast<unsigned long long>(seed);
  if (!test::check(what.empty(), "case %llu: %s", number, what.c_str())) return;
  for (Head& head : heads) {
    std::vector<int32_t> rest(static_cast<size_t>(head.to - head.from));
    std::iota(rest.begin(), rest.end(), head.from);
    const auto count = static_cast<int32_t>(head.best.host.size());
    const std::vector<int32_t> best = zs::regions::take_best(rest, count, head.scores.data());
    if (count) zs::gpu::download(head.best.host.data(), head.best.device, best.size() * sizeof(int32_t));
    if (!rest.empty()) zs::gpu::download(head.rest.host.data(), head.rest.device, rest.size() * sizeof(int32_t));
    test::check(head.best.host == best, "case %llu: of %d slots the best %d are others than those of take_best", number,
                head.to - head.from, count);
    test::check(head.rest.host == rest, "case %llu: of %d slots without the best %d others are left than by take_best",
                number, head.to - head.from, count);
  }
}

// As long as prompts get.
void long_range() {
  Random random(7);
  const int32_t slots = 131072, count = 13107;
  Twins twins;
  std::vector<float> scores(slots);
  for (float& x : scores) x = static_cast<float>(random.upto(0, 20000)) / 64;
  const auto best = twins.blank_of<int32_t>(count), rest = twins.blank_of<int32_t>(slots - count);
  const auto scratch = twins.blank_of<uint32_t>(zs::cuda::select_scratch(count));
  const auto task = twins.of(std::vector<zs::cuda::SelectTask>{
      {twins.of(scores).device, 0, slots, count, best.device, rest.device, scratch.device}});
  const std::string what = zs::cuda::select(task.device, 1, {});
  if (!test::check(what.empty(), "%d slots: %s", slots, what.c_str())) return;
  std::vector<int32_t> got(count), all(slots);
  std::iota(all.begin(), all.end(), 0);
  zs::gpu::download(got.data(), best.device, got.size() * sizeof(int32_t));
  test::check(got == zs::regions::take_best(all, count, scores.data()), "%d slots: others are the best", slots);
}

}  // namespace

int main() {
  long_range();
  return run_cases("select", one_case);
}
