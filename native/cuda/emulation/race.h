// Who wrote and read each word of the memory that kernels use, and which of these accesses nothing orders. The kernels are compiled with
// the thread sanitizer's instrumentation and linked without its runtime: each load and store calls race.cpp. Two accesses are in order if
// one thread made both, a barrier of their block or of the grid lies between, or a chain of __syncwarp; shuffles order nothing, and blocks
// nothing else.
#ifndef ZSLAB_CUDA_EMULATION_RACE_H
#define ZSLAB_CUDA_EMULATION_RACE_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace zs::emulation::race {

#if defined(ZS_RACE)
void region(void* memory, size_t bytes, const std::string& name, int64_t shared_at);
void no_region(void* memory);
// `from`: the instruction that asked for it.
void pending(const void* to, const void* source, size_t bytes, const void* from);
void copied(const void* to, size_t bytes, const void* from);
void written_by_host(const void* to, size_t bytes);
// file:line of each instruction.
std::vector<std::string> lines_of(const std::vector<const void*>& from);
#else
inline void region(void*, size_t, const std::string&, int64_t) {}
inline void no_region(void*) {}
inline void pending(const void*, const void*, size_t, const void*) {}
inline void copied(const void*, size_t, const void*) {}
inline void written_by_host(const void*, size_t) {}
inline std::vector<std::string> lines_of(const std::vector<const void*>& from) {
  return std::vector<std::string>(from.size());
}
#endif

}  // namespace zs::emulation::race
#endif
