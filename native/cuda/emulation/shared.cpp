// Shared memory of blocks: arrays of their own, so that the address sanitizer sees their ends.
#include "cuda/emulation/block.h"
#include "cuda/emulation/memory.h"

namespace zs::emulation {

void forget_shared(Block& b) {
  for (const SharedArray& array : b.arrays) forget_memory(array.memory);
  b.arrays.clear();
  b.shared = 0;
}

void shared_layout() {
  Thread& one = *thread();
  one.arrays = 0;
  ++one.layouts;
}

void* shared_array(size_t bytes, size_t align, Place at) {
  Block& b = *block();
  Thread& one = *thread();
  if (one.layouts > b.layouts) forget_shared(b), b.layouts = one.layouts;
  if (one.layouts < b.layouts)
    fault("shared memory: " + name_of(b, one.number) + " takes an array at " + at.text() +
          " of a layout after which others have begun a new one");
  const auto number = static_cast<size_t>(one.arrays++);
  if (number == b.arrays.size()) {
    b.shared = (b.shared + align - 1) / align * align + bytes;
    if (b.shared > b.launch.shared)
      fault("shared memory: the arrays up to " + at.text() + " take " + std::to_string(b.shared) +
            " bytes, the launch asked for " + std::to_string(b.launch.shared));
    b.arrays.push_back(
        {new_memory(bytes, "shared array " + std::to_string(number), static_cast<int64_t>(b.shared - bytes)), bytes});
  }
  if (b.arrays[number].bytes != bytes)
    fault("shared memory: " + name_of(b, one.number) + " takes " + std::to_string(bytes) + " bytes at " + at.text() +
          ", others " + std::to_string(b.arrays[number].bytes));
  return b.arrays[number].memory;
}

}  // namespace zs::emulation
