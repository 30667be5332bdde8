// Two rows of logits beside one another.
#include <cmath>

#include "core/error.h"
#include "zslab/model.h"

namespace zs {
namespace {

double largest(const float* row, int64_t count) {
  float top = -INFINITY;
  for (int64_t i = 0; i < count; ++i) top = row[i] > top ? row[i] : top;
  return static_cast<double>(top);
}

void compare(const float* p, const float* q, int64_t count, zs_compared& out) {
  const double top_p = largest(p, count), top_q = largest(q, count);
  double sum_p = 0, sum_q = 0, apart = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double x = static_cast<double>(p[i]), y = static_cast<double>(q[i]), weight = std::exp(x - top_p);
    sum_p += weight;
    sum_q += std::exp(y - top_q);
    // What p never gives adds nothing, also where q does not give it.
    if (weight > 0 && x != y) apart += weight * (x - y);
  }
  out.log_sum_p = top_p + std::log(sum_p);
  out.log_sum_q = top_q + std::log(sum_q);
  const double kl = apart / sum_p - (out.log_sum_p - out.log_sum_q);
  out.kl = kl < 0 ? 0 : kl;
}

}  // namespace
}  // namespace zs

extern "C" zs_status zs_compare_logits(const float* p, const float* q, int64_t count, zs_compared* out) {
  return zs::guard([&] {
    if (!p || !q || !out) zs::fail(ZS_INVALID, "p, q or out is NULL: give two rows of logits and room for the result");
    if (count < 1) zs::fail(ZS_INVALID, "count is %lld: expected 1 or more", static_cast<long long>(count));
    zs::compare(p, q, count, *out);
  });
}
