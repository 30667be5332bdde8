#include "core/segment.h"

#include <cmath>

namespace zs {

double natural_log(double x) {
  int exponent;
  double m = std::frexp(x, &exponent);
  if (m < 0.70710678118654752440) {
    m *= 2;
    --exponent;
  }
  // ln m = 2 atanh(s), |s| < 0.172: the terms fall by 34 each.
  const double s = (m - 1) / (m + 1), square = s * s;
  double sum = 0;
  for (int k = 23; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  return exponent * 0.69314718055994530942 + 2 * s * sum;
}

void Segment::reserve(int32_t slots) {
  pages.reserve(slots);
  grow(scores, static_cast<size_t>(round_up(slots, kLane)));
  grow(positions, static_cast<size_t>(slots));
}

void Segment::resize(int32_t slots) {
  pages.resize(slots);
  scores.resize(static_cast<size_t>(round_up(slots, kLane)), 0.0f);
  positions.resize(static_cast<size_t>(slots));
}

void Segment::set_weight(int32_t slot, double weight, float alpha) {
  const size_t i = static_cast<size_t>(slot);
  weights[i] = static_cast<float>(weight);
  bias[i] = static_cast<float>(static_cast<double>(alpha) * natural_log(weight));
}

int64_t Segment::bookkeeping_bytes() const {
  const size_t floats = scores.capacity() + weights.capacity() + bias.capacity();
  const size_t integers = first.capacity() + last.capacity() + positions.capacity();
  return static_cast<int64_t>(4 * (floats + integers));
}

bool Segment::finite() const {
  const auto all = [](const Column<float>& x, int32_t count) {
    for (int32_t i = 0; i < count; ++i)
      if (!std::isfinite(x[static_cast<size_t>(i)])) return false;
    return true;
  };
  return pages.finite() && all(scores, slots()) && (!merged || all(weights, slots()));
}

}  // namespace zs
