// What this CPU has, and the attention kernels that this build has for it.
#include "core/kernels.h"

namespace zs {
namespace generic {
const AttentionKernels* attention_kernels_table();
}
#if defined(__x86_64__)
namespace avx2 {
const AttentionKernels* attention_kernels_table();
}
namespace avx512 {
const AttentionKernels* attention_kernels_table();
}
#endif

const AttentionKernels* attention_kernels(zs_isa isa) {
  switch (isa) {
    case ZS_ISA_GENERIC:
      return generic::attention_kernels_table();
#if defined(__x86_64__)
    case ZS_ISA_AVX2:
      return avx2::attention_kernels_table();
    case ZS_ISA_AVX512:
      return avx512::attention_kernels_table();
#endif
    default:
      return nullptr;
  }
}

Cpu detect_cpu() {
  Cpu cpu{};
#if defined(__x86_64__)
  __builtin_cpu_init();
  const auto note = [&](bool has, const char* name) {
    if (has) cpu.features.push_back(name);
    return has;
  };
  const bool avx2 = note(__builtin_cpu_supports("avx2"), "avx2"), fma = note(__builtin_cpu_supports("fma"), "fma");
  bool f16c = true;
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 11
  f16c = note(__builtin_cpu_supports("f16c"), "f16c");
#endif
  cpu.avx2 = avx2 && fma && f16c;
  const bool f = note(__builtin_cpu_supports("avx512f"), "avx512f"),
             bw = note(__builtin_cpu_supports("avx512bw"), "avx512bw");
  const bool dq = note(__builtin_cpu_supports("avx512dq"), "avx512dq"),
             vl = note(__builtin_cpu_supports("avx512vl"), "avx512vl");
  cpu.avx512 = cpu.avx2 && f && bw && dq && vl;
#if defined(__GNUC__) && !defined(__clang__)
  note(__builtin_cpu_supports("avx512vnni"), "avx512vnni");
  const bool pairs = note(__builtin_cpu_supports("avx512bf16"), "avx512bf16");
  bool amx = false;
#if __GNUC__ >= 11
  amx = note(__builtin_cpu_supports("amx-bf16"), "amx-bf16");
#endif
  // Intel's without AMX multiply pairs at no higher rate than floats, and widening them is the library's loss.
  cpu.quick_bf16 = cpu.avx512 && (amx || (pairs && !__builtin_cpu_is("intel")));
#endif
#endif
  return cpu;
}

}  // namespace zs
