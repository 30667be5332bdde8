// Upkeep, as emulated, beside the CPU engine's own steps (core/step.cpp, the policies' `evict`) on heads of all shapes, several tokens one
// after another: outputs, scores, who leaves and why, into whom, and all that the head then holds are the same bits, whatever the order of
// threads. Scores have many equals, now and then infinity or no number; queries, too.
#include "cuda/upkeep.h"

#include <limits>
#include <memory>

#include "cuda/test/merge_rule.h"
#include "cuda/test/twin_head.h"
#include "cuda/tuning.h"

namespace {

using namespace zs::twins;
using test::Random;

constexpr int32_t kSteps = 4;

struct Case {
  Random random;
  zs::cuda::UpkeepShape shape{};
  bool coarse, wild, together;
  const zs::AttentionKernels& cpu;
  zs::Policy policy;

  explicit Case(uint64_t seed) : random(seed), cpu(cpu_of(seed)) {
    constexpr int32_t kStorages[] = {ZS_F32, ZS_F16, ZS_BF16}, kDims[] = {64, 128, 32, 80, 256, 2, 18};
    shape.storage = random.of(kStorages);
    shape.group = random.upto(1, zs::cuda::kMostGroup);
    shape.d = random.one_in(2) ? random.of(kDims) : 32;
    shape.decay = random.one_in(4) ? 1.0f : static_cast<float>(random.unit());
    shape.scores = !random.one_in(4);
    shape.by_age = random.one_in(6);
    shape.told = !random.one_in(4);
    shape.merging = merging_of(random, false);
    shape.alpha = random.one_in(2) ? 1.0f : random.element();
    coarse = random.one_in(2);  // many equal scores and keys
    wild = random.one_in(8);
    together = random.one_in(6);
    policy = policy_of(shape.merging, shape.alpha, zs::zsmerge::kPosition);
  }

  float number() { return coarse ? static_cast<float>(random.upto(-2, 2)) : random.element(); }
  float score() {
    if (wild && random.one_in(2)) return random.one_in(2) ? NAN : std::numeric_limits<float>::infinity();
    return coarse ? static_cast<float>(random.upto(0, 3)) : static_cast<float>(random.unit());
  }
  std::vector<float> row() {
    std::vector<float> values(static_cast<size_t>(shape.d));
    for (float& x : values) x = number();
    return values;
  }
};

// Slots of a head that holds what it may. Heads that choose together have the same, and the same positions.
zs_resolved sizes_of(Random& random) {
  const int32_t slots = slots_of(random) + (random.one_in(6) ? zs::kChunk : 0);
  zs_resolved r{};
  r.residual = random.one_in(3) ? 0 : random.one_in(8) ? zs::kChunk + slots_of(random) : slots_of(random);
  r.budget = slots + r.residual;
  r.recent = random.one_in(3) ? random.upto(0, std::min(slots, 2)) : random.upto(0, slots);
  r.sink = random.one_in(2) ? 0 : random.upto(0, slots - r.recent);
  r.context = slots - r.recent - r.sink;
  return r;
}

// A head that holds what it may.
void fill(Case& c, TwinHead& twin, const zs_resolved& sizes) {
  Random& random = c.random;
  zs::Head& head = twin.head = zs::Head({c.shape.d, c.shape.storage}, false);
  const zs_resolved r = head.sizes = sizes;
  const int32_t slots = r.budget - r.residual;
  if (r.residual) {
    zs::Segment& merged = head.add_merged(r.residual);
    for (int32_t j = 0; j < r.residual; ++j) {
      head.seed(merged, j, c.row().data(), c.row().data(), c.score(), j);
      if (random.one_in(2)) merged.set_weight(j, random.upto(1, random.one_in(4) ? 100000 : 9), c.shape.alpha);
    }
  }
  std::vector<int32_t> positions(static_cast<size_t>(slots));
  std::iota(positions.begin(), positions.end(), 0);
  for (size_t i = positions.size(); i > 1; --i) std::swap(positions[i - 1], positions[random.next() % i]);
  head.open().reserve(slots);
  for (const int32_t position : positions) {
    head.append(c.row().data(), c.row().data(), position);
    head.open().scores[static_cast<size_t>(head.open().slots() - 1)] = c.score();
  }
  if (r.recent > 1) head.ring = random.upto(r.budget - r.recent + 1, r.budget - 1);
  // As many may be pinned as leave one that is not.
  const int32_t candidates = slots - r.recent + 1 - r.sink;
  if (random.one_in(3)) {
    positions.resize(static_cast<size_t>(std::min(random.upto(0, candidates - 1), slots)));
    head.pinned = positions;
    std::sort(head.pinned.begin(), head.pinned.end());
  }
}

zs::HeadWork work_of(const Case& c, zs::Head& head, zs::Upkeep& scratch, std::vector<zs::Event>& events) {
  zs::HeadWork work{
      &head,   &c.policy, &c.cpu, &scratch, 0, 1, 0, c.shape.group, 1, true, !c.shape.by_age, head.open().scores.data(),
      nullptr, 0,         &events};
  return work;
}

// What the CPU's events say of a step.
zs::Found told_by(const Case& c, const std::vector<zs::Event>& events, int32_t newest_slot, float newest) {
  zs::Found found = {-1, -1, newest, zs::kNone, zs::kNone, zs::kNone, zs::kNone, zs::kNone};
  for (const zs::Event& event : events) {
    if (event.action == ZS_LEAVE) found.leaver = event.score;
    if (event.action != ZS_MERGE && event.action != ZS_DROP) continue;
    found.leaving = event.slot < 0 ? newest_slot : event.slot;
    found.score = event.score;
    if (c.shape.told) found.threshold = event.threshold;
    if (event.action != ZS_MERGE) continue;
    found.target = event.target;
    found.similarity = event.similarity;
    found.target_score = event.target_score;
  }
  return found;
}

// One token in one head, up to its scores by the CPU, and what the launch is to do.
void attend(Case& c, Twins& twins, TwinHead& twin, int32_t position, bool full) {
  Random& random = c.random;
  zs::Head& head = twin.head;
  const std::string what = twin.append(twins, c.row().data(), c.row().data(), position, c.shape);
  test::check(what.empty(), "append: %s", what.c_str());
  const bool flat = c.coarse && random.one_in(2);
  for (float& x : twin.q.host) x = flat ? 0 : 4 * random.element();
  if (c.wild && random.one_in(4)) twin.q.host[random.next() % twin.q.host.size()] = random.one_in(2) ? NAN : INFINITY;
  twin.attend(c.cpu, c.shape);

  const zs_resolved& r = head.sizes;
  zs::cuda::UpkeepTask& task = twin.task;
  const int32_t before = head.first_open(), slots = head.open().slots();
  task.from = full ? before + r.sink : 0;
  task.to = full ? before + std::min(r.budget - r.recent - r.residual + 1, slots) : 0;
  task.ring_first = r.budget - r.recent + 1;
  task.ring_end = r.budget;
  twin.finish(c.cpu, c.shape);
}

// Somebody leaves, by the CPU. → what is to be found.
zs::Found leave(const Case& c, zs::Head& head, const float* choice, bool full) {
  const int32_t newest = head.open().slots() - 1;
  const float score = head.open().scores[static_cast<size_t>(newest)];
  std::vector<zs::Event> events;
  events.reserve(8);
  zs::Upkeep scratch;
  scratch.key.need(c.shape.d);
  scratch.value.need(c.shape.d);
  scratch.similarities.need(zs::round_up(head.residual(), zs::kLane));
  zs::HeadWork work = work_of(c, head, scratch, events);
  if (choice) work.choice = choice;
  if (full) zs::zsmerge::evict(work);
  zs::Found found = told_by(c, events, newest, score);
  if (found.target >= 0) found.leaving -= head.sizes.residual;
  return found;
}

// Events know of no scores where choices go by age; the heads that follow have them.
bool same(const zs::Found& a, const zs::Found& b, bool by_age) {
  return a.leaving == b.leaving && a.target == b.target && same_bits(&a.newest, &b.newest, 1) &&
         same_bits(&a.threshold, &b.threshold, 2) &&
         (by_age || (same_bits(&a.score, &b.score, 1) && same_bits(&a.target_score, &b.target_score, 2)));
}

void one_case(uint64_t seed) {
  Case c(seed);
  const auto number = static_cast<unsigned long long>(seed);
  Twins twins;
  std::vector<std::unique_ptr<TwinHead>> heads;
  std::vector<bool> full;
  const zs_resolved sizes = sizes_of(c.random);
  const bool all_full = c.together && !c.random.one_in(6);
  for (int32_t count = c.random.upto(1, c.together ? 5 : 3); count; --count) {
    full.push_back(c.together ? all_full : !c.random.one_in(6));
    heads.push_back(std::make_unique<TwinHead>());
    fill(c, *heads.back(), c.together ? sizes : sizes_of(c.random));
    heads.back()->mirror(twins, full.back() ? 1 : kSteps, c.shape);
    heads.back()->task.found = twins.of(std::vector<zs::Found>(1)).device;
  }
  const int32_t count = static_cast<int32_t>(heads.size()), slots = heads[0]->head.open().slots();
  // The sum of several heads' scores; one alone goes by its own.
  const bool sums = c.together && count > 1;
  std::vector<float> sum(static_cast<size_t>(slots + kSteps));
  const auto choice = twins.of(sum);
  if (sums)
    for (auto& head : heads) head->task.choice = choice.device;
  const auto list = twins.of(std::vector<zs::cuda::UpkeepTask>(heads.size()));
  const auto choosing = twins.of(std::vector<zs::cuda::ChoiceTask>{{list.device, count, choice.device}});
  zs::gpu::vary_order(seed);
  const int32_t steps = c.random.upto(1, kSteps);
  for (int32_t step = 0; step < steps; ++step) {
    for (size_t h = 0; h < heads.size(); ++h) {
      attend(c, twins, *heads[h], 1000 + step, full[h]);
      to_device(list.device + h, heads[h]->task);
    }
    for (size_t h = 0; sums && h < heads.size(); ++h)
      for (int32_t slot = 0; slot < heads[h]->head.open().slots(); ++slot) {
        const float score = heads[h]->head.open().scores[static_cast<size_t>(slot)];
        float& at = sum[static_cast<size_t>(slot)];
        at = h ? at + score : score;
      }
    std::vector<zs::Found> expected;
    for (size_t h = 0; h < heads.size(); ++h)
      expected.push_back(leave(c, heads[h]->head, sums ? sum.data() : nullptr, full[h]));
    const auto launch = [&](zs::cuda::UpkeepPart part) {
      c.shape.part = part;
      return zs::cuda::upkeep(list.device, count, c.shape, {});
    };
    std::string what = launch(sums ? zs::cuda::UpkeepPart::kScores : zs::cuda::UpkeepPart::kAll);
    if (what.empty() && sums)
      what = zs::cuda::sum_scores(choosing.device, 1, heads[0]->task.attention.chunks - heads[0]->task.merged, {});
    if (what.empty() && sums) what = launch(zs::cuda::UpkeepPart::kLeaving);
    if (!test::check(what.empty(), "case %llu: %s", number, what.c_str())) return;
    for (size_t h = 0; h < heads.size(); ++h) {
      const zs::Found found = of_device(heads[h]->task.found), &wanted = expected[h];
      const std::string differs = heads[h]->difference(c.shape);
      const bool held = test::check(
          same(found, wanted, c.shape.by_age),
          "case %llu, step %d, head %d: slot %d (score %g, threshold %g) leaves for %d (%g, score %g), newest %g, "
          "leaver %g; the CPU has %d (%g, %g) for %d (%g, %g), %g, %g",
          number, step, static_cast<int>(h), found.leaving, static_cast<double>(found.score),
          static_cast<double>(found.threshold), found.target, static_cast<double>(found.similarity),
          static_cast<double>(found.target_score), static_cast<double>(found.newest), static_cast<double>(found.leaver),
          wanted.leaving, static_cast<double>(wanted.score), static_cast<double>(wanted.threshold), wanted.target,
          static_cast<double>(wanted.similarity), static_cast<double>(wanted.target_score),
          static_cast<double>(wanted.newest), static_cast<double>(wanted.leaver));
      const bool equal = test::check(differs.empty(), "case %llu, step %d, head %d: %s are not those of the CPU",
                                     number, step, static_cast<int>(h), differs.c_str());
      if (!held || !equal) return;
    }
  }
}

}  // namespace

int main() {
  refusals([](int32_t group, int32_t d, int32_t storage) {
    zs::cuda::UpkeepShape shape{};
    shape.storage = storage;
    shape.group = group;
    shape.d = d;
    return zs::cuda::upkeep(nullptr, 1, shape, {});
  });
  return run_cases("upkeep", one_case);
}
