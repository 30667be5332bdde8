#include "model/packed_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "core/error.h"

namespace zs {
namespace {

constexpr int64_t kHugePage = int64_t{1} << 21;
constexpr int64_t kHeader = 4096;  // a page, so that weights begin on one
constexpr int64_t kUnit = int64_t{1} << 20;

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t reserved;
  int64_t bytes;
  uint64_t layout, sum;
};
constexpr char kMagic[8] = {'z', 's', 'l', 'a', 'b', 'w', 'e', 'i'};

class File {
 public:
  File(const char* path, int flags) : fd_(open(path, flags | O_CLOEXEC, 0644)) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// Of all bytes, in order: what tells a whole file from one that a crash left half written, not from one that was forged.
uint64_t sum_of(const uint8_t* data, int64_t bytes, Pool& pool, const zs_call* call) {
  const int64_t units = (bytes + kUnit - 1) / kUnit;
  std::vector<uint64_t> sums(static_cast<size_t>(units));
  const bool whole = pool.run(units, call, [&](int64_t unit, int) {
    constexpr int kSums = 8;
    uint64_t each[kSums] = {}, total = static_cast<uint64_t>(unit);
    const uint8_t *at = data + unit * kUnit, *end = data + std::min(bytes, (unit + 1) * kUnit);
    for (; at + 8 * kSums <= end; at += 8 * kSums)
      for (int i = 0; i < kSums; ++i) {
        uint64_t word;
        std::memcpy(&word, at + 8 * i, 8);
        each[i] = (each[i] << 5 | each[i] >> 59) + word;
      }
    for (; at < end; ++at) total = total * 31 + *at;
    for (const uint64_t one : each) total = total * 0x9e3779b97f4a7c15u + one;
    sums[static_cast<size_t>(unit)] = total;
  });
  if (!whole) check_abort(call);
  uint64_t total = 0;
  for (const uint64_t one : sums) total = total * 0x9e3779b97f4a7c15u + one;
  return total;
}

void* huge_memory(int64_t bytes) {
  const int64_t step = bytes >= kHugePage ? kHugePage : 64, whole = (bytes + step - 1) / step * step;
  void* memory = std::aligned_alloc(static_cast<size_t>(step), static_cast<size_t>(whole));
  if (!memory) throw std::bad_alloc();
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (step == kHugePage)
    madvise(memory, static_cast<size_t>(whole), MADV_HUGEPAGE);  // faster where granted, right where not
#endif
  return memory;
}

// The file's blocks are taken at once: a disk that fills up while a mapping is written ends the process.
int reserve(int fd, int64_t bytes) {
#if defined(__linux__)
  return posix_fallocate(fd, 0, static_cast<off_t>(bytes));
#else
  std::vector<char> zeros(static_cast<size_t>(kUnit));
  for (int64_t at = 0; at < bytes;) {
    const ssize_t wrote =
        pwrite(fd, zeros.data(), static_cast<size_t>(std::min(kUnit, bytes - at)), static_cast<off_t>(at));
    if (wrote <= 0) return errno;
    at += wrote;
  }
  return 0;
#endif
}

}  // namespace

PackedMemory& PackedMemory::operator=(PackedMemory&& other) noexcept {
  if (this == &other) return *this;
  release();
  data_ = std::exchange(other.data_, nullptr), mapping_ = std::exchange(other.mapping_, nullptr);
  bytes_ = other.bytes_, layout_ = other.layout_;
  path_ = std::move(other.path_), why_ = std::move(other.why_);
  temporary_ = std::exchange(other.temporary_, {});
  return *this;
}

PackedMemory::~PackedMemory() { release(); }

void PackedMemory::release() noexcept {
  if (mapping_)
    munmap(mapping_, static_cast<size_t>(kHeader + bytes_));
  else
    std::free(data_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
  data_ = nullptr, mapping_ = nullptr;
  temporary_.clear();
}

PackedMemory PackedMemory::open(const std::string& path, int64_t bytes, uint64_t layout, Pool& pool,
                                const zs_call* call) {
  PackedMemory memory;
  if (path.empty()) return memory;
  const File file(path.c_str(), O_RDONLY);
  struct stat info{};
  Header header{};
  if (file.fd() < 0 || fstat(file.fd(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size != kHeader + bytes)
    return memory;
  if (pread(file.fd(), &header, sizeof header, 0) != sizeof header ||
      std::memcmp(header.magic, kMagic, sizeof kMagic) || header.version != kPackedVersion || header.bytes != bytes ||
      header.layout != layout)
    return memory;
  void* mapping = mmap(nullptr, static_cast<size_t>(kHeader + bytes), PROT_READ, MAP_SHARED, file.fd(), 0);
  if (mapping == MAP_FAILED) return memory;
  PackedMemory found;
  found.mapping_ = mapping, found.data_ = static_cast<uint8_t*>(mapping) + kHeader;
  found.bytes_ = bytes, found.layout_ = layout, found.path_ = path;
  madvise(mapping, static_cast<size_t>(kHeader + bytes), MADV_WILLNEED);
  if (sum_of(found.data_, bytes, pool, call) != header.sum) return memory;
  return found;
}

PackedMemory PackedMemory::make(const std::string& path, int64_t bytes, uint64_t layout) {
  PackedMemory memory;
  memory.bytes_ = bytes, memory.layout_ = layout, memory.path_ = path;
  if (!path.empty()) {
    const std::string temporary = path + "." + std::to_string(getpid());
    unlink(temporary.c_str());  // of a process that had our number
    const File file(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL);
    int wrong = file.fd() < 0 ? errno : reserve(file.fd(), kHeader + bytes);
    if (file.fd() >= 0) memory.temporary_ = temporary;
    if (!wrong) {
      void* mapping =
          mmap(nullptr, static_cast<size_t>(kHeader + bytes), PROT_READ | PROT_WRITE, MAP_SHARED, file.fd(), 0);
      if (mapping != MAP_FAILED) {
        memory.mapping_ = mapping, memory.data_ = static_cast<uint8_t*>(mapping) + kHeader;
        return memory;
      }
      wrong = errno;
    }
    memory.why_ = std::string(std::strerror(wrong)) + ": " + path;
    if (!memory.temporary_.empty()) unlink(memory.temporary_.c_str());
    memory.temporary_.clear();
  }
  memory.data_ = static_cast<uint8_t*>(huge_memory(bytes));
  return memory;
}

void PackedMemory::save(Pool& pool, const zs_call* call) {
  if (!mapping_) return;
  Header header{{}, kPackedVersion, 0, bytes_, layout_, sum_of(data_, bytes_, pool, call)};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  std::memcpy(mapping_, &header, sizeof header);
  mprotect(mapping_, static_cast<size_t>(kHeader + bytes_), PROT_READ);
  if (rename(temporary_.c_str(), path_.c_str()) != 0)
    why_ = std::string(std::strerror(errno)) + ": " + path_, unlink(temporary_.c_str());
  temporary_.clear();  // the mapping is as good without a name
}

}  // namespace zs
