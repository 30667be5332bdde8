// A prompt's first compression, as emulated, beside the CPU engine's own (policies/zsmerge.h): who is kept and in which order, what slots
// hold, who joins which merged slot and how much they are alike are the same bits, whatever the order of threads. Scores have many equals,
// now and then infinity or no number; heads go by their own scores, by those of several heads, or by age.
#include "cuda/compress.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>

#include "cuda/select.h"
#include "cuda/test/merge_rule.h"
#include "cuda/test/twin_pages.h"
#include "cuda/tuning.h"

namespace {

using namespace zs::twins;
using test::Random;
using zs::cuda::CompressTask;

struct Case {
  Random random;
  zs::cuda::CompressShape shape{};
  bool coarse, wild, summed;
  const zs::AttentionKernels& cpu;
  zs::Policy policy;

  explicit Case(uint64_t seed) : random(seed), cpu(cpu_of(seed)) {
    constexpr int32_t kStorages[] = {ZS_F32, ZS_F16, ZS_BF16}, kDims[] = {64, 128, 32, 80, 256, 2, 18};
    shape.storage = random.of(kStorages);
    shape.d = random.one_in(4) ? random.of(kDims) : 16;
    shape.by_similarity = random.one_in(2);
    shape.by_age = random.one_in(6);
    shape.merging = merging_of(random, shape.by_age);
    coarse = random.one_in(2);
    wild = random.one_in(8);
    summed = random.one_in(4);
    policy = policy_of(shape.merging, 1, shape.by_similarity ? zs::zsmerge::kSimilarity : zs::zsmerge::kPosition);
  }

  float number() { return coarse ? static_cast<float>(random.upto(-2, 2)) : random.element(); }
  float score() {
    if (wild && random.one_in(4)) return random.one_in(2) ? NAN : std::numeric_limits<float>::infinity();
    return coarse ? static_cast<float>(random.upto(0, 3)) : static_cast<float>(random.unit());
  }
};

// Regions of a prompt of which at least one token more than they hold has to leave. → the prompt's tokens.
int32_t sizes_of(Random& random, zs_resolved& r) {
  const auto few = [&] { return random.one_in(2) ? random.upto(0, 3) : random.upto(0, 40); };
  r.sink = few(), r.recent = few(), r.context = random.one_in(16) ? random.upto(250, 270) : few();
  r.residual = random.one_in(4) ? 0 : random.one_in(40) ? random.upto(60, 70) : random.upto(1, 9);
  r.budget = r.sink + r.recent + r.context + r.residual;
  return r.budget + (random.one_in(32) ? random.upto(200, 600) : random.one_in(16) ? slots_of(random) : few() + 1);
}

// One head on both sides.
struct Both {
  zs::Head head;  // the prompt, then what the CPU has made of it
  std::vector<float> choice;
  std::vector<zs::Event> events;
  CompressTask task{};
  zs::cuda::SelectTask kept{};
  std::vector<zs::KeyChunk> open, merged;  // in device memory
};

void fill(Case& c, Both& both) {
  zs_resolved r{};
  const int32_t tokens = sizes_of(c.random, r);
  both.head = zs::Head({c.shape.d, c.shape.storage}, false);
  both.head.sizes = r;
  both.head.reserve(tokens);
  std::vector<float> key(static_cast<size_t>(c.shape.d)), value(key.size());
  for (int32_t t = 0; t < tokens; ++t) {
    for (float& x : key) x = c.number();
    for (float& x : value) x = c.number();
    both.head.append(key.data(), value.data(), t);
    both.head.open().scores[static_cast<size_t>(t)] = c.score();
    both.choice.push_back(c.summed ? c.score() : both.head.open().scores[static_cast<size_t>(t)]);
  }
}

// The prompt in device memory, room for what becomes of it, and who is kept: to be selected, or the newest.
void mirror(const Case& c, Twins& twins, Both& both) {
  const zs_resolved& r = both.head.sizes;
  const zs::Segment& prompt = both.head.open();
  CompressTask& task = both.task;
  task.count = prompt.slots();
  task.sink = r.sink, task.context = r.context, task.recent = r.recent, task.residual = r.residual;
  task.tokens = twins.of(mirror_pages(twins, prompt, task.count)).device;
  both.open = mirror_pages(twins, zs::Segment(prompt.pages.geometry()), r.budget - r.residual);
  both.merged = mirror_pages(twins, zs::Segment(zs::Geometry{c.shape.d, ZS_F32}), r.residual);
  task.open = twins.of(both.open).device;
  task.merged = twins.of(both.merged).device;
  task.scores = twins.of(std::vector<float>(prompt.scores.begin(), prompt.scores.begin() + task.count)).device;
  const int32_t last = task.count - r.recent, seeds = c.shape.by_similarity ? r.residual : 0, taken = r.context + seeds;
  task.rest_count = last - r.sink - taken;
  task.weights = twins.blank_of<float>(static_cast<size_t>(seeds)).device;
  task.merged_scores = twins.blank_of<float>(static_cast<size_t>(seeds)).device;
  task.targets = twins.blank_of<int32_t>(static_cast<size_t>(task.rest_count)).device;
  task.similarities = twins.blank_of<float>(static_cast<size_t>(task.rest_count)).device;
  task.order = twins.blank_of<int32_t>(static_cast<size_t>(seeds)).device;
  if (c.shape.by_age) {
    std::vector<int32_t> best(static_cast<size_t>(taken)), rest(static_cast<size_t>(task.rest_count));
    std::iota(best.begin(), best.begin() + r.context, last - r.context);
    std::iota(best.begin() + r.context, best.end(), r.sink);
    std::iota(rest.begin(), rest.end(), r.sink + seeds);
    int32_t* const there = twins.of(best).device;
    task.best = there;
    task.seeds = there + r.context;
    task.rest = twins.of(rest).device;
    return;
  }
  const auto best = twins.blank_of<int32_t>(static_cast<size_t>(taken)),
             rest = twins.blank_of<int32_t>(static_cast<size_t>(task.rest_count));
  const auto scratch = twins.blank_of<uint32_t>(static_cast<size_t>(zs::cuda::select_scratch(taken)));
  both.kept = {twins.of(both.choice).device, r.sink, last, taken, best.device, rest.device, scratch.device};
  task.best = best.device;
  task.seeds = best.device + r.context;
  task.rest = rest.device;
}

void compress_here(const Case& c, Both& both) {
  zs::Upkeep scratch;
  scratch.key.need(c.shape.d);
  scratch.value.need(c.shape.d);
  scratch.similarities.need(zs::round_up(both.head.sizes.residual, zs::kLane));
  zs::HeadWork work{&both.head, &c.policy, &c.cpu,          &scratch,           0,       1, 0,           1,
                    0,          false,     !c.shape.by_age, both.choice.data(), nullptr, 0, &both.events};
  zs::zsmerge::compress(work);
}

// What differs between the two; empty = nothing.
std::string difference(const Case& c, const Both& both) {
  const zs::Segment& open = both.head.open();
  for (int32_t chunk = 0; chunk < open.chunks(); ++chunk)
    if (const std::string what = page_difference(both.open[static_cast<size_t>(chunk)], open, chunk); !what.empty())
      return what + " of those kept";
  const CompressTask& task = both.task;
  const std::vector<int32_t> best = of_device(task.best, task.context);
  for (int32_t i = 0; i < task.context; ++i)
    if (open.positions[static_cast<size_t>(task.sink + i)] != best[static_cast<size_t>(i)]) return "positions";
  if (!task.residual) return "";
  const zs::Segment& merged = both.head.segments[0];
  for (int32_t chunk = 0; chunk < merged.chunks(); ++chunk)
    if (const std::string what = page_difference(both.merged[static_cast<size_t>(chunk)], merged, chunk); !what.empty())
      return what + " of merged slots";
  if (!c.shape.by_similarity) return "";
  if (of_device(task.seeds, task.residual) != std::vector<int32_t>(merged.first.begin(), merged.first.end()))
    return "seeds";
  if (!same_bits(of_device(task.weights, task.residual).data(), merged.weights.data(), task.residual)) return "weights";
  if (!same_bits(of_device(task.merged_scores, task.residual).data(), merged.scores.data(), task.residual))
    return "scores";
  const std::vector<int32_t> targets = of_device(task.targets, task.rest_count);
  const std::vector<float> alike = of_device(task.similarities, task.rest_count);
  size_t next = 0;
  for (const zs::Event& event : both.events) {
    if (event.action != ZS_MERGE) continue;
    if (event.target != targets[next]) return "targets";
    if (!same_bits(&event.similarity, &alike[next], 1)) return "similarities";
    ++next;
  }
  return next == targets.size() ? "" : "how many join";
}

void one_case(uint64_t seed) {
  Case c(seed);
  Twins twins;
  std::vector<std::unique_ptr<Both>> heads;
  std::vector<CompressTask> tasks;
  std::vector<zs::cuda::SelectTask> choosing;
  int32_t joining = 0;
  for (int32_t count = c.random.upto(1, 2); count; --count) {
    heads.push_back(std::make_unique<Both>());
    Both& both = *heads.back();
    fill(c, both);
    mirror(c, twins, both);
    tasks.push_back(both.task);
    choosing.push_back(both.kept);
    joining = std::max(joining, both.task.rest_count);
    c.shape.slots = std::max(c.shape.slots, both.task.sink + both.task.context + both.task.recent);
    c.shape.residual = std::max(c.shape.residual, both.task.residual);
    compress_here(c, both);
  }
  const int32_t count = static_cast<int32_t>(heads.size());
  const auto* const list = twins.of(tasks).device;
  zs::gpu::vary_order(seed);
  std::string what;
  if (!c.shape.by_age) what = zs::cuda::select(twins.of(choosing).device, count, {});
  if (what.empty() && c.shape.slots) what = zs::cuda::keep_tokens(list, count, c.shape, {});
  if (what.empty() && c.shape.residual && !c.shape.by_similarity) what = zs::cuda::merge_runs(list, count, c.shape, {});
  const int32_t step = c.random.one_in(2) ? joining : c.random.upto(1, joining);
  for (int32_t begin = 0; what.empty() && c.shape.residual && c.shape.by_similarity && begin < joining; begin += step)
    what = zs::cuda::merge_alike(list, count, c.shape, begin, begin + step, {});
  const auto number = static_cast<unsigned long long>(seed);
  if (!test::check(what.empty(), "case %llu: %s", number, what.c_str())) return;
  for (size_t h = 0; h < heads.size(); ++h) {
    const std::string differs = difference(c, *heads[h]);
    if (!test::check(differs.empty(), "case %llu, head %d: %s are not those of the CPU", number, static_cast<int>(h),
                     differs.c_str()))
      return;
  }
}

}  // namespace

int main() {
  struct Refused {
    int32_t d, storage;
    const char* what;
  };
  for (const auto launch : {zs::cuda::keep_tokens, zs::cuda::merge_runs})
    for (const Refused& one : {Refused{63, ZS_F32, "an even headDim"}, Refused{258, ZS_F32, "at most 256"},
                               Refused{64, 7, "does not know storage 7"}}) {
      zs::cuda::CompressShape shape{};
      shape.d = one.d, shape.storage = one.storage;
      const std::string what = launch(nullptr, 1, shape, {});
      test::check(what.find(one.what) != std::string::npos, "expected \"%s\", got \"%s\"", one.what, what.c_str());
    }
  return run_cases("compress", one_case);
}
