// What gpu.h is under nvcc: CUDA's own words are there, and these are ours. Inline PTX stands here and nowhere else.
#ifndef ZSLAB_CUDA_DEVICE_WORDS_H
#define ZSLAB_CUDA_DEVICE_WORDS_H

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

// Before a loop over what lies in registers.
#define ZS_UNROLL _Pragma("unroll")

namespace zs::gpu {

class Shared {
 public:
  __device__ __forceinline__ Shared() {
    extern __shared__ __align__(128) unsigned char memory[];
    memory_ = memory;
  }
  __host__ static Shared counting() { return Shared(nullptr); }
  template <class T>
  __host__ __device__ __forceinline__ T* take(size_t count) {
    bytes_ = (bytes_ + 15) / 16 * 16;
    T* const array = reinterpret_cast<T*>(memory_ + bytes_);
    bytes_ += count * sizeof(T);
    return array;
  }
  __host__ __device__ size_t bytes() const { return bytes_; }

 private:
  __host__ explicit Shared(unsigned char* memory) : memory_(memory) {}
  unsigned char* memory_;
  size_t bytes_ = 0;
};

__device__ __forceinline__ float float_of(uint32_t bits) { return __uint_as_float(bits); }
__device__ __forceinline__ uint32_t bits_of(float value) { return __float_as_uint(value); }
__device__ __forceinline__ float widen_f16(uint16_t h) { return __half2float(__ushort_as_half(h)); }

template <class T>
__device__ __forceinline__ T load_wide(const void* from) {
  return *static_cast<const T*>(from);
}
template <class T>
__device__ __forceinline__ void store_wide(void* to, T value) {
  *static_cast<T*>(to) = value;
}

__device__ __forceinline__ void cp_async16(void* to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(static_cast<uint32_t>(__cvta_generic_to_shared(to))),
               "l"(from)
               : "memory");
}
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int left>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory");
}

// Into the second-level cache, in the background.
__device__ __forceinline__ void prefetch(const void* from) { asm volatile("prefetch.global.L2 [%0];" ::"l"(from)); }

using Stream = cudaStream_t;
using Grid = dim3;
// As libraries take it.
inline void* handle_of(Stream stream) { return stream; }

// A failure is remembered by the thread until somebody asks, and would be taken for the next launch's: each is told once.
inline std::string told(cudaError_t error) {
  const cudaError_t last = cudaGetLastError();
  if (error == cudaSuccess) error = last;
  return error == cudaSuccess ? std::string() : cudaGetErrorString(error);
}

// More shared memory than 48 KB has to be asked for, kernel by kernel.
template <class... P>
cudaError_t ask_for(size_t shared, void (*kernel)(P...)) {
  if (shared <= 48u << 10) return cudaSuccess;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
}
template <class... P, class... A>
std::string launch(void (*kernel)(P...), Grid grid, int threads, size_t shared, Stream stream, A... arguments) {
  const cudaError_t error = ask_for(shared, kernel);
  if (error == cudaSuccess) kernel<<<grid, static_cast<unsigned>(threads), shared, stream>>>(arguments...);
  return told(error);
}

// Launches have at most so many blocks alive at once; 0 = there are no such.
inline int& together_limit() {
  static thread_local int most = 1 << 20;
  return most;
}
inline void vary_together(int blocks) { together_limit() = blocks; }

// The same with all blocks alive at once, at most as many as most_together says.
template <class... P>
std::string launch_together(void (*kernel)(P...), int blocks, int threads, size_t shared, Stream stream,
                            std::common_type_t<P>... arguments) {
  cudaError_t error = ask_for(shared, kernel);
  void* given[] = {&arguments...};
  if (error == cudaSuccess)
    error = cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(kernel), Grid(static_cast<unsigned>(blocks)),
                                        Grid(static_cast<unsigned>(threads)), given, shared, stream);
  return told(error);
}
// On the device in use, at most `each` a multiprocessor; 0 = it has no such launches. → what was wrong; empty = nothing.
template <class... P>
std::string most_together(void (*kernel)(P...), int threads, size_t shared, int each, int& blocks) {
  int device = 0, can = 0, processors = 0, room = 0;
  cudaError_t error = ask_for(shared, kernel);
  if (error == cudaSuccess) error = cudaGetDevice(&device);
  if (error == cudaSuccess) error = cudaDeviceGetAttribute(&can, cudaDevAttrCooperativeLaunch, device);
  if (error == cudaSuccess) error = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
  if (error == cudaSuccess) error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&room, kernel, threads, shared);
  blocks = can ? processors * (room < each ? room : each) : 0;
  if (blocks > together_limit()) blocks = together_limit();
  return told(error);
}

inline void vary_order(uint64_t) {}

inline void* allocate(size_t bytes) {
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, bytes);
  return told(error).empty() ? memory : nullptr;
}
inline void release(void* memory) { cudaFree(memory); }
inline void upload(void* to, const void* from, size_t bytes) { cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice); }
inline void download(void* to, const void* from, size_t bytes) { cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost); }

// Memory that was given back is worth keeping: to ask for it again makes everybody wait.
constexpr bool kKeepsFreed = true;

// The same in the order of a stream; what fails is told by `wait`.
inline void upload(void* to, const void* from, size_t bytes, Stream stream) {
  cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream);
}
inline void download(void* to, const void* from, size_t bytes, Stream stream) {
  cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream);
}
inline void copy(void* to, const void* from, size_t bytes, Stream stream) {
  cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
}
inline void clear(void* memory, size_t bytes, Stream stream) { cudaMemsetAsync(memory, 0, bytes, stream); }

// Until all of a stream is done. → what went wrong in it; empty = nothing.
inline std::string wait(Stream stream) { return told(cudaStreamSynchronize(stream)); }
inline std::string new_stream(Stream& stream) {
  return told(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
}
inline void end_stream(Stream stream) { cudaStreamDestroy(stream); }
// What this thread calls goes to device `number` from then on.
inline std::string use(int number) { return told(cudaSetDevice(number)); }

// Launches that a stream was given once, to be made again as one. None of them may wait, or copy from or to the host.
class Graph {
 public:
  Graph() = default;
  ~Graph() { clear(); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  // From here on launches are recorded, not made, until `end`. → what was wrong; empty = nothing; likewise below.
  std::string begin(Stream stream) {
    clear();
    return told(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  }
  std::string end(Stream stream) {
    clear();
    cudaGraph_t graph = nullptr;
    std::string wrong = told(cudaStreamEndCapture(stream, &graph));
    if (wrong.empty()) wrong = told(cudaGraphInstantiate(&made_, graph, 0));
    if (graph) cudaGraphDestroy(graph);
    return wrong;
  }
  std::string launch(Stream stream) const { return told(cudaGraphLaunch(made_, stream)); }
  void clear() {
    if (made_) cudaGraphExecDestroy(made_);
    made_ = nullptr;
  }
  explicit operator bool() const { return made_; }

 private:
  cudaGraphExec_t made_ = nullptr;
};

struct Facts {
  std::string name;
  int64_t memory = 0, free = 0;  // bytes
  int major = 0, minor = 0;      // compute capability
};
constexpr const char* kKind = "cuda";
inline std::string versions(int& driver, int& runtime) {
  const std::string wrong = told(cudaDriverGetVersion(&driver));
  return wrong.empty() ? told(cudaRuntimeGetVersion(&runtime)) : wrong;
}
inline std::string count_devices(int& count) { return told(cudaGetDeviceCount(&count)); }
inline std::string facts_of(int number, Facts& facts) {
  cudaDeviceProp properties;
  size_t free = 0, all = 0;
  std::string wrong = told(cudaGetDeviceProperties(&properties, number));
  if (wrong.empty()) wrong = use(number);
  if (wrong.empty()) wrong = told(cudaMemGetInfo(&free, &all));
  if (wrong.empty())
    facts = {properties.name, static_cast<int64_t>(all), static_cast<int64_t>(free), properties.major,
             properties.minor};
  return wrong;
}

}  // namespace zs::gpu
#endif
