#include "core/memory.h"

#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "core/buffer.h"

#if defined(__SANITIZE_ADDRESS__)
#define ZS_PLAIN_PAGES 1  // every page a piece of its own, so that the sanitizer sees where it ends
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ZS_PLAIN_PAGES 1
#endif
#endif

#if defined(__linux__) && !defined(ZS_PLAIN_PAGES)
#include <sys/mman.h>

namespace zs {
namespace {

constexpr int64_t kUnit = 4096;                // what pieces are rounded up to
constexpr int64_t kHuge = int64_t{1} << 21;    // a huge page
constexpr int64_t kBlock = int64_t{64} << 20;  // address space of a block; only what is touched is resident
constexpr int64_t kUnits = kBlock / kUnit, kHugeUnits = kHuge / kUnit;

char* map_huge(int64_t bytes) {
  const int64_t whole = bytes + kHuge;
  void* got = mmap(nullptr, static_cast<size_t>(whole), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) throw std::bad_alloc();
  char* const start = static_cast<char*>(got);
  const int64_t before = (kHuge - static_cast<int64_t>(reinterpret_cast<uintptr_t>(start) % kHuge)) % kHuge,
                after = kHuge - before;
  if (before) munmap(start, static_cast<size_t>(before));
  if (after) munmap(start + before + bytes, static_cast<size_t>(after));
  madvise(start + before, static_cast<size_t>(bytes), MADV_HUGEPAGE);  // faster where granted, right where not
  return start + before;
}

struct Block {
  Block() = default;
  ~Block() {
    if (base) munmap(base, static_cast<size_t>(kBlock));
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  bool is_used(int64_t unit) const { return used[unit / 64] >> (unit % 64) & 1; }
  void mark(int64_t from, int64_t count, bool taken) {
    for (int64_t i = from; i < from + count; ++i) {
      const uint64_t bit = uint64_t{1} << (i % 64);
      used[i / 64] = taken ? used[i / 64] | bit : used[i / 64] & ~bit;
    }
    held += taken ? count : -count;
  }
  // The first `count` free units in a row; -1 = there are none.
  int64_t find(int64_t count) const {
    int64_t run = 0;
    for (int64_t i = 0; i < kUnits; ++i) {
      if (i % 64 == 0 && used[i / 64] == ~uint64_t{0}) {
        run = 0;
        i += 63;
      } else if (is_used(i)) {
        run = 0;
      } else if (++run == count) {
        return i + 1 - count;
      }
    }
    return -1;
  }
  // Gives huge pages back that hold nothing any more after [from, from + count) was freed.
  void give_back(int64_t from, int64_t count) {
    for (int64_t huge = from / kHugeUnits; huge <= (from + count - 1) / kHugeUnits; ++huge) {
      bool empty = true;
      for (int64_t word = huge * kHugeUnits / 64; empty && word < (huge + 1) * kHugeUnits / 64; ++word)
        empty = used[word] == 0;
      if (empty) madvise(base + huge * kHuge, static_cast<size_t>(kHuge), MADV_DONTNEED);
    }
  }

  char* base = nullptr;
  int64_t held = 0;
  uint64_t used[kUnits / 64] = {};
};

class Blocks {
 public:
  char* take(int64_t units) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto& block : blocks_) {
      if (kUnits - block->held < units) continue;
      const int64_t at = block->find(units);
      if (at >= 0) return taken(*block, at, units);
    }
    blocks_.reserve(blocks_.size() + 1);
    auto made = std::make_unique<Block>();
    made->base = map_huge(kBlock);
    blocks_.push_back(std::move(made));
    return taken(*blocks_.back(), 0, units);
  }
  void free(char* p, int64_t units) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto& block : blocks_) {
      if (p < block->base || p >= block->base + kBlock) continue;
      const int64_t at = (p - block->base) / kUnit;
      block->mark(at, units, false);
      if (block->held) {
        block->give_back(at, units);
      } else {
        std::swap(block, blocks_.back());
        blocks_.pop_back();
      }
      return;
    }
  }

 private:
  static char* taken(Block& block, int64_t at, int64_t units) {
    block.mark(at, units, true);
    return block.base + at * kUnit;
  }
  std::mutex mutex_;
  std::vector<std::unique_ptr<Block>> blocks_;
};

Blocks& blocks() {
  static Blocks* const all = new Blocks;  // outlives whoever frees late
  return *all;
}

}  // namespace

namespace {

char* take(int64_t units) { return units > kUnits / 2 ? map_huge(units * kUnit) : blocks().take(units); }

void give_back(void* p, int64_t units) noexcept {
  if (units > kUnits / 2)
    munmap(p, static_cast<size_t>(units * kUnit));
  else
    blocks().free(static_cast<char*>(p), units);
}

int64_t units_of(int64_t bytes) {
  if (bytes < 0 || bytes > INT64_MAX / 2) throw std::bad_alloc();
  return bytes ? (bytes + kUnit - 1) / kUnit : 1;
}

constexpr int64_t kShort = kUnit / 2;  // bytes of a column that is not worth a unit

}  // namespace

std::shared_ptr<void> page_memory(int64_t bytes) {
  const int64_t units = units_of(bytes);
  return std::shared_ptr<void>(take(units), [units](void* p) { give_back(p, units); });
}

void* column_memory(int64_t bytes) {
  return bytes < kShort ? ::operator new(static_cast<size_t>(bytes)) : take(units_of(bytes));
}

void free_column(void* column, int64_t bytes) noexcept {
  if (bytes < kShort)
    ::operator delete(column);
  else
    give_back(column, (bytes + kUnit - 1) / kUnit);
}

}  // namespace zs

#else

namespace zs {
std::shared_ptr<void> page_memory(int64_t bytes) { return std::shared_ptr<void>(aligned_bytes(bytes), Freed{}); }
void* column_memory(int64_t bytes) { return ::operator new(static_cast<size_t>(bytes)); }
void free_column(void* column, int64_t) noexcept { ::operator delete(column); }
}  // namespace zs

#endif
