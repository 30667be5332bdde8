// ln w of a merged slot's weight: plain arithmetic in double, so that it has the same bits on every CPU and GPU, which C libraries' has not.
#ifndef ZSLAB_CORE_NATURAL_LOG_H
#define ZSLAB_CORE_NATURAL_LOG_H

#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define ZS_EVERYWHERE __host__ __device__
#else
#define ZS_EVERYWHERE
#endif

namespace zs {

// ln x for finite x >= 1, to the last bit but one.
ZS_EVERYWHERE inline double natural_log(double x) {
  uint64_t bits;
  memcpy(&bits, &x, 8);
  int exponent = static_cast<int>(bits >> 52) - 1022;  // x = m 2^exponent, m in [1/2, 1)
  bits = (bits & 0xfffffffffffffu) | (uint64_t{1022} << 52);
  double m;
  memcpy(&m, &bits, 8);
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

}  // namespace zs
#endif
