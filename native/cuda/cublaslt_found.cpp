// The cuBLASLt of GPUs.
#include <cstdlib>
#include <mutex>

#include "cuda/cublaslt.h"

namespace zs::cuda {

const Cublaslt* cublaslt(std::string& error) {
  static std::mutex busy;
  static Cublaslt functions;
  static bool loaded = false;
  const std::lock_guard<std::mutex> lock(busy);
  if (!loaded) {
    const char* const named = std::getenv("ZSLAB_CUBLASLT");
    error = load_cublaslt(named && *named ? named : "libcublasLt.so.13", functions);
    loaded = error.empty();
  }
  return loaded ? &functions : nullptr;
}

}  // namespace zs::cuda
