// Scores by history (spec 2, 4, 5b), and what leaves: into which residual slot (spec 4, 5, 5c). What two slots become: merging.cpp.
#include "reference/zsmerge.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace reference {

Resolved ZsMerge::resolve(double budget, int64_t tokens) const {
  Options with = options_;
  with.budget = budget;
  return reference::resolve(with, tokens);
}

// s <- lambda^rows s + the sum of lambda^(rows - 1 - row) p, over the query heads.
void ZsMerge::score(At, const Resolved& sizes, const Seen& seen, std::vector<Slot*>& slots, bool prompt) const {
  if (!options_.history) return;
  const int64_t rows = seen.rows();
  const double group = static_cast<double>(seen.prob.size());
  std::vector<double> gain(slots.size()), error(slots.size());
  for (size_t h = 0; h < seen.prob.size(); ++h)
    for (int64_t row = prompt ? std::max<int64_t>(0, rows - sizes.window) : 0; row < rows; ++row) {
      const std::vector<double>& prob = seen.prob[h][static_cast<size_t>(row)];
      const double faded = std::pow(options_.decay, static_cast<double>(rows - 1 - row));
      for (size_t i = 0; i < prob.size(); ++i) {
        gain[i] += faded * prob[i];
        error[i] +=
            faded * seen.error[h][static_cast<size_t>(row)][i] + kUnit * (2 * faded * prob[i] + gain[i] / group);
      }
    }
  const double faded = std::pow(options_.decay, static_cast<double>(rows));
  for (size_t i = 0; i < slots.size(); ++i) {
    Slot& slot = *slots[i];
    const double before = faded * slot.score;
    slot.score_error = faded * slot.score_error + kUnit * static_cast<double>(1 + (rows > 1 ? rows : 0)) * before;
    slot.score = before + gain[i];
    slot.score_error += error[i] + kUnit * slot.score;
  }
}

std::vector<std::vector<Slot>> ZsMerge::leave(Cache& cache, const std::vector<At>& group, Tokens rest,
                                              int64_t step) const {
  const int64_t residual = cache.head(group[0]).sizes.residual;
  if (residual == 0) return Regions::leave(cache, group, rest, step);
  std::vector<std::vector<Slot>> made;
  if (options_.init == Init::kPosition) {
    for (At at : group) made.push_back(in_groups(cache, at, rest, step));
    return made;
  }
  Tokens seeds;
  if (options_.history) {
    for (int64_t j = 0; j < residual; ++j) seeds.push_back(take_best(cache, group, rest, Choice::kSeed, j, step));
    std::sort(seeds.begin(), seeds.end());
  } else {
    seeds.assign(rest.begin(), rest.begin() + residual);
    rest.erase(rest.begin(), rest.begin() + residual);
  }
  for (At at : group) made.push_back(by_similarity(cache, at, seeds, rest, step));
  return made;
}

// Consecutive groups as equal as possible, the first ones longer.
std::vector<Slot> ZsMerge::in_groups(Cache& cache, At at, const Tokens& rest, int64_t step) const {
  const Head& head = cache.head(at);
  const size_t count = static_cast<size_t>(head.sizes.residual);
  std::vector<Slot> made;
  size_t next = 0;
  for (size_t j = 0; j < count; ++j) {
    const size_t size = rest.size() / count + (j < rest.size() % count ? 1 : 0);
    std::vector<Candidate> members;
    for (size_t i = next; i < next + size; ++i) {
      const Slot& token = head.slots[rest[i]];
      members.push_back(
          {static_cast<int>(i), options_.history ? token.score : 0, options_.history ? token.score_error : 0, &token});
    }
    // Where one member gives key or value, it is chosen before any is merged.
    const bool medoid = options_.aggregate == Aggregate::kMedoid;
    const bool chosen = medoid || options_.fixed_keys || options_.fixed_values;
    const Slot* const best = chosen ? &head.slots[rest[static_cast<size_t>(cache.decide(
                                          Choice::kMember, step, at, static_cast<int64_t>(j), -1, members))]]
                                    : nullptr;
    Slot slot = head.slots[rest[next]];
    for (size_t i = 1; i < size; ++i) {
      const Slot& moved = head.slots[rest[next + i]];
      cache.note(step, at, Action::kMerge, moved, was_in(head, rest[next + i], step), static_cast<int64_t>(j),
                 std::numeric_limits<double>::quiet_NaN(), slot.weight);
      merge(cache, at, static_cast<int64_t>(j), step, slot, moved, !medoid);
    }
    if (medoid || options_.fixed_keys) slot.key = best->key, slot.key_error = best->key_error;
    if (medoid || options_.fixed_values) slot.value = best->value;
    next += size;
    made.push_back(slot);
  }
  return made;
}

std::vector<Slot> ZsMerge::by_similarity(Cache& cache, At at, const Tokens& seeds, const Tokens& rest,
                                         int64_t step) const {
  const Head& head = cache.head(at);
  std::vector<Slot> made;
  for (size_t t : seeds) made.push_back(head.slots[t]);
  for (size_t t : rest) {
    double alike;
    const int j = target_of(cache, at, made, head.slots[t], step, &alike);
    Slot& slot = made[static_cast<size_t>(j)];
    cache.note(step, at, Action::kMerge, head.slots[t], was_in(head, t, step), j, alike, slot.weight);
    merge(cache, at, j, step, slot, head.slots[t], true);
  }
  return made;
}

void ZsMerge::leave(Cache& cache, At at, int victim, int64_t step) const {
  Head& head = cache.head(at);
  if (head.sizes.residual == 0) return Regions::leave(cache, at, victim, step);
  const Slot& moved = head.slots[static_cast<size_t>(victim)];
  const std::vector<Slot> residual(head.slots.begin(), head.slots.begin() + head.sizes.residual);
  double alike;
  const int target = target_of(cache, at, residual, moved, step, &alike);
  Slot& into = head.slots[static_cast<size_t>(target)];
  cache.note(step, at, Action::kMerge, moved, victim, target, alike, into.weight);
  merge(cache, at, target, step, into, moved, true);
}

}  // namespace reference
