// Memory that kernels may use: device memory and the shared arrays of a block, each a heap block of its own, so that the address sanitizer
// sees its ends, and full of NaN until somebody writes. The race build also keeps who wrote and read each of its words (race.cpp).
#ifndef ZSLAB_CUDA_EMULATION_MEMORY_H
#define ZSLAB_CUDA_EMULATION_MEMORY_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace zs::emulation {

constexpr size_t kMemoryAlign = 256;  // bytes
// Aligned to kMemoryAlign; `shared_at`: where it lies in shared memory, -1 = device memory. nullptr where there is no more.
void* new_memory(size_t bytes, const std::string& name, int64_t shared_at = -1);
void forget_memory(void* memory);

// What the compiler's instrumentation does not tell the race build: copies in the background and writes by the host.
void will_be_copied(const void* to, const void* from, size_t bytes);  // nobody may read it until it has been
void was_copied(void* to, const void* from, size_t bytes);
void was_written_by_host(const void* to, size_t bytes);

}  // namespace zs::emulation
#endif
