// Chooses the linear kernels of one instruction set among those this build has.
#include "cpu/linear.h"

namespace zs {
namespace generic {
const LinearKernels* linear_kernels_table();
}
#if defined(__x86_64__)
namespace avx2 {
const LinearKernels* linear_kernels_table();
}
namespace avx512 {
const LinearKernels* linear_kernels_table();
}
#endif

const LinearKernels* linear_kernels(zs_isa isa) {
  switch (isa) {
    case ZS_ISA_GENERIC:
      return generic::linear_kernels_table();
#if defined(__x86_64__)
    case ZS_ISA_AVX2:
      return avx2::linear_kernels_table();
    case ZS_ISA_AVX512:
      return avx512::linear_kernels_table();
#endif
    default:
      return nullptr;
  }
}

}  // namespace zs
