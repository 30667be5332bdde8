// Of CUDA's runtime what kernels' objects call to register and to launch, by a C++ compiler.
#include "cuda/prove/launched.h"

#include <cuda_runtime_api.h>

#include <cstdio>
#include <map>
#include <string>

#include "cuda/tuning.h"

namespace {

struct Launch {
  unsigned threads = 0;
  size_t shared = 0;
};
struct Kernel {
  std::string symbol;
  Launch most[2];  // usual, all
};
// By the host's stand-in for each. Objects register theirs before main.
std::map<const void*, Kernel>& kernels() {
  static std::map<const void*, Kernel> made;
  return made;
}
struct {
  dim3 grid, block;
  size_t shared;
  cudaStream_t stream;
} asked;

}  // namespace

zs::launched::Shapes zs::launched::shapes;

extern "C" {
void** __cudaRegisterFatBinary(void*) {
  static void* handle;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterFunction(void**, const char* host, char*, const char* symbol, int, uint3*, uint3*, dim3*, dim3*,
                            int*) {
  kernels()[host].symbol = symbol;
}
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, cudaStream_t stream) {
  asked = {grid, block, shared, stream};
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
  *grid = asked.grid;
  *block = asked.block;
  *shared = asked.shared;
  *static_cast<cudaStream_t*>(stream) = asked.stream;
  return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host) {
  *kernel = static_cast<cudaKernel_t>(const_cast<void*>(host));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3, dim3 block, void**, size_t shared, cudaStream_t) {
  Launch& most = kernels()[kernel].most[zs::launched::shapes];
  if (!most.threads || shared > most.shared) most = {block.x, shared};
  return cudaSuccess;
}
cudaError_t cudaLaunchCooperativeKernel(const void* kernel, dim3 grid, dim3 block, void**, size_t shared,
                                        cudaStream_t) {
  return __cudaLaunchKernel(static_cast<cudaKernel_t>(const_cast<void*>(kernel)), grid, block, nullptr, shared,
                            nullptr);
}
// A device that has what is asked for, once.
cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) { return *value = 1, cudaSuccess; }
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void*, int, size_t, unsigned) {
  return *blocks = 1, cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int shared) {
  return shared > zs::cuda::kMostShared ? cudaErrorInvalidValue : cudaSuccess;
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
const char* cudaGetErrorString(cudaError_t) { return "more shared memory than a block can have"; }
}

void zs::launched::print_launches() {
  for (const auto& [host, kernel] : kernels())
    std::printf("%s %u %zu %u %zu\n", kernel.symbol.c_str(), kernel.most[0].threads, kernel.most[0].shared,
                kernel.most[1].threads, kernel.most[1].shared);
}
