#include "cuda/emulation/race.h"

#if defined(ZS_RACE)

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <vector>

#include "cuda/emulation/block.h"
#include "cuda/emulation/memory.h"
#include "cuda/emulation/traffic.h"

namespace zs::emulation::race {

// By binutils, which reads the program each time it is called.
std::vector<std::string> lines_of(const std::vector<const void*>& from) {
  std::vector<std::string> lines(from.size());
  std::string command = "addr2line -e /proc/" + std::to_string(getpid()) + "/exe";
  char text[512];
  for (const void* one : from) {
    std::snprintf(text, sizeof text, " 0x%zx", reinterpret_cast<size_t>(one) - 1);
    command += text;
  }
  FILE* const pipe = from.empty() ? nullptr : popen((command + " 2>/dev/null").c_str(), "r");
  if (!pipe) return lines;
  for (std::string& line : lines) {
    if (!std::fgets(text, sizeof text, pipe)) break;
    line = text;
    line = line.substr(0, line.find_first_of(" \n"));
    line = line.substr(line.rfind('/') + 1);
  }
  pclose(pipe);
  return lines;
}

namespace {

std::string line_of(const void* from) { return lines_of({from}).front(); }

// Bytes that are kept together: as many as each access so far took whole, at most those of the widest; at least the smallest element of a
// kernel's arrays.
constexpr unsigned kMostShift = 4, kLeastShift = 1;

struct Access {
  uint64_t when = 0;  // when_of; 0 = none, as blocks count from 1
  uint32_t clock = 0;
  uint32_t from = 0;  // the instruction, in a program that is loaded where its file says: low
};
struct Word {
  Access write, reads[2];
  enum : uint8_t { kBlank, kPending, kWritten } state = kBlank;
};
struct Region {
  uintptr_t begin, end;
  std::string name;
  int64_t shared_at;
  uint32_t owner;  // the block whose shared memory it is; 0 = device memory
  unsigned shift;  // log2 of a word's bytes
  std::vector<Word> words;
};
// By the first address. Kernels run on the thread that launches them, and launches of several threads do not share memory.
thread_local std::map<uintptr_t, Region> regions;

size_t words_of(size_t bytes, unsigned shift) { return (bytes + (size_t{1} << shift) - 1) >> shift; }

// What was found last for 256 bytes, which are of one region at most, as regions begin at multiples of them.
struct Recent {
  uintptr_t number;  // of these bytes; no memory is at 0
  Region* region;    // nullptr = none
};
constexpr uintptr_t kTogether = kMemoryAlign, kRecent = 256;
__thread Recent recent[kRecent];

// Something else may be from `begin` to `end` now.
void forget(uintptr_t begin, uintptr_t end) {
  const uintptr_t first = begin / kTogether, count = std::min(end / kTogether - first + 1, kRecent);
  for (uintptr_t i = first; i < first + count; ++i) recent[i % kRecent] = {};
}

// The region that has some of these bytes.
__attribute__((noinline)) Region* find(uintptr_t number) {
  auto found = regions.lower_bound((number + 1) * kTogether);
  return found == regions.begin() || (--found)->second.end <= number * kTogether ? nullptr : &found->second;
}

inline Region* region_of(uintptr_t at) {
  const uintptr_t number = at / kTogether;
  Recent& last = recent[number % kRecent];
  if (last.number != number) last = {number, find(number)};
  return last.region && at < last.region->end ? last.region : nullptr;
}

// What was of all bytes of a word is of each of its parts.
__attribute__((noinline)) void refine(Region& region, unsigned shift) {
  std::vector<Word> finer;
  finer.reserve(words_of(region.end - region.begin, shift));
  for (size_t i = 0; i < finer.capacity(); ++i) finer.push_back(region.words[i >> (region.shift - shift)]);
  region.words.swap(finer);
  region.shift = shift;
}

// The words from byte `at` to `end` of a region, made so small that no word has other bytes, too.
struct Span {
  Word* word;
  uintptr_t index, count;
};
inline Span span_of(Region& region, uintptr_t at, uintptr_t end) {
  end = std::min(end, region.end);
  const uintptr_t from = at - region.begin, to = end - region.begin;
  const uintptr_t ends = from | (end == region.end ? 0 : to);
  if (ends & ((uintptr_t{1} << region.shift) - 1) && region.shift > kLeastShift)
    refine(region, std::max(kLeastShift, static_cast<unsigned>(__builtin_ctzll(ends))));
  const uintptr_t index = from >> region.shift;
  return {&region.words[index], index, words_of(to, region.shift) - index};
}

template <class F>
void each(const void* memory, size_t bytes, F f) {
  const auto at = reinterpret_cast<uintptr_t>(memory);
  Region* const region = bytes ? region_of(at) : nullptr;
  if (!region) return;
  Span span = span_of(*region, at, at + bytes);
  for (; span.count; --span.count, ++span.word) f(*span.word);
}

// Block, barriers passed and thread, in one number that grows with them.
constexpr int kEpochAt = 10, kBlockAt = 32;
uint64_t when_of(uint32_t block, uint32_t epoch, uint32_t thread) {
  return uint64_t{block} << kBlockAt | uint64_t{epoch} << kEpochAt | thread;
}
uint32_t block_of(const Access& one) { return static_cast<uint32_t>(one.when >> kBlockAt); }
uint32_t epoch_of(const Access& one) { return static_cast<uint32_t>(one.when) >> kEpochAt; }
int thread_of(const Access& one) { return static_cast<int>(one.when & ((1u << kEpochAt) - 1)); }

struct Now {
  const Thread& thread;
  const Block& block;
  uint64_t since;  // the last barrier
  Access mine;
};

inline bool in_order(const Access& before, const Now& now) {
  const uint32_t block = block_of(before);
  // An earlier launch, or another block of this one.
  if (block != now.block.id) return block < now.block.first_id || epoch_of(before) < now.block.grid_epoch;
  const int thread = thread_of(before);
  if (before.when < now.since || thread == now.thread.number) return true;
  return thread / kWarp == now.thread.warp() && now.thread.seen[thread % kWarp] >= before.clock;
}

// "byte 8 of device memory at kernel.cu:5"
std::string where(const Region& region, uintptr_t index, const void* from) {
  return "byte " + std::to_string(index << region.shift) + " of " + region.name + " at " + line_of(from);
}

[[noreturn]] void report(const char* does, const char* did, const Access& before, const Region& region, uintptr_t index,
                         const void* from) {
  Block& b = *block();
  const bool same = block_of(before) == b.id;
  const std::string who = same ? "thread " + std::to_string(thread_of(before))
                               : "thread " + std::to_string(thread_of(before)) + " of another block";
  fault("a race: " + name_of(b, thread()->number) + ' ' + does + ' ' + where(region, index, from) + ", " + who + ' ' +
        did + " it at " + line_of(reinterpret_cast<const void*>(uintptr_t{before.from})) +
        (same                ? ", and neither a barrier nor __syncwarp lies between"
         : b.launch.together ? ", and no barrier of the grid lies between"
                             : ", and nothing orders blocks"));
}

void count(const Region& of, uintptr_t at, size_t bytes, bool writes, const void* from) {
  const bool shared = of.shared_at >= 0;
  traffic::add(from, shared, writes, shared ? static_cast<uint64_t>(of.shared_at) + (at - of.begin) : at, bytes);
}

inline void access(const void* p, size_t bytes, bool writes, const void* from) {
  const Thread* const running = running_thread;
  if (!running || running->fiber.holds(p)) return;
  const auto at = reinterpret_cast<uintptr_t>(p);
  Region* const region = region_of(at);
  if (!region) return;
  const Block& b = *running_block;
  if (region->owner && region->owner != b.id)
    fault(name_of(b, running->number) + (writes ? " writes " : " reads ") + region->name +
          ", the shared memory of another block, at " + line_of(from));
  if (traffic::counting) count(*region, at, bytes, writes, from);
  const uint64_t since = when_of(b.id, b.epoch, 0);
  const Now now{*running,
                b,
                since,
                {since | static_cast<uint32_t>(running->number), running->clock,
                 static_cast<uint32_t>(reinterpret_cast<uintptr_t>(from))}};
  Span span = span_of(*region, at, at + bytes);
  for (Word* word = span.word; span.count; --span.count, ++word, ++span.index) {
    if (!in_order(word->write, now))
      report(writes ? "writes" : "reads", "wrote", word->write, *region, span.index, from);
    if (!writes && word->state != Word::kWritten)
      fault((word->state == Word::kPending ? "a read before its copy was waited for: "
                                           : "a read of what nobody wrote (or not yet, where a barrier is missing): ") +
            name_of(b, running->number) + " reads " + where(*region, span.index, from));
    if (writes) {
      for (const Access& read : word->reads)
        if (!in_order(read, now)) report("writes", "read", read, *region, span.index, from);
      word->write = now.mine;
      word->reads[0].when = word->reads[1].when = 0;
      word->state = Word::kWritten;
    } else {
      // The first and the last of those that read at the same time.
      word->reads[in_order(word->reads[0], now) ? 0 : 1] = now.mine;
    }
  }
}

}  // namespace

void region(void* memory, size_t bytes, const std::string& name, int64_t shared_at) {
  const auto at = reinterpret_cast<uintptr_t>(memory);
  regions[at] = {at,
                 at + bytes,
                 name,
                 shared_at,
                 shared_at < 0 ? 0 : block()->id,
                 kMostShift,
                 std::vector<Word>(words_of(bytes, kMostShift))};
  forget(at, at + bytes);
}
void no_region(void* memory) {
  const auto found = regions.find(reinterpret_cast<uintptr_t>(memory));
  if (found == regions.end()) return;
  const uintptr_t begin = found->second.begin, end = found->second.end;
  regions.erase(found);
  forget(begin, end);
}
void pending(const void* to, const void* source, size_t bytes, const void* from) {
  access(source, bytes, false, from);
  access(to, bytes, true, from);
  each(to, bytes, [](Word& word) { word.state = Word::kPending; });
}
void copied(const void* to, size_t bytes, const void*) {
  // The copy was counted and judged as a write where it began.
  each(to, bytes, [](Word& word) { word.state = Word::kWritten; });
}
void written_by_host(const void* to, size_t bytes) {
  each(to, bytes, [](Word& word) {
    word = {};
    word.state = Word::kWritten;
  });
}

}  // namespace zs::emulation::race

// What the instrumentation calls.
#define ZS_HERE __builtin_return_address(0)
#define ZS_HOOKS(size)                                                                                           \
  extern "C" void __tsan_read##size(void* p) { zs::emulation::race::access(p, size, false, ZS_HERE); }           \
  extern "C" void __tsan_write##size(void* p) { zs::emulation::race::access(p, size, true, ZS_HERE); }           \
  extern "C" void __tsan_unaligned_read##size(void* p) { zs::emulation::race::access(p, size, false, ZS_HERE); } \
  extern "C" void __tsan_unaligned_write##size(void* p) { zs::emulation::race::access(p, size, true, ZS_HERE); }
ZS_HOOKS(1)
ZS_HOOKS(2)
ZS_HOOKS(4)
ZS_HOOKS(8)
ZS_HOOKS(16)
extern "C" void __tsan_init() {}
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit() {}
extern "C" void __tsan_read_range(void* p, size_t bytes) { zs::emulation::race::access(p, bytes, false, ZS_HERE); }
extern "C" void __tsan_write_range(void* p, size_t bytes) { zs::emulation::race::access(p, bytes, true, ZS_HERE); }
extern "C" void __tsan_vptr_update(void*, void*) {}
extern "C" void __tsan_vptr_read(void*) {}
// Host code beside the kernels counts who holds its memory.
extern "C" int __tsan_atomic32_fetch_add(volatile int* p, int more, int) {
  if (zs::emulation::thread()) zs::emulation::fault("an atomic operation: kernels have none");
  return __atomic_fetch_add(p, more, __ATOMIC_SEQ_CST);
}

#endif
