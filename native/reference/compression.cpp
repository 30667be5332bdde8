// Which token leaves, where it goes and what becomes of it: spec 4 (a prompt), 5 (a step), 5a (underfull), 5c (init,
// history off).
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "reference/zsmerge.h"

namespace reference {

namespace {
constexpr double kUnit = 5.9604644775390625e-8;

double norm(const std::vector<double>& x) {
  double sum = 0;
  for (double e : x) sum += e * e;
  return std::sqrt(sum);
}
double size(const std::vector<double>& x) {
  double sum = 0;
  for (double e : x) sum += std::fabs(e);
  return sum;
}
double largest(const std::vector<double>& x) {
  double most = 0;
  for (double e : x) most = std::max(most, std::fabs(e));
  return most;
}
}  // namespace

// The largest value, ties to the first in `ids` (which ascend); the guide may answer where float32 cannot tell.
int Cache::decide(Choice choice, int64_t step, int layer, int kv_head, int64_t slot, int position,
                  const std::vector<int>& ids, const std::vector<double>& values, const std::vector<double>& errors) {
  size_t best = 0, second = 0;
  for (size_t i = 1; i < ids.size(); ++i)
    if (values[i] > values[best]) best = i;
  double margin = std::numeric_limits<double>::infinity();
  std::vector<int> near;
  for (size_t i = 0; i < ids.size(); ++i) {
    const double gap = values[best] - values[i];
    const double rounding = errors[best] + errors[i];
    // Without any error a tie is exact, and the first is right.
    if (i == best || (rounding > 0 && gap <= rounding)) near.push_back(ids[i]);
    if (i != best && gap < margin) {
      margin = gap;
      second = i;
    }
  }
  if (!guide) return ids[best];
  const double bound = ids.size() > 1 ? errors[best] + errors[second] : 0;
  const int answer = guide({choice, step, layer, kv_head, slot, position, ids[best], margin, bound, near});
  if (std::find(near.begin(), near.end(), answer) == near.end())
    throw std::runtime_error("answer " + std::to_string(answer) + " is not within rounding of " +
                             std::to_string(ids[best]));
  return answer;
}

void Cache::note(int64_t step, int layer, int kv_head, Action action, const Slot& about, int64_t slot, int64_t target,
                 double similarity, double target_weight) {
  events_.push_back({step, layer, kv_head, action, about.origins[0], slot, target, options_.history ? about.score : NAN,
                     similarity, about.weight, target_weight});
}

double Cache::similarity(const Slot& a, const Slot& b, double* error) const {
  double dot = 0, products = 0, squares = 0, differences = 0;
  for (size_t i = 0; i < a.key.size(); ++i) {
    const double product = a.key[i] * b.key[i], difference = a.key[i] - b.key[i];
    dot += product;
    products += std::fabs(product);
    squares += difference * difference;
    differences += std::fabs(difference);
  }
  const double moved = a.key_error * size(b.key) + b.key_error * size(a.key);
  if (options_.similarity == Similarity::kDot) {
    *error = rounding() * products + moved;
    return dot;
  }
  if (options_.similarity == Similarity::kL2) {
    *error = (rounding() + 2 * kUnit) * squares + 2 * (a.key_error + b.key_error) * differences;
    return -squares;
  }
  const double lengths = norm(a.key) * norm(b.key);
  *error = 0;
  if (lengths == 0) return -1;
  *error = (rounding() * products + moved) / lengths + 2 * rounding();
  return dot / lengths;
}

// into <- mean by weight; the merged slot's own origins come first.
void Cache::merge(Slot& into, const Slot& moved) const {
  const double weight = into.weight + moved.weight;
  into.key_error = (into.weight * into.key_error + moved.weight * moved.key_error) / weight +
                   2 * kUnit * std::max(largest(into.key), largest(moved.key));
  for (size_t i = 0; i < into.key.size(); ++i) {
    into.key[i] = (into.weight * into.key[i] + moved.weight * moved.key[i]) / weight;
    into.value[i] = (into.weight * into.value[i] + moved.weight * moved.value[i]) / weight;
  }
  into.weight = weight;
  if (options_.score_merge == ScoreMerge::kMax) {
    into.score_error = std::max(into.score_error, moved.score_error);
    into.score = std::max(into.score, moved.score);
  } else {
    into.score += moved.score;
    into.score_error += moved.score_error + kUnit * into.score;
  }
  into.origins.insert(into.origins.end(), moved.origins.begin(), moved.origins.end());
}

int Cache::target_of(int layer, int kv_head, const std::vector<Slot>& residual, const Slot& moved, int64_t step,
                     double* best) {
  std::vector<int> ids;
  std::vector<double> values, errors;
  for (size_t j = 0; j < residual.size(); ++j) {
    double error;
    ids.push_back(static_cast<int>(j));
    values.push_back(similarity(residual[j], moved, &error));
    errors.push_back(error);
  }
  const int target = decide(Choice::kTarget, step, layer, kv_head, -1, moved.origins[0], ids, values, errors);
  *best = values[static_cast<size_t>(target)];
  return target;
}

// Spec 4: `tokens` (more than budget, in order of position, all of weight 1) become the first compressed cache.
void Cache::compress(int layer, int kv_head, std::vector<Slot> tokens, int64_t step) {
  const size_t n = tokens.size(), sinks = static_cast<size_t>(resolved_.sink),
               keep = static_cast<size_t>(resolved_.context);
  const size_t recent = static_cast<size_t>(resolved_.recent), merged = static_cast<size_t>(resolved_.residual);
  const bool on_arrival = step > 0;  // the last token was not in the cache yet, the others were
  std::vector<size_t> candidates;
  for (size_t t = sinks; t < n - recent; ++t) candidates.push_back(t);

  const auto take_best = [&](Choice choice, int64_t slot) {
    std::vector<int> ids;
    std::vector<double> values, errors;
    for (size_t t : candidates) {
      ids.push_back(tokens[t].origins[0]);
      values.push_back(tokens[t].score);
      errors.push_back(tokens[t].score_error);
    }
    const int chosen = decide(choice, step, layer, kv_head, slot, -1, ids, values, errors);
    const size_t at = static_cast<size_t>(std::find(ids.begin(), ids.end(), chosen) - ids.begin());
    const size_t token = candidates[at];
    candidates.erase(candidates.begin() + static_cast<int64_t>(at));
    return token;
  };

  std::vector<Slot> context, residual;
  if (options_.history) {
    for (size_t i = 0; i < keep; ++i)
      context.push_back(tokens[take_best(Choice::kKeep, static_cast<int64_t>(merged + sinks + i))]);
  } else {  // the newest stay, in order of position
    for (size_t i = candidates.size() - keep; i < candidates.size(); ++i) context.push_back(tokens[candidates[i]]);
    candidates.resize(candidates.size() - keep);
  }

  const auto was_in = [&](size_t t) { return on_arrival && t + 1 < n ? static_cast<int64_t>(t) : int64_t{-1}; };
  Head& head = heads_[static_cast<size_t>(layer * shape_.kv_heads + kv_head)];
  if (merged == 0) {
    for (size_t t : candidates) {
      note(step, layer, kv_head, Action::kDrop, tokens[t], was_in(t), -1, NAN, 0);
      head.dropped += tokens[t].weight;
    }
  } else if (options_.init == Init::kPosition) {
    const size_t share = candidates.size() / merged, longer = candidates.size() % merged;
    size_t next = 0;
    for (size_t j = 0; j < merged; ++j) {
      const size_t count = share + (j < longer ? 1 : 0);
      Slot slot = tokens[candidates[next]];
      for (size_t i = 1; i < count; ++i) {
        const Slot& moved = tokens[candidates[next + i]];
        note(step, layer, kv_head, Action::kMerge, moved, was_in(candidates[next + i]), static_cast<int64_t>(j), NAN,
             slot.weight);
        merge(slot, moved);
      }
      next += count;
      residual.push_back(slot);
    }
  } else {
    std::vector<size_t> seeds;
    if (options_.history) {
      for (size_t j = 0; j < merged; ++j) seeds.push_back(take_best(Choice::kSeed, static_cast<int64_t>(j)));
      std::sort(seeds.begin(), seeds.end());
    } else {
      seeds.assign(candidates.begin(), candidates.begin() + static_cast<int64_t>(merged));
      candidates.erase(candidates.begin(), candidates.begin() + static_cast<int64_t>(merged));
    }
    for (size_t t : seeds) residual.push_back(tokens[t]);
    for (size_t t : candidates) {
      double alike;
      const int j = target_of(layer, kv_head, residual, tokens[t], step, &alike);
      Slot& slot = residual[static_cast<size_t>(j)];
      note(step, layer, kv_head, Action::kMerge, tokens[t], was_in(t), j, alike, slot.weight);
      merge(slot, tokens[t]);
    }
  }

  head.slots = residual;
  for (size_t t = 0; t < sinks; ++t) head.slots.push_back(tokens[t]);
  head.slots.insert(head.slots.end(), context.begin(), context.end());
  for (size_t t = n - recent; t < n; ++t) head.slots.push_back(tokens[t]);
  head.compressed = true;
  head.ring = resolved_.recent > 1 ? resolved_.budget - resolved_.recent + 1 : -1;
  for (size_t s = 0; s < head.slots.size(); ++s)
    if (!on_arrival || head.slots[s].origins[0] == tokens[n - 1].origins[0])
      note(step, layer, kv_head, Action::kAdmit, head.slots[s], static_cast<int64_t>(s), -1, NAN, 0);
}

// Steps 3 and 4 of spec 5 for a token whose attention is done.
void Cache::enter(int layer, int kv_head, Slot token) {
  Head& head = heads_[static_cast<size_t>(layer * shape_.kv_heads + kv_head)];
  const int64_t step = steps_[static_cast<size_t>(layer)];
  if (options_.full || static_cast<int64_t>(head.slots.size()) < resolved_.budget) {
    note(step, layer, kv_head, Action::kAdmit, token, static_cast<int64_t>(head.slots.size()), -1, NAN, 0);
    head.slots.push_back(token);
  } else if (!head.compressed && options_.underfull == Underfull::kCompress) {
    std::vector<Slot> all = head.slots;
    all.push_back(token);
    compress(layer, kv_head, all, step);
  } else {
    if (!head.compressed) head.ring = resolved_.recent > 1 ? resolved_.budget - resolved_.recent + 1 : -1;
    head.compressed = true;
    evict(layer, kv_head, token);
  }
}

void Cache::evict(int layer, int kv_head, Slot token) {
  Head& head = heads_[static_cast<size_t>(layer * shape_.kv_heads + kv_head)];
  const int64_t step = steps_[static_cast<size_t>(layer)];
  const int64_t first = resolved_.residual + resolved_.sink, last = resolved_.budget - resolved_.recent;
  int victim;
  if (options_.history) {
    std::vector<int> ids;
    std::vector<double> values, errors;
    for (int64_t i = first; i <= last; ++i) {
      const Slot& slot = head.slots[static_cast<size_t>(i)];
      ids.push_back(static_cast<int>(i));
      values.push_back(-slot.score);
      errors.push_back(slot.score_error);
    }
    victim = decide(Choice::kVictim, step, layer, kv_head, -1, -1, ids, values, errors);
  } else {
    victim = static_cast<int>(first);
    for (int64_t i = first; i <= last; ++i)
      if (head.slots[static_cast<size_t>(i)].origins[0] < head.slots[static_cast<size_t>(victim)].origins[0])
        victim = static_cast<int>(i);
  }
  Slot& place = head.slots[static_cast<size_t>(victim)];
  if (resolved_.residual > 0) {
    const std::vector<Slot> residual(head.slots.begin(), head.slots.begin() + resolved_.residual);
    double alike;
    const int target = target_of(layer, kv_head, residual, place, step, &alike);
    Slot& into = head.slots[static_cast<size_t>(target)];
    note(step, layer, kv_head, Action::kMerge, place, victim, target, alike, into.weight);
    merge(into, place);
  } else {
    note(step, layer, kv_head, Action::kDrop, place, victim, -1, NAN, 0);
    head.dropped += place.weight;
  }
  if (resolved_.recent == 1) {
    note(step, layer, kv_head, Action::kAdmit, token, victim, -1, NAN, 0);
    place = token;
    return;
  }
  Slot& ring = head.slots[static_cast<size_t>(head.ring)];
  note(step, layer, kv_head, Action::kLeave, ring, head.ring, victim, NAN, 0);
  place = ring;
  note(step, layer, kv_head, Action::kAdmit, token, head.ring, -1, NAN, 0);
  ring = token;
  head.ring = head.ring + 1 < resolved_.budget ? head.ring + 1 : last + 1;
}

}  // namespace reference
