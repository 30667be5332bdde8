// MiniCache (arXiv 2405.14366): after the upper layer of a pair, x = |x| e in both layers, e = [sin((1-t)w) a + sin(t w) b] / sin w for the
// two layers' directions a and b with the angle w between them; tokens whose keys are farther apart than a bound stay as they are.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "reference/policy.h"

namespace reference {

namespace {
const double kPi = std::acos(-1.0);

double norm(const std::vector<double>& x) {
  double sum = 0;
  for (double e : x) sum += e * e;
  return std::sqrt(sum);
}
// p x + q y
std::vector<double> mix(double p, const std::vector<double>& x, double q, const std::vector<double>& y) {
  std::vector<double> sum(x.size());
  for (size_t i = 0; i < x.size(); ++i) sum[i] = p * x[i] + q * y[i];
  return sum;
}

// Two layers' vector of one token.
struct Pair {
  std::vector<double> a, b;
  double lengths[2], angle;  // not a number: one of them has no direction, or they are opposite

  Pair(const std::vector<double>& x, const std::vector<double>& y)
      : lengths{norm(x), norm(y)}, angle(std::numeric_limits<double>::quiet_NaN()) {
    for (double length : lengths) {
      const float held = static_cast<float>(length);
      if (!(held > 0 && std::isfinite(held))) return;
    }
    a = mix(1 / lengths[0], x, 0, x), b = mix(1 / lengths[1], y, 0, y);
    const double apart = norm(mix(1, a, -1, b)), together = norm(mix(1, a, 1, b));
    if (together <= 1e-6) return;
    angle = apart < together ? 2 * std::asin(apart / 2) : kPi - 2 * std::asin(together / 2);
  }
  std::vector<double> restored(int layer, double t, Storage storage) const {
    std::vector<double> e = mix(1 - t, a, t, b);
    if (std::sin(angle) < 1e-6)
      e = mix(1 / norm(e), e, 0, e);
    else
      e = mix(std::sin((1 - t) * angle) / std::sin(angle), a, std::sin(t * angle) / std::sin(angle), b);
    for (double& x : e) x = stored(static_cast<float>(x), storage) * lengths[layer];
    return e;
  }
};

class MiniCache : public Policy {
 public:
  explicit MiniCache(const Asked& asked)
      : start_(asked.number("start")),
        t_(asked.number("t")),
        retain_(asked.number("retain")),
        range_(asked.whole("retention") == 1) {}
  Resolved resolve(double, int64_t) const override { return {}; }
  Acts acts() const override { return Acts::kNever; }
  bool scored(int64_t) const override { return false; }
  void score(At, const Resolved&, const Seen&, std::vector<Slot*>&, bool) const override {}
  bool crosses() const override { return true; }

  void across(Cache& cache, int layer, int64_t step, int64_t fresh) const override {
    const int first = static_cast<int>(start_ < 1 ? start_ * cache.shape().layers : start_);
    if (layer <= first || (layer - first) % 2 == 0) return;
    for (int g = 0; g < cache.shape().kv_heads; ++g)
      merge(cache, cache.head(At{layer - 1, g}), cache.head(At{layer, g}), {layer, g}, step, fresh);
  }

 private:
  void merge(Cache& cache, Head& below, Head& here, At at, int64_t step, int64_t fresh) const {
    below.compressed = here.compressed = true;
    const size_t from = here.slots.size() - static_cast<size_t>(fresh);
    std::vector<double> angles;  // of the fresh; not a number: stays
    for (size_t i = from; i < here.slots.size(); ++i) {
      const Pair key(below.slots[i].key, here.slots[i].key), value(below.slots[i].value, here.slots[i].value);
      angles.push_back(std::isnan(value.angle) ? value.angle : key.angle);
    }
    std::vector<bool> stays;
    for (double angle : angles) stays.push_back(std::isnan(angle));
    double& bound = bounds_[{at.layer, at.kv_head}];
    if (step == 0)
      bound = choose(cache, at, angles, stays);
    else
      for (size_t i = 0; i < angles.size(); ++i) stays[i] = stays[i] || above(cache, at, step, angles[i], bound);

    // Merged tokens stand before the others.
    size_t merged = static_cast<size_t>(
        std::count_if(here.slots.begin(), here.slots.end(), [](const Slot& slot) { return slot.before_open; }));
    for (size_t i = from; i < here.slots.size(); ++i) {
      if (stays[i - from]) continue;
      const Pair key(below.slots[i].key, here.slots[i].key), value(below.slots[i].value, here.slots[i].value);
      Head* const heads[] = {&below, &here};
      for (int layer = 0; layer < 2; ++layer) {
        std::vector<Slot>& slots = heads[layer]->slots;
        slots[i].key = key.restored(layer, t_, cache.storage());
        slots[i].value = value.restored(layer, t_, cache.storage());
        slots[i].before_open = true;
        std::rotate(slots.begin() + static_cast<std::ptrdiff_t>(merged), slots.begin() + static_cast<std::ptrdiff_t>(i),
                    slots.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      }
      ++merged;
    }
  }

  // Angles are told to 1e-15 by both, so nothing is within rounding but what is equal.
  static bool above(Cache& cache, At at, int64_t step, double angle, double bound) {
    return cache.decide(Choice::kKeep, step, at, -1, -1, {{0, bound, 0}, {1, angle, 0}}) == 1;
  }

  // Of a prompt's tokens; returns the angle above which later ones stay.
  double choose(Cache& cache, At at, const std::vector<double>& angles, std::vector<bool>& stays) const {
    std::vector<Candidate> known;
    for (size_t i = 0; i < angles.size(); ++i)
      if (!stays[i]) known.push_back({static_cast<int>(i), angles[i], 0});
    if (retain_ == 1) stays.assign(stays.size(), true);
    if (retain_ == 1) return -1;
    double bound = 4;
    if (range_) {
      double least = 4, most = -1;
      for (const Candidate& one : known) least = std::min(least, one.value), most = std::max(most, one.value);
      if (!known.empty()) bound = most - retain_ * (most - least);
      for (const Candidate& one : known) stays[static_cast<size_t>(one.id)] = above(cache, at, 0, one.value, bound);
      return bound;
    }
    const double count = std::ceil(retain_ * static_cast<double>(angles.size()) - 1e-9);
    for (int64_t i = 0; i < static_cast<int64_t>(count) && !known.empty(); ++i) {
      const int best = cache.decide(Choice::kKeep, 0, at, -1, -1, known);
      bound = angles[static_cast<size_t>(best)];
      stays[static_cast<size_t>(best)] = true;
      known.erase(std::find_if(known.begin(), known.end(), [&](const Candidate& one) { return one.id == best; }));
    }
    return bound;
  }

  double start_, t_, retain_;
  bool range_;
  mutable std::map<std::pair<int, int>, double> bounds_;  // by upper layer and kv head
};
}  // namespace

std::unique_ptr<Policy> make_minicache(const Asked& asked) { return std::make_unique<MiniCache>(asked); }

}  // namespace reference
