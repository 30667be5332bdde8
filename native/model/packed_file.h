// The memory that packed weights lie in: private, or a file of their own that is mapped, so that loading again reads nothing that is in
// memory already and processes with the same model share its pages.
#ifndef ZSLAB_MODEL_PACKED_FILE_H
#define ZSLAB_MODEL_PACKED_FILE_H

#include <cstdint>
#include <string>
#include <utility>

#include "core/pool.h"

namespace zs {

// Changes whenever packed bytes do; it is part of the file's header.
constexpr uint32_t kPackedVersion = 1;
// While a file is made its name goes on with this, the process's number, a dash and a number. src/model/packed.ts knows it, too.
constexpr const char* kPackedTemporary = ".packing-";

// Of an open file, closed in the end; -1 = none.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();
  int number() const { return number_; }

 private:
  int number_;
};

class PackedMemory {
 public:
  PackedMemory() = default;
  PackedMemory(PackedMemory&& other) noexcept { *this = static_cast<PackedMemory&&>(other); }
  PackedMemory& operator=(PackedMemory&& other) noexcept;
  ~PackedMemory();

  // What file `path` holds, where it is whole: it has the size, layout (any number that tells layouts apart) and sum of what was saved. Else
  // nothing. Read through once, by all threads. What processes that ended while they made a file left in its folder is removed. Errors:
  // ZS_ABORTED.
  static PackedMemory open(const std::string& path, int64_t bytes, uint64_t layout, Pool& pool, const zs_call* call);
  // To be written: for file `path` until save(), or where that cannot be, private; `why` then says it. Throws std::bad_alloc.
  static PackedMemory make(const std::string& path, int64_t bytes, uint64_t layout);

  uint8_t* data() const { return data_; }
  bool mapped() const { return mapping_ != nullptr; }
  const std::string& why() const { return why_; }
  // All has been written: other processes find it from now on. Whoever was quicker is not disturbed. Errors: ZS_ABORTED.
  void save(Pool& pool, const zs_call* call);

 private:
  void release() noexcept;

  uint8_t* data_ = nullptr;
  void* mapping_ = nullptr;  // nullptr = private
  int64_t bytes_ = 0;
  uint64_t layout_ = 0;
  std::string path_, temporary_, why_;
  Descriptor making_;  // of `temporary_`, locked
};

}  // namespace zs
#endif
