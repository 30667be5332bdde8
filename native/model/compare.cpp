// Two rows of logits beside one another.
#include <cmath>

#include "core/engine.h"
#include "core/error.h"
#include "cpu/linear.h"
#include "zslab/model.h"

namespace zs {
namespace {

void compare(const LinearKernels& kernels, const float* p, const float* q, int64_t count, zs_compared& out) {
  out.best_p = kernels.first_largest(p, count), out.best_q = kernels.first_largest(q, count);
  if (out.best_p < 0 || out.best_q < 0) {
    out.kl = out.log_sum_p = out.log_sum_q = NAN;
    return;
  }
  const double top_p = static_cast<double>(p[out.best_p]), top_q = static_cast<double>(q[out.best_q]);
  double sums[3];
  kernels.sums_apart(p, top_p, q, top_q, count, sums);
  out.log_sum_p = top_p + std::log(sums[0]);
  out.log_sum_q = top_q + std::log(sums[1]);
  const double kl = sums[2] / sums[0] - (out.log_sum_p - out.log_sum_q);
  out.kl = kl < 0 ? 0 : kl;
}

}  // namespace
}  // namespace zs

extern "C" zs_status zs_compare_logits(zs_engine* engine, const float* p, const float* q, int64_t count,
                                       zs_compared* out) {
  return zs::guard([&] {
    if (!engine) zs::fail(ZS_INVALID, "engine is NULL: expected one from zs_engine_create");
    if (!p || !q || !out) zs::fail(ZS_INVALID, "p, q or out is NULL: give two rows of logits and room for the result");
    if (count < 1) zs::fail(ZS_INVALID, "count is %lld: expected 1 or more", static_cast<long long>(count));
    zs::compare(*engine->linear, p, q, count, *out);
  });
}
