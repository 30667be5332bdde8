#include "cuda/cublaslt.h"

#include <dlfcn.h>

namespace zs::cuda {

std::string load_cublaslt(const char* library, Cublaslt& functions) {
  void* const opened = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!opened) {
    const char* const why = dlerror();
    return std::string("cuBLASLt cannot be loaded: ") + (why ? why : library) +
           "; install it (CUDA 13, or the package nvidia-cublas), or name its file by ZSLAB_CUBLASLT";
  }
  std::string missing;
  const auto find = [&](auto& function, const char* name) {
    void* const found = dlsym(opened, name);
    if (!found) missing = missing.empty() ? name : missing + ", " + name;
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(found);
  };
  find(functions.create, "cublasLtCreate");
  find(functions.destroy, "cublasLtDestroy");
  find(functions.get_status_string, "cublasLtGetStatusString");
  find(functions.matmul_desc_create, "cublasLtMatmulDescCreate");
  find(functions.matmul_desc_destroy, "cublasLtMatmulDescDestroy");
  find(functions.matmul_desc_set_attribute, "cublasLtMatmulDescSetAttribute");
  find(functions.matrix_layout_create, "cublasLtMatrixLayoutCreate");
  find(functions.matrix_layout_destroy, "cublasLtMatrixLayoutDestroy");
  find(functions.matmul_preference_create, "cublasLtMatmulPreferenceCreate");
  find(functions.matmul_preference_destroy, "cublasLtMatmulPreferenceDestroy");
  find(functions.matmul_preference_set_attribute, "cublasLtMatmulPreferenceSetAttribute");
  find(functions.matmul_algo_get_heuristic, "cublasLtMatmulAlgoGetHeuristic");
  find(functions.matmul, "cublasLtMatmul");
  return missing.empty() ? missing : std::string(library) + " is no cuBLASLt of CUDA 13: it lacks " + missing;
}

}  // namespace zs::cuda
