// What is used of cuBLASLt (CUDA 13), loaded when it is first needed: neither a build nor a machine has to have it. Names and values are those of
// its header, which prove/cublaslt.cpp compares them with. Matrices are of columns, as the library has them.
#ifndef ZSLAB_CUDA_CUBLASLT_H
#define ZSLAB_CUDA_CUBLASLT_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace zs::cuda {

namespace lt {

using Status = int;                                          // 0 = success
constexpr int kSuccess = 0, kF32 = 0, kF16 = 2, kBF16 = 14;  // cublasStatus_t, cudaDataType_t
constexpr int kComputeF32 = 68;                              // cublasComputeType_t: no TF32
constexpr int kPlain = 0, kTransposed = 1;                   // cublasOperation_t
constexpr int kTransposeA = 3;                               // cublasLtMatmulDescAttributes_t
constexpr int kMostWorkspace = 1, kAlignA = 5, kAlignB = 6, kAlignC = 7,
              kAlignD = 8;  // cublasLtMatmulPreferenceAttributes_t

struct Algorithm {
  uint64_t data[8];
};
struct Heuristic {
  Algorithm algorithm;
  size_t workspace;
  Status state;
  float waves;
  int reserved[4];
};

}  // namespace lt

// Functions by their names without `cublasLt`. Handles, descriptors, layouts and preferences are pointers to the library's own; so is a stream.
struct Cublaslt {
  lt::Status (*create)(void** handle);
  lt::Status (*destroy)(void* handle);
  const char* (*get_status_string)(lt::Status status);
  lt::Status (*matmul_desc_create)(void** desc, int compute, int scale);
  lt::Status (*matmul_desc_destroy)(void* desc);
  lt::Status (*matmul_desc_set_attribute)(void* desc, int attribute, const void* value, size_t bytes);
  lt::Status (*matrix_layout_create)(void** layout, int type, uint64_t rows, uint64_t columns, int64_t leading);
  lt::Status (*matrix_layout_destroy)(void* layout);
  lt::Status (*matmul_preference_create)(void** preference);
  lt::Status (*matmul_preference_destroy)(void* preference);
  lt::Status (*matmul_preference_set_attribute)(void* preference, int attribute, const void* value, size_t bytes);
  lt::Status (*matmul_algo_get_heuristic)(void* handle, void* desc, void* a, void* b, void* c, void* d,
                                          void* preference, int asked, lt::Heuristic* results, int* found);
  // D = alpha op(A) op(B) + beta C; alpha and beta float32 of the host.
  lt::Status (*matmul)(void* handle, void* desc, const void* alpha, const void* a, void* a_layout, const void* b,
                       void* b_layout, const void* beta, const void* c, void* c_layout, void* d, void* d_layout,
                       const lt::Algorithm* algorithm, void* workspace, size_t workspace_bytes, void* stream);
};

// The library of this name or path, opened for good. → what was wrong; empty = all functions are there.
std::string load_cublaslt(const char* library, Cublaslt& functions);
// The one to use: what ZSLAB_CUBLASLT names, else libcublasLt.so.13; emulated, a plain product on the CPU, unless ZSLAB_CUBLASLT names
// anything. nullptr where `error` says why.
const Cublaslt* cublaslt(std::string& error);

}  // namespace zs::cuda
#endif
