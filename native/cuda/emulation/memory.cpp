#include "cuda/emulation/memory.h"

#include <cstdlib>
#include <cstring>

#include "cuda/emulation/race.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace zs::emulation {

void* new_memory(size_t bytes, const std::string& name, int64_t shared_at) {
  void* memory = nullptr;
  if (posix_memalign(&memory, kMemoryAlign, bytes ? bytes : 1)) return nullptr;
  std::memset(memory, 0xff, bytes);
  race::region(memory, bytes, name, shared_at);
  return memory;
}

void forget_memory(void* memory) {
  race::no_region(memory);
  std::free(memory);
}

void will_be_copied(const void* to, const void* from, size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_POISON_MEMORY_REGION(to, bytes);
#endif
  race::pending(to, from, bytes, __builtin_return_address(0));
}

void was_copied(void* to, const void* from, size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(to, bytes);
#endif
  std::memcpy(to, from, bytes);
  race::copied(to, bytes, __builtin_return_address(0));
}

void was_written_by_host(const void* to, size_t bytes) { race::written_by_host(to, bytes); }

}  // namespace zs::emulation
