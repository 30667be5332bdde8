#include "cuda/emulation/block.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "cuda/emulation/memory.h"
#include "cuda/emulation/traffic.h"

namespace zs::emulation {
namespace {

struct Runner {
  Block block;
  std::string fault;
  const std::function<void()>* kernel = nullptr;
  std::vector<int> ready;  // that became ready since the last round
  uint64_t random = 0;
};
thread_local Runner runner;
// What runs now, asked for so often that it is no part of what a thread has to have made first.
thread_local Thread* running = nullptr;
thread_local Block* running_block = nullptr;
// Unwinds the thread that has a fault; the launch ends with it, and what the others had on their stacks is given up.
struct Ended {};
thread_local std::string last;

uint64_t draw() {
  uint64_t z = (runner.random += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

// Puts what may run next into the order asked for.
template <class T>
void arrange(std::vector<T>& items) {
  const Order order = settings().order;
  if (order != Order::kRandom) {
    // Mostly they are: operations let lanes go on in their order.
    if (!std::is_sorted(items.begin(), items.end())) std::sort(items.begin(), items.end());
    if (order == Order::kReverse) std::reverse(items.begin(), items.end());
    return;
  }
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[draw() % i]);
}

void make_ready(Thread& one) {
  one.state = Thread::kReady;
  runner.ready.push_back(one.number);
}

// All that are left have come: they go on, but for `last_come`, which does so by itself.
void release(const Thread* last_come) {
  Block& b = runner.block;
  ++b.epoch;
  b.waiting = 0;
  const Thread* first = nullptr;
  for (int i = 0; i < b.count; ++i) {
    Thread& one = *b.threads[i];
    if (one.state == Thread::kDone) continue;
    if (first && !(one.at == first->at))
      fault("barriers that are not the same: " + name_of(b, first->number) + " waits at " + first->at.text() + ", " +
            name_of(b, i) + " at " + one.at.text() + "; all threads of a block must come to one __syncthreads()");
    first = &one;
  }
  for (int i = 0; i < b.count; ++i) {
    Thread& one = *b.threads[i];
    if (one.state != Thread::kAtBarrier) continue;
    if (&one == last_come)
      one.state = Thread::kReady;
    else
      make_ready(one);
  }
}

void wait() { running->fiber.pause(); }

void ended(Thread& one) {
  Block& b = runner.block;
  if (!one.copies.empty())
    fault(name_of(b, one.number) + " ends with " + std::to_string(one.copies.size()) +
          " asynchronous copies that it did not wait for");
  one.state = Thread::kDone;
  b.warps[one.warp()].absent |= 1u << one.lane();
  --b.live;
  if (b.live && b.waiting == b.live) release(nullptr);
}

void main_of_thread(void* of) {
  Thread& one = *static_cast<Thread*>(of);
  try {
    (*runner.kernel)();
    ended(one);
  } catch (const Ended&) {
  }
  one.fiber.leave();
}

std::string who_waits(const Block& b) {
  std::string text;
  const Thread* before = nullptr;
  int told = 0;
  for (int i = 0; i < b.count && told < 6; ++i) {
    const Thread& one = *b.threads[i];
    if (one.state == Thread::kDone || one.state == Thread::kReady) continue;
    if (before && before->state == one.state && before->at == one.at) continue;
    text += (told++ ? ", " : "") + std::string("thread ") + std::to_string(i) +
            (one.state == Thread::kAtBarrier ? " at the barrier " : " in the warp operation ") + one.at.text();
    before = &one;
  }
  return text;
}

void run_block() {
  Block& b = runner.block;
  std::vector<int> round;
  for (int i = 0; i < b.count; ++i) round.push_back(i);
  while (b.live && runner.fault.empty()) {
    arrange(round);
    for (const int i : round) {
      running = b.threads[i].get();
      running->fiber.resume();
      running = nullptr;
      if (!runner.fault.empty()) return;
    }
    round.swap(runner.ready);
    runner.ready.clear();
    if (round.empty() && b.live) {
      char at[64];
      std::snprintf(at, sizeof at, "block (%u, %u, %u)", b.index.x, b.index.y, b.index.z);
      runner.fault = std::string("a deadlock: in ") + at + " nobody can go on: " + who_waits(b);
    }
  }
}

void begin_block(const Launch& launch, Index index) {
  Block& b = runner.block;
  running_block = &b;
  b.launch = launch;
  b.index = index;
  ++b.id;
  b.epoch = 0;
  b.count = b.live = static_cast<int>(launch.block.x * launch.block.y * launch.block.z);
  b.waiting = 0;
  b.shared = 0;
  runner.ready.clear();
  b.warps.assign(static_cast<size_t>((b.count + kWarp - 1) / kWarp), Warp());
  if (b.count % kWarp) b.warps.back().absent = ~0u << b.count % kWarp;
  while (static_cast<int>(b.threads.size()) < b.count) b.threads.push_back(std::make_unique<Thread>());
  for (int i = 0; i < b.count; ++i) {
    Thread& one = *b.threads[i];
    const auto number = static_cast<unsigned>(i);
    one.number = i;
    one.index = {number % launch.block.x, number / launch.block.x % launch.block.y,
                 number / launch.block.x / launch.block.y};
    one.state = Thread::kReady;
    one.arrays = one.groups = 0;
    one.copies.clear();
    one.clock = 1;
    std::fill_n(one.seen, kWarp, 0u);
    one.fiber.start(main_of_thread, &one);
  }
}

void end_block() {
  traffic::end_block();
  for (const SharedArray& array : runner.block.arrays) forget_memory(array.memory);
  runner.block.arrays.clear();
}

}  // namespace

Settings& settings() {
  static Settings it;
  return it;
}
Thread* thread() { return running; }
Block* block() { return running_block; }
const std::string& last_fault() { return last; }

void fault(const std::string& what) {
  runner.fault = what;
#if defined(ZS_RACE)
  // The instrumentation's calls do not let exceptions through; whatever the stack holds is given up.
  running->fiber.leave();
  std::abort();
#else
  throw Ended();
#endif
}

std::string name_of(const Block& b, int thread) {
  return "thread " + std::to_string(thread) + " of block (" + std::to_string(b.index.x) + ", " +
         std::to_string(b.index.y) + ", " + std::to_string(b.index.z) + ")";
}

bool run(const Launch& launch, const std::function<void()>& kernel) {
  runner.fault.clear();
  runner.kernel = &kernel;
  runner.random = settings().seed;
  const uint64_t threads = static_cast<uint64_t>(launch.block.x) * launch.block.y * launch.block.z;
  if (threads < 1 || threads > 1024)
    runner.fault = "a launch of " + std::to_string(threads) + " threads a block: 1 to 1024 are possible";
  if (!launch.grid.x || !launch.grid.y || !launch.grid.z) runner.fault = "a launch of no blocks";
  if (launch.grid.y > 65535 || launch.grid.z > 65535)
    runner.fault = "a launch with a grid of more than 65,535 in y or z";
  if (launch.shared > (227u << 10))
    runner.fault =
        "a launch that asks for " + std::to_string(launch.shared) + " bytes of shared memory: a block can have 232,448";
  std::vector<uint64_t> blocks;
  if (runner.fault.empty())
    for (uint64_t i = 0; i < static_cast<uint64_t>(launch.grid.x) * launch.grid.y * launch.grid.z; ++i)
      blocks.push_back(i);
  arrange(blocks);
  runner.block.first_id = runner.block.id + 1;
  for (const uint64_t i : blocks) {
    begin_block(launch,
                {static_cast<unsigned>(i % launch.grid.x), static_cast<unsigned>(i / launch.grid.x % launch.grid.y),
                 static_cast<unsigned>(i / launch.grid.x / launch.grid.y)});
    run_block();
    end_block();
    if (!runner.fault.empty()) break;
  }
  last = runner.fault;
  return last.empty();
}

void barrier(Place at) {
  Block& b = *running_block;
  Thread& one = *running;
  one.at = at;
  one.state = Thread::kAtBarrier;
  if (++b.waiting == b.live)
    release(&one);
  else
    wait();
}

namespace {
[[noreturn]] void does_not_fit(const Block& b, const Warp& warp, const Thread& one) {
  const int first = one.warp() * kWarp;
  for (int lane = 0;; ++lane) {
    if (!((one.mask & warp.waiting) >> lane & 1u)) continue;
    const Thread& other = *b.threads[first + lane];
    if (other.operation != one.operation || other.mask != one.mask || !(other.at == one.at))
      fault("warp operations that do not fit: " + name_of(b, one.number) + " at " + one.at.text() + ", " +
            name_of(b, other.number) + " at " + other.at.text());
  }
}
}  // namespace

void warp_operation(WarpOperation operation, uint32_t mask, const void* given, void* result, Place at) {
  Block& b = *running_block;
  Thread& one = *running;
  const int lane = one.lane(), first = one.warp() * kWarp;
  const uint32_t own = 1u << lane;
  if (!(mask & own))
    fault(name_of(b, one.number) + " takes part at " + at.text() + " in a warp operation whose mask is without it");
  Warp& warp = b.warps[one.warp()];
  one.at = at;
  one.operation = operation;
  one.mask = mask;
  warp.given[lane] = given;
  warp.results[lane] = result;
  if (mask & warp.absent)
    fault(name_of(b, one.number) + " waits at " + at.text() + " for lane " +
          std::to_string(__builtin_ctz(mask & warp.absent)) + ", which is not there or has ended");
  // All that wait and take part must have come for the same: then they are those of one group, that of the first of them.
  const uint32_t others = mask & warp.waiting;
  const int group = others ? warp.group[__builtin_ctz(others)] : lane;
  if (others) {
    const Thread& other = *b.threads[first + group];
    if (other.operation != operation || other.mask != mask || !(other.at == at) || warp.came[group] != others)
      does_not_fit(b, warp, one);
  }
  if ((others | own) != mask) {
    warp.group[lane] = group;
    warp.came[group] = others | own;
    warp.waiting |= own;
    one.state = Thread::kInWarp;
    return wait();
  }
  operation(mask, warp.given, warp.results);
  warp.waiting &= ~mask;
  for (uint32_t left = others; left; left &= left - 1) make_ready(*b.threads[first + __builtin_ctz(left)]);
}

namespace {
// Whoever comes knows what all have seen.
void join(uint32_t mask, const void* const* given, void* const*) {
  uint32_t seen[kWarp] = {};
  const auto of = [&](int lane) { return static_cast<Thread*>(const_cast<void*>(given[lane])); };
  for (int lane = 0; lane < kWarp; ++lane) {
    if (!(mask >> lane & 1u)) continue;
    Thread& one = *of(lane);
    one.seen[lane] = one.clock++;
    for (int i = 0; i < kWarp; ++i) seen[i] = std::max(seen[i], one.seen[i]);
  }
  for (int lane = 0; lane < kWarp; ++lane)
    if (mask >> lane & 1u) std::copy_n(seen, kWarp, of(lane)->seen);
}
}  // namespace

void sync_warp(uint32_t mask, Place at) { warp_operation(join, mask, running, nullptr, at); }

void* shared_array(size_t bytes, size_t align, Place at) {
  Block& b = *running_block;
  Thread& one = *running;
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
