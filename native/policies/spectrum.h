// Singular values and left singular vectors of a projection. Double precision and a fixed order of operations: the same bits everywhere.
#ifndef ZSLAB_POLICIES_SPECTRUM_H
#define ZSLAB_POLICIES_SPECTRUM_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "core/error.h"

namespace zs {
namespace spectrum {

struct Spectrum {
  std::vector<double> values;   // [d] descending
  std::vector<double> vectors;  // [d][d]: row i belongs to value i
};

// W Wᵀ of w [d][width], as [d][d].
inline std::vector<double> gram(const float* w, int32_t d, int32_t width) {
  constexpr int32_t kLanes = 8;  // partial sums, so that compilers may add them side by side
  const size_t n = static_cast<size_t>(d);
  std::vector<double> all(n * n);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j <= i; ++j) {
      const float *a = w + static_cast<int64_t>(i) * width, *b = w + static_cast<int64_t>(j) * width;
      double sums[kLanes] = {};
      int32_t x = 0;
      for (; x + kLanes <= width; x += kLanes)
        for (int32_t lane = 0; lane < kLanes; ++lane)
          sums[lane] += static_cast<double>(a[x + lane]) * static_cast<double>(b[x + lane]);
      for (; x < width; ++x) sums[x % kLanes] += static_cast<double>(a[x]) * static_cast<double>(b[x]);
      all[i * n + j] = all[j * n + i] = std::accumulate(sums, sums + kLanes, 0.0);
    }
  return all;
}

// Turns rows and columns p and q of the symmetric `a` so that a[p][q] becomes 0, and rows p and q of `vectors` alike.
inline void turn(std::vector<double>& a, std::vector<double>& vectors, size_t n, size_t p, size_t q) {
  const double off = a[p * n + q], ratio = (a[q * n + q] - a[p * n + p]) / (2 * off);
  const double t = (ratio < 0 ? -1 : 1) / (std::fabs(ratio) + std::sqrt(ratio * ratio + 1));
  const double c = 1 / std::sqrt(t * t + 1), s = t * c;
  const auto mix = [c, s](double& x, double& y) {
    const double before = x;
    x = c * before - s * y;
    y = s * before + c * y;
  };
  for (size_t i = 0; i < n; ++i) mix(a[p * n + i], a[q * n + i]);
  for (size_t i = 0; i < n; ++i) mix(a[i * n + p], a[i * n + q]);
  for (size_t i = 0; i < n; ++i) mix(vectors[p * n + i], vectors[q * n + i]);
  a[p * n + q] = a[q * n + p] = 0;
}

// Of w [d][width], by cyclic Jacobi on W Wᵀ: squares of the singular values are right to about 1e-15 of the largest. Where `abort` is set
// meanwhile it comes back unfinished.
inline Spectrum of(const float* w, int32_t d, int32_t width, const volatile int32_t* abort) {
  constexpr int kMostSweeps = 40;  // eight or so are usual
  const size_t n = static_cast<size_t>(d);
  std::vector<double> a = gram(w, d, width), vectors(n * n);
  double largest = 0;
  for (size_t i = 0; i < n; ++i) {
    vectors[i * n + i] = 1;
    largest = std::max(largest, a[i * n + i]);
  }
  const double nothing = 1e-18 * largest;
  bool turned = largest > 0;
  for (int sweep = 0; turned && sweep < kMostSweeps; ++sweep) {
    turned = false;
    for (size_t p = 0; p + 1 < n && !flagged(abort); ++p)
      for (size_t q = p + 1; q < n; ++q) {
        if (std::fabs(a[p * n + q]) <= nothing) continue;
        turn(a, vectors, n, p, q);
        turned = true;
      }
  }
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t x, size_t y) { return a[x * n + x] > a[y * n + y]; });
  Spectrum made;
  for (const size_t i : order) {
    made.values.push_back(std::sqrt(std::max(0.0, a[i * n + i])));
    made.vectors.insert(made.vectors.end(), vectors.begin() + static_cast<int64_t>(i * n),
                        vectors.begin() + static_cast<int64_t>((i + 1) * n));
  }
  return made;
}

}  // namespace spectrum
}  // namespace zs
#endif
