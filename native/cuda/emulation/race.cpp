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

// Bytes that are kept together: the smallest element of a kernel's arrays.
constexpr uintptr_t kWord = 2;

struct Access {
  uint32_t block = 0;  // 0 = none
  uint32_t epoch = 0, clock = 0;
  int32_t thread = 0;
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
  std::vector<Word> words;
};
// By the first address. Kernels run on the thread that launches them, and launches of several threads do not share memory.
thread_local std::map<uintptr_t, Region> regions;

// What was found last for 256 bytes, which are of one region at most, as regions begin at multiples of them.
struct Recent {
  uintptr_t number;  // of these bytes; no memory is at 0
  Region* region;    // nullptr = none
};
constexpr uintptr_t kTogether = kMemoryAlign, kRecent = 256;
thread_local Recent recent[kRecent];

Region* find(uintptr_t at) {
  auto found = regions.upper_bound(at);
  return found == regions.begin() ? nullptr : &(--found)->second;
}

Word* word_of(uintptr_t at, const Region** region, uintptr_t* index) {
  const uintptr_t number = at / kTogether;
  Recent& last = recent[number % kRecent];
  if (last.number != number) last = {number, find(at)};
  if (!last.region || at >= last.region->end) return nullptr;
  *region = last.region;
  *index = (at - last.region->begin) / kWord;
  return &last.region->words[*index];
}

template <class F>
void each(const void* memory, size_t bytes, F f) {
  const auto from = reinterpret_cast<uintptr_t>(memory);
  const Region* region;
  uintptr_t index;
  for (uintptr_t at = from; at < from + bytes; at += kWord)
    if (Word* word = word_of(at, &region, &index)) f(*word);
}

bool in_order(const Access& before, const Thread& now, const Block& b) {
  // An earlier launch, or another block of this one.
  if (before.block != b.id) return before.block < b.first_id || before.epoch < b.grid_epoch;
  if (before.thread == now.number || before.epoch < b.epoch) return true;
  return before.thread / kWarp == now.warp() && now.seen[before.thread % kWarp] >= before.clock;
}

[[noreturn]] void report(const char* does, const char* did, const Access& before, const Region& region, uintptr_t index,
                         const void* from) {
  Block& b = *block();
  const bool same = before.block == b.id;
  const std::string who = same ? "thread " + std::to_string(before.thread)
                               : "thread " + std::to_string(before.thread) + " of another block";
  fault("a race: " + name_of(b, thread()->number) + ' ' + does + " byte " + std::to_string(index * kWord) + " of " +
        region.name + " at " + line_of(from) + ", " + who + ' ' + did + " it at " +
        line_of(reinterpret_cast<const void*>(uintptr_t{before.from})) +
        (same                ? ", and neither a barrier nor __syncwarp lies between"
         : b.launch.together ? ", and no barrier of the grid lies between"
                             : ", and nothing orders blocks"));
}

void count(const Region& of, uintptr_t at, size_t bytes, bool writes, const void* from) {
  const bool shared = of.shared_at >= 0;
  traffic::add(from, shared, writes, shared ? static_cast<uint64_t>(of.shared_at) + (at - of.begin) : at, bytes);
}

void access(const void* p, size_t bytes, bool writes, const void* from) {
  Thread* now = thread();
  if (!now || now->fiber.holds(p)) return;
  const Block& b = *block();
  const auto at = reinterpret_cast<uintptr_t>(p);
  const Region* region;
  uintptr_t index;
  Word* word = word_of(at, &region, &index);
  if (!word) return;
  if (region->owner && region->owner != b.id)
    fault(name_of(b, now->number) + (writes ? " writes " : " reads ") + region->name +
          ", the shared memory of another block, at " + line_of(from));
  count(*region, at, bytes, writes, from);
  for (uintptr_t n = (bytes + kWord - 1) / kWord; n; --n, ++word, ++index) {
    if (word->write.block && !in_order(word->write, *now, b))
      report(writes ? "writes" : "reads", "wrote", word->write, *region, index, from);
    if (!writes && word->state != Word::kWritten)
      fault((word->state == Word::kPending ? "a read before its copy was waited for: "
                                           : "a read of what nobody wrote (or not yet, where a barrier is missing): ") +
            name_of(b, now->number) + " reads byte " + std::to_string(index * kWord) + " of " + region->name + " at " +
            line_of(from));
    const Access mine{b.id, b.epoch, now->clock, now->number, static_cast<uint32_t>(reinterpret_cast<uintptr_t>(from))};
    if (writes) {
      for (const Access& read : word->reads)
        if (read.block && !in_order(read, *now, b)) report("writes", "read", read, *region, index, from);
      word->write = mine;
      word->reads[0].block = word->reads[1].block = 0;
      word->state = Word::kWritten;
    } else {
      // The first and the last of those that read at the same time.
      word->reads[!word->reads[0].block || in_order(word->reads[0], *now, b) ? 0 : 1] = mine;
    }
  }
}

}  // namespace

void region(void* memory, size_t bytes, const std::string& name, int64_t shared_at) {
  const auto at = reinterpret_cast<uintptr_t>(memory);
  regions[at] = {
      at, at + bytes, name, shared_at, shared_at < 0 ? 0 : block()->id, std::vector<Word>((bytes + kWord - 1) / kWord)};
  std::fill_n(recent, kRecent, Recent{});
}
void no_region(void* memory) {
  regions.erase(reinterpret_cast<uintptr_t>(memory));
  std::fill_n(recent, kRecent, Recent{});
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

#endif
