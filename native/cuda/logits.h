// What is wanted of a row of logits without the row itself: the token that is likeliest, and what turns a logit into a probability.
#ifndef ZSLAB_CUDA_LOGITS_H
#define ZSLAB_CUDA_LOGITS_H

#include <cmath>
#include <cstdint>
#include <string>

#include "cuda/gpu.h"

namespace zs::cuda {

struct LogitsSummary {
  int32_t first_largest;  // the lowest of equals; -1 where none is above -infinity. Not-a-number is never it.
  float highest;
  float sum,
      rest;  // of exp(logit - highest) * 2^-32, as two floats of which the second is what the first has no bits for
};

// first_largest is that of native/cpu. ln(sum exp) is within 1e-11 of the CPU's, which adds the same exponentials in double precision and in
// another order: the GPU has few units for doubles.
std::string summarize_logits(const float* logits, int64_t stride, int32_t count, LogitsSummary* out, int32_t rows,
                             gpu::Stream stream);

inline double log_sum_exp(const LogitsSummary& row) {
  return static_cast<double>(row.highest) +
         std::log((static_cast<double>(row.sum) + static_cast<double>(row.rest)) * 0x1p32);
}

}  // namespace zs::cuda
#endif
