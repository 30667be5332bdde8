// What the linear_*.cpp kernels of one instruction set know of each other. Included only by them.
#ifndef ZSLAB_CPU_KERNELS_LINEAR_PARTS_H
#define ZSLAB_CPU_KERNELS_LINEAR_PARTS_H

#include "cpu/lanes.h"
#include "cpu/linear.h"

namespace zs {
namespace ZS_ISA {

void gemv_bf16(const uint16_t* w, const float* x, int64_t k, int64_t tiles, float* y);
void gemv_f32(const float* w, const float* x, int64_t k, int64_t tiles, float* y);
void gemm_bf16(const uint16_t* w, const float* x, int64_t x_stride, int64_t rows, int64_t k, int64_t tiles, float* y,
               int64_t y_stride);
void gemm_f32(const float* w, const float* x, int64_t x_stride, int64_t rows, int64_t k, int64_t tiles, float* y,
              int64_t y_stride);
void widen_bf16(const uint16_t* w, int64_t k, int64_t tiles, float* to);
const LinearKernels* linear_kernels_table();

}  // namespace ZS_ISA
}  // namespace zs
#endif
