// Which residual slot is most like what leaves, and what the two become (spec 5, 5c).
#include <algorithm>
#include <cmath>

#include "reference/zsmerge.h"

namespace reference {

namespace {
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
double furthest(const std::vector<double>& a, const std::vector<double>& b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(a[i] - b[i]));
  return most;
}
void mix(std::vector<double>& into, double own, const std::vector<double>& moved, double other) {
  for (size_t i = 0; i < into.size(); ++i) into[i] = (own * into[i] + other * moved[i]) / (own + other);
}
}  // namespace

double ZsMerge::similarity(const Cache& cache, const Slot& a, const Slot& b, double* error) const {
  double dot = 0, products = 0, squares = 0, differences = 0;
  for (size_t i = 0; i < a.key.size(); ++i) {
    const double product = a.key[i] * b.key[i], difference = a.key[i] - b.key[i];
    dot += product;
    products += std::fabs(product);
    squares += difference * difference;
    differences += std::fabs(difference);
  }
  const double rounding = cache.rounding();
  const double moved = a.key_error * size(b.key) + b.key_error * size(a.key);
  if (options_.similarity == Similarity::kDot) {
    *error = rounding * products + moved;
    return dot;
  }
  if (options_.similarity == Similarity::kL2) {
    *error = (rounding + 2 * kUnit) * squares + 2 * (a.key_error + b.key_error) * differences;
    return -squares;
  }
  const double lengths = norm(a.key) * norm(b.key);
  *error = 0;
  if (lengths == 0) return -1;
  *error = (rounding * products + moved) / lengths + 2 * rounding;
  return dot / lengths;
}

int ZsMerge::target_of(Cache& cache, At at, const std::vector<Slot>& residual, const Slot& moved, int64_t step,
                       double* best) const {
  std::vector<Candidate> candidates;
  for (size_t j = 0; j < residual.size(); ++j) {
    double error;
    const double alike = similarity(cache, residual[j], moved, &error);
    candidates.push_back({static_cast<int>(j), alike, error});
  }
  const int target = cache.decide(Choice::kTarget, step, at, -1, moved.origins[0], candidates);
  *best = candidates[static_cast<size_t>(target)].value;
  return target;
}

// The merged slot's own origins come first.
void ZsMerge::merge(Cache& cache, At at, int64_t slot, int64_t step, Slot& into, const Slot& moved, bool place) const {
  if (place && options_.aggregate == Aggregate::kScore) mean_by_score(cache, at, step, into, moved);
  if (place && options_.aggregate == Aggregate::kMedoid) {
    const int winner = cache.decide(Choice::kMember, step, at, slot, -1,
                                    {{into.origins[0], into.score, into.score_error, &into},
                                     {moved.origins[0], moved.score, moved.score_error, &moved}});
    if (winner == moved.origins[0]) {
      into.key = moved.key, into.key_error = moved.key_error;
      into.value = moved.value;
    }
  }
  if (place && options_.aggregate == Aggregate::kMean) {
    if (!options_.fixed_keys) {
      into.key_error = (into.weight * into.key_error + moved.weight * moved.key_error) / (into.weight + moved.weight) +
                       2 * kUnit * std::max(largest(into.key), largest(moved.key));
      mix(into.key, into.weight, moved.key, moved.weight);
    }
    if (!options_.fixed_values) mix(into.value, into.weight, moved.value, moved.weight);
  }
  into.weight += moved.weight;
  if (options_.score_merge == ScoreMerge::kMax) {
    into.score_error = std::max(into.score_error, moved.score_error);
    into.score = std::max(into.score, moved.score);
  } else {
    into.score += moved.score;
    into.score_error += moved.score_error + kUnit * into.score;
  }
  into.origins.insert(into.origins.end(), moved.origins.begin(), moved.origins.end());
}

// The scores are the weights; where both are 0 (float32 has nothing below 1e-45) the tokens that stand behind are.
void ZsMerge::mean_by_score(Cache& cache, At at, int64_t step, Slot& into, const Slot& moved) const {
  const double sum = into.score + moved.score;
  if (sum < 1e-46) {
    mix(into.key, into.weight, moved.key, moved.weight);
    mix(into.value, into.weight, moved.value, moved.weight);
    into.key_error = std::max(into.key_error, moved.key_error) + 2 * kUnit * largest(into.key);
    return;
  }
  // How far the mean may be off: the errors of both keys, and of the share in what lies between them.
  const double share = into.score / sum;
  const double off = std::min(1.0, ((1 - share) * into.score_error + share * moved.score_error) / sum);
  if (off > 1e-2) cache.ask(Choice::kShare, step, at, -1, 0, {0, 1});
  into.key_error = share * into.key_error + (1 - share) * moved.key_error + off * furthest(into.key, moved.key) +
                   2 * kUnit * std::max(largest(into.key), largest(moved.key));
  mix(into.key, into.score, moved.key, moved.score);
  mix(into.value, into.score, moved.value, moved.score);
}

}  // namespace reference
