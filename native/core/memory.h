// Memory for pages of keys and values. Pages are small and many, and a step reads all of them: cut one after another out of large
// blocks that ask the system for huge pages, they are read half as fast again as in ordinary ones (bfloat16, one thread: 25 GB/s, not 18).
#ifndef ZSLAB_CORE_MEMORY_H
#define ZSLAB_CORE_MEMORY_H

#include <cstdint>
#include <memory>

namespace zs {

// At least `bytes`, 64-byte aligned, not filled; safe from any thread. Throws std::bad_alloc.
std::shared_ptr<void> page_memory(int64_t bytes);

}  // namespace zs
#endif
