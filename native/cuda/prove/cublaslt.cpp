// Compiled, never run: native/cuda/cublaslt.h says what the header of cuBLASLt says.
#include "cuda/cublaslt.h"

#include <cublasLt.h>

#include <cstddef>
#include <type_traits>

namespace {

using namespace zs::cuda;

static_assert(lt::kSuccess == CUBLAS_STATUS_SUCCESS);
static_assert(lt::kF32 == CUDA_R_32F && lt::kF16 == CUDA_R_16F && lt::kBF16 == CUDA_R_16BF);
static_assert(lt::kComputeF32 == CUBLAS_COMPUTE_32F);
static_assert(lt::kPlain == CUBLAS_OP_N && lt::kTransposed == CUBLAS_OP_T);
static_assert(lt::kTransposeA == CUBLASLT_MATMUL_DESC_TRANSA);
static_assert(lt::kMostWorkspace == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
static_assert(lt::kAlignA == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES &&
              lt::kAlignB == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES &&
              lt::kAlignC == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES &&
              lt::kAlignD == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
static_assert(sizeof(cublasOperation_t) == sizeof(int));

using Theirs = cublasLtMatmulHeuristicResult_t;
static_assert(sizeof(lt::Algorithm) == sizeof(cublasLtMatmulAlgo_t) && sizeof(lt::Heuristic) == sizeof(Theirs));
static_assert(offsetof(lt::Heuristic, algorithm) == offsetof(Theirs, algo) &&
              offsetof(lt::Heuristic, workspace) == offsetof(Theirs, workspaceSize) &&
              offsetof(lt::Heuristic, state) == offsetof(Theirs, state));

// Pointers for pointers, and of all else as many bytes, whole numbers for whole numbers or enumerators.
template <class A, class B>
constexpr bool alike() {
  return std::is_pointer_v<A> == std::is_pointer_v<B> && sizeof(A) == sizeof(B) &&
         std::is_floating_point_v<A> == std::is_floating_point_v<B>;
}
template <class R, class... A, class S, class... B>
constexpr bool same(R (*)(A...), S (*)(B...)) {
  if constexpr (sizeof...(A) == sizeof...(B))
    return alike<R, S>() && (alike<A, B>() && ...);
  else
    return false;
}
template <class T>
constexpr T none = nullptr;
#define SAME(ours, theirs) static_assert(same(none<decltype(Cublaslt::ours)>, none<decltype(&theirs)>), #theirs)
SAME(create, cublasLtCreate);
SAME(destroy, cublasLtDestroy);
SAME(get_status_string, cublasLtGetStatusString);
SAME(matmul_desc_create, cublasLtMatmulDescCreate);
SAME(matmul_desc_destroy, cublasLtMatmulDescDestroy);
SAME(matmul_desc_set_attribute, cublasLtMatmulDescSetAttribute);
SAME(matrix_layout_create, cublasLtMatrixLayoutCreate);
SAME(matrix_layout_destroy, cublasLtMatrixLayoutDestroy);
SAME(matmul_preference_create, cublasLtMatmulPreferenceCreate);
SAME(matmul_preference_destroy, cublasLtMatmulPreferenceDestroy);
SAME(matmul_preference_set_attribute, cublasLtMatmulPreferenceSetAttribute);
SAME(matmul_algo_get_heuristic, cublasLtMatmulAlgoGetHeuristic);
SAME(matmul, cublasLtMatmul);

}  // namespace
