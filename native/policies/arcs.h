// The arc between two directions, in double, and by + - * / and square roots alone, so that it is the same on every machine.
#ifndef ZSLAB_POLICIES_ARCS_H
#define ZSLAB_POLICIES_ARCS_H

#include <cmath>
#include <cstdint>

namespace zs {
namespace arcs {

constexpr double kPi = 3.14159265358979323846;
constexpr double kNoArc = 1e-6;  // sines below: the directions are the same, or opposite

// x >= 0.
inline double arc_tangent(double x) {
  const bool inverse = x > 1;
  if (inverse) x = 1 / x;
  for (int i = 0; i < 3; ++i) x /= 1 + std::sqrt(1 + x * x);  // halves the angle
  double sum = 0;
  for (int k = 21; k >= 1; k -= 2) sum = 1.0 / k - x * x * sum;
  return inverse ? kPi / 2 - 8 * x * sum : 8 * x * sum;
}

// 0 <= x <= pi.
inline double sine(double x) {
  if (x > kPi / 2) x = kPi - x;
  double sum = 1;
  for (int k = 24; k >= 2; k -= 2) sum = 1 - x * x / (k * (k + 1)) * sum;
  return x * sum;
}

// A vector of the lower layer and the upper layer's beside it.
struct Arc {
  const float *lower, *upper;
  int32_t d;
  double lengths[2], angle = 0;  // between them
  bool whole = true;             // they have lengths and are not opposite: there is one shortest arc

  Arc(const float* lower, const float* upper, int32_t d) : lower(lower), upper(upper), d(d) {
    for (int i = 0; i < 2; ++i) {
      const float* const x = i ? upper : lower;
      double sum = 0;
      for (int32_t j = 0; j < d; ++j) sum += static_cast<double>(x[j]) * static_cast<double>(x[j]);
      lengths[i] = std::sqrt(sum);
      whole = whole && length(i) > 0 && std::isfinite(length(i));
    }
    if (!whole) return;
    const double difference = square(1, -1), sum = square(1, 1);
    whole = sum > kNoArc * kNoArc;
    if (whole) angle = 2 * arc_tangent(std::sqrt(difference / sum));
  }
  float length(int i) const { return static_cast<float>(lengths[i]); }

  // The direction at share t of the arc.
  void at(double t, float* out) const {
    const double whole_sine = sine(angle);
    double a = sine((1 - t) * angle) / whole_sine, b = sine(t * angle) / whole_sine;
    if (whole_sine < kNoArc) {
      const double length = std::sqrt(square(1 - t, t));
      a = (1 - t) / length, b = t / length;
    }
    a /= lengths[0], b /= lengths[1];
    for (int32_t j = 0; j < d; ++j)
      out[j] = static_cast<float>(a * static_cast<double>(lower[j]) + b * static_cast<double>(upper[j]));
  }

 private:
  // |a * lower's direction + b * upper's|^2
  double square(double a, double b) const {
    a /= lengths[0], b /= lengths[1];
    double sum = 0;
    for (int32_t j = 0; j < d; ++j) {
      const double x = a * static_cast<double>(lower[j]) + b * static_cast<double>(upper[j]);
      sum += x * x;
    }
    return sum;
  }
};

}  // namespace arcs
}  // namespace zs
#endif
