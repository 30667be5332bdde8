#include "model/packed_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
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
constexpr int kNames = 64;  // that are tried for a file that is being made

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t reserved;
  int64_t bytes;
  uint64_t layout, sum;
};

// All of the first page: what is not said is zero.
std::vector<char> header_page(int64_t bytes, uint64_t layout, uint64_t sum) {
  const Header header{{'z', 's', 'l', 'a', 'b', 'w', 'e', 'i'}, kPackedVersion, 0, bytes, layout, sum};
  std::vector<char> page(static_cast<size_t>(kHeader));
  std::memcpy(page.data(), &header, sizeof header);
  return page;
}

// O_NONBLOCK: a pipe of that name is not waited for.
int open_file(const std::string& path, int flags) { return open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, 0644); }

// Whoever makes a file has it locked until it has its name: what is not locked was left behind. Where nothing can be locked, nothing is found
// to be left behind.
bool lock(int fd) { return flock(fd, LOCK_EX | LOCK_NB) == 0; }

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

// The file's blocks are taken at once: a disk that fills up while a mapping is written ends the process. 0, or what is wrong.
int reserve(int fd, int64_t bytes) {
  constexpr int64_t kStep = kUnit * 64;
  std::vector<char> zeros;
  for (int64_t at = 0; at < bytes;) {
    const int64_t step = std::min(zeros.empty() ? kStep : kUnit, bytes - at);
    if (zeros.empty()) {
#if defined(__linux__)
      const int wrong = posix_fallocate(fd, static_cast<off_t>(at), static_cast<off_t>(step));
      if (wrong == 0) at += step;
      if (wrong == 0 || wrong == EINTR) continue;
      if (wrong != EOPNOTSUPP && wrong != ENOSYS && wrong != EINVAL) return wrong;
#endif
      zeros.resize(static_cast<size_t>(kUnit));
      continue;
    }
    const ssize_t wrote = pwrite(fd, zeros.data(), static_cast<size_t>(step), static_cast<off_t>(at));
    if (wrote < 0 && errno != EINTR) return errno;
    if (wrote == 0) return ENOSPC;
    at += std::max<ssize_t>(wrote, 0);
  }
  return 0;
}

// Removes what processes that ended while they made a file of this folder left there.
void remove_leftovers(const std::string& path) {
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  DIR* const all = opendir(folder.empty() ? "." : folder.c_str());
  if (!all) return;
  while (const dirent* entry = readdir(all)) {
    const std::string name = entry->d_name;
    if (name.find(kPackedTemporary) == std::string::npos) continue;
    const Descriptor file(open_file(folder + name, O_RDONLY));
    if (file.number() >= 0 && lock(file.number())) unlink((folder + name).c_str());
  }
  closedir(all);
}

// A new file beside `path`, locked; its name in `name`. Or what is wrong in `wrong`.
Descriptor new_file(const std::string& path, std::string& name, int& wrong) {
  static std::atomic<uint32_t> next{0};  // two threads may make the same file
  for (int i = 0; i < kNames; ++i) {
    name = path + kPackedTemporary + std::to_string(getpid()) + "-" + std::to_string(next++);
    Descriptor file(open_file(name, O_RDWR | O_CREAT | O_EXCL));
    if (file.number() < 0) {
      if ((wrong = errno) != EEXIST) break;  // EEXIST: of a process that has or had our number
      continue;
    }
    // Between its making and its lock another process may take it for left behind: it is not this one's then.
    struct stat info{};
    wrong = lock(file.number()) || errno != EWOULDBLOCK ? 0 : EAGAIN;
    if (!wrong && (fstat(file.number(), &info) != 0 || info.st_nlink == 0)) wrong = EAGAIN;
    if (!wrong) return file;
    unlink(name.c_str());
  }
  name.clear();
  return Descriptor();
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) close(number_);
}

PackedMemory& PackedMemory::operator=(PackedMemory&& other) noexcept {
  if (this == &other) return *this;
  release();
  data_ = std::exchange(other.data_, nullptr), mapping_ = std::exchange(other.mapping_, nullptr);
  bytes_ = other.bytes_, layout_ = other.layout_;
  path_ = std::move(other.path_), why_ = std::move(other.why_);
  temporary_ = std::exchange(other.temporary_, {});
  making_ = std::move(other.making_);
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
  making_ = Descriptor();
}

PackedMemory PackedMemory::open(const std::string& path, int64_t bytes, uint64_t layout, Pool& pool,
                                const zs_call* call) {
  PackedMemory memory;
  if (path.empty()) return memory;
  remove_leftovers(path);
  const Descriptor file(open_file(path, O_RDONLY));
  struct stat info{};
  if (file.number() < 0 || fstat(file.number(), &info) != 0 || !S_ISREG(info.st_mode) ||
      info.st_size != kHeader + bytes)
    return memory;
  void* mapping = mmap(nullptr, static_cast<size_t>(kHeader + bytes), PROT_READ, MAP_SHARED, file.number(), 0);
  if (mapping == MAP_FAILED) return memory;
  PackedMemory found;
  found.mapping_ = mapping, found.data_ = static_cast<uint8_t*>(mapping) + kHeader;
  found.bytes_ = bytes, found.layout_ = layout, found.path_ = path;
  Header header{};
  std::memcpy(&header, mapping, sizeof header);
  if (std::memcmp(mapping, header_page(bytes, layout, header.sum).data(), static_cast<size_t>(kHeader)) != 0)
    return memory;
  madvise(mapping, static_cast<size_t>(kHeader + bytes), MADV_WILLNEED);
  if (sum_of(found.data_, bytes, pool, call) != header.sum) return memory;
  return found;
}

PackedMemory PackedMemory::make(const std::string& path, int64_t bytes, uint64_t layout) {
  PackedMemory memory;
  memory.bytes_ = bytes, memory.layout_ = layout, memory.path_ = path;
  if (!path.empty()) {
    int wrong = 0;
    memory.making_ = new_file(path, memory.temporary_, wrong);
    const int file = memory.making_.number();
    if (!wrong) wrong = reserve(file, kHeader + bytes);
    if (!wrong) {
      void* mapping = mmap(nullptr, static_cast<size_t>(kHeader + bytes), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
      if (mapping != MAP_FAILED) {
        memory.mapping_ = mapping, memory.data_ = static_cast<uint8_t*>(mapping) + kHeader;
        return memory;
      }
      wrong = errno;
    }
    memory.release();
    memory.why_ = std::string(std::strerror(wrong)) + ": " + path;
  }
  memory.data_ = static_cast<uint8_t*>(huge_memory(bytes));
  return memory;
}

void PackedMemory::save(Pool& pool, const zs_call* call) {
  if (!mapping_) return;
  const std::vector<char> header = header_page(bytes_, layout_, sum_of(data_, bytes_, pool, call));
  std::memcpy(mapping_, header.data(), header.size());
  mprotect(mapping_, static_cast<size_t>(kHeader + bytes_), PROT_READ);
  // Without a name the mapping is as good. Where the folder was cleared meanwhile the next load makes the file again.
  if (rename(temporary_.c_str(), path_.c_str()) != 0) {
    if (errno != ENOENT) why_ = std::string(std::strerror(errno)) + ": " + path_;
    unlink(temporary_.c_str());
  }
  temporary_.clear();
  making_ = Descriptor();
}

}  // namespace zs
