// What the linear_*.cpp kernels of one instruction set know of each other. Included only by them.
#ifndef ZSLAB_CPU_KERNELS_LINEAR_PARTS_H
#define ZSLAB_CPU_KERNELS_LINEAR_PARTS_H

#include "cpu/lanes.h"
#include "cpu/linear.h"

namespace zs {
namespace ZS_ISA {

// Of floats, and of fields (see cpu/packing.h).
template <Packing kPacking>
void multiply_floats(const PackedProduct& product);
template <Packing kPacking>
void widen_floats(const void* w, int64_t k, int64_t tiles, float* to);
template <Packing kPacking>
void multiply_fields(const PackedProduct& product);
template <Packing kPacking>
void prepare_fields(const float* x, int64_t k, float* to);
template <Packing kPacking>
void widen_fields(const void* w, int64_t k, int64_t tiles, float* to);
const LinearKernels* linear_kernels_table();

}  // namespace ZS_ISA
}  // namespace zs
#endif
