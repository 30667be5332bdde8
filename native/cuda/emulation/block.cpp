#include "cuda/emulation/block.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "cuda/emulation/traffic.h"

namespace zs::emulation {
namespace {

struct Runner {
  std::vector<std::unique_ptr<Block>>
      blocks;  // of a launch whose blocks run one after another the first is all of them in turn
  uint32_t last_id = 0, first_id = 0;  // of a block; of this launch's first
  int alive = 0, at_grid = 0;          // blocks; those that have come to the grid's barrier
  std::string fault;
  const std::function<void()>* kernel = nullptr;
  uint64_t random = 0;
};
thread_local Runner runner;
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

void make_ready(Block& b, Thread& one) {
  one.state = Thread::kReady;
  b.ready.push_back(one.number);
}

// Threads that wait have come to one barrier.
void must_be_one(const Block& b) {
  const Thread* first = nullptr;
  for (int i = 0; i < b.count; ++i) {
    Thread& one = *b.threads[i];
    if (one.state == Thread::kDone) continue;
    if (first && !(one.at == first->at))
      fault("barriers that are not the same: " + name_of(b, first->number) + " waits at " + first->at.text() + ", " +
            name_of(b, i) + " at " + one.at.text() + "; all threads of a block must come to one __syncthreads()");
    first = &one;
  }
}

// They go on, but for `last_come`, which does so by itself.
void go_on_from(Thread::State state, Block& b, const Thread* last_come) {
  for (int i = 0; i < b.count; ++i) {
    Thread& one = *b.threads[i];
    if (one.state != state) continue;
    if (&one == last_come)
      one.state = Thread::kReady;
    else
      make_ready(b, one);
  }
}

// All that are left have come.
void release(Block& b, const Thread* last_come) {
  ++b.epoch;
  b.waiting = 0;
  must_be_one(b);
  go_on_from(Thread::kAtBarrier, b, last_come);
}

// All threads of all blocks have come: what each did before is known to all.
void release_grid(const Thread* last_come) {
  uint32_t epoch = 0;
  for (int i = 0; i < runner.alive; ++i) epoch = std::max(epoch, runner.blocks[i]->epoch);
  runner.at_grid = 0;
  for (int i = 0; i < runner.alive; ++i) {
    Block& b = *runner.blocks[i];
    b.epoch = b.grid_epoch = epoch + 1;
    b.at_grid = 0;
    go_on_from(Thread::kAtGrid, b, last_come);
  }
}

void wait() { running_thread->fiber.pause(); }

void ended(Thread& one) {
  Block& b = *running_block;
  if (!one.copies.empty())
    fault(name_of(b, one.number) + " ends with " + std::to_string(one.copies.size()) +
          " asynchronous copies that it did not wait for");
  one.state = Thread::kDone;
  b.warps[one.warp()].absent |= 1u << one.lane();
  --b.live;
  if (b.live && b.waiting == b.live) release(b, nullptr);
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
            (one.state == Thread::kAtBarrier ? " at the barrier "
             : one.state == Thread::kAtGrid  ? " at the grid's barrier "
                                             : " in the warp operation ") +
            one.at.text();
    before = &one;
  }
  return text;
}

std::string name_of(const Block& b) {
  return "block (" + std::to_string(b.index.x) + ", " + std::to_string(b.index.y) + ", " + std::to_string(b.index.z) +
         ")";
}

// Until nobody of the block can go on: all have ended, or wait for other blocks, or it is a fault.
void go_on(Block& b) {
  running_block = &b;
  std::vector<int> round;
  while (!b.ready.empty()) {
    round.swap(b.ready);
    b.ready.clear();
    arrange(round);
    for (const int i : round) {
      running_thread = b.threads[i].get();
      running_thread->fiber.resume();
      running_thread = nullptr;
      if (!runner.fault.empty()) return;
    }
  }
  if (b.live && b.at_grid < b.count)
    runner.fault = "a deadlock: in " + name_of(b) + " nobody can go on: " + who_waits(b);
}

// The `number`-th block of a launch, in a place of its own among those that are alive.
Block& begin_block(const Launch& launch, uint64_t number, int place) {
  while (static_cast<int>(runner.blocks.size()) <= place) runner.blocks.push_back(std::make_unique<Block>());
  Block& b = *runner.blocks[place];
  b.launch = launch;
  b.index = {static_cast<unsigned>(number % launch.grid.x),
             static_cast<unsigned>(number / launch.grid.x % launch.grid.y),
             static_cast<unsigned>(number / launch.grid.x / launch.grid.y)};
  b.id = ++runner.last_id;
  b.first_id = runner.first_id;
  b.place = place;
  b.epoch = b.grid_epoch = 0;
  b.at_grid = 0;
  b.count = b.live = static_cast<int>(launch.block.x * launch.block.y * launch.block.z);
  b.waiting = 0;
  b.shared = 0;
  b.layouts = 0;
  b.ready.clear();
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
    one.arrays = one.layouts = one.groups = 0;
    one.copies.clear();
    one.clock = 1;
    std::fill_n(one.seen, kWarp, 0u);
    one.fiber.start(main_of_thread, &one);
    b.ready.push_back(i);
  }
  return b;
}

void run_in_turn(const Launch& launch, const std::vector<uint64_t>& order) {
  for (const uint64_t number : order) {
    Block& b = begin_block(launch, number, 0);
    go_on(b);
    traffic::end_block();
    forget_shared(b);
    if (!runner.fault.empty()) return;
  }
}

void run_together(const Launch& launch, const std::vector<uint64_t>& order) {
  runner.alive = static_cast<int>(order.size());
  runner.at_grid = 0;
  std::vector<int> places;
  for (int place = 0; place < runner.alive; ++place) {
    begin_block(launch, order[static_cast<size_t>(place)], place);
    places.push_back(place);
  }
  for (bool goes = true; goes && runner.fault.empty();) {
    goes = false;
    arrange(places);
    for (const int place : places) {
      Block& b = *runner.blocks[place];
      if (b.ready.empty()) continue;
      goes = true;
      go_on(b);
      if (!runner.fault.empty()) break;
    }
  }
  const Block *waits = nullptr, *gone = nullptr;
  for (int place = 0; place < runner.alive; ++place) {
    const Block& b = *runner.blocks[place];
    (b.live ? waits : gone) = &b;
  }
  if (runner.fault.empty() && waits)
    runner.fault = "a deadlock: " + name_of(*waits) + " waits at the grid's barrier " + waits->threads[0]->at.text() +
                   ", to which " + name_of(*gone) + " does not come: it has ended";
  traffic::end_block();
  for (int place = 0; place < runner.alive; ++place) forget_shared(*runner.blocks[place]);
}

}  // namespace

__thread Thread* running_thread = nullptr;
__thread Block* running_block = nullptr;

Settings& settings() {
  static Settings it;
  return it;
}
Thread* thread() { return running_thread; }
Block* block() { return running_block; }
const std::string& last_fault() { return last; }

void fault(const std::string& what) {
  runner.fault = what;
#if defined(ZS_RACE)
  // The instrumentation's calls do not let exceptions through; whatever the stack holds is given up.
  running_thread->fiber.leave();
  std::abort();
#else
  throw Ended();
#endif
}

std::string name_of(const Block& b, int thread) { return "thread " + std::to_string(thread) + " of " + name_of(b); }

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
  const uint64_t count = static_cast<uint64_t>(launch.grid.x) * launch.grid.y * launch.grid.z;
  if (launch.together && count > kMostTogether)
    runner.fault = "a launch of " + std::to_string(count) +
                   " blocks that wait for each other: " + std::to_string(kMostTogether) + " are alive at once";
  std::vector<uint64_t> blocks;
  if (runner.fault.empty())
    for (uint64_t i = 0; i < count; ++i) blocks.push_back(i);
  arrange(blocks);
  runner.first_id = runner.last_id + 1;
  if (launch.together)
    run_together(launch, blocks);
  else
    run_in_turn(launch, blocks);
  last = runner.fault;
  return last.empty();
}

void barrier(Place at) {
  Block& b = *running_block;
  Thread& one = *running_thread;
  one.at = at;
  one.state = Thread::kAtBarrier;
  if (++b.waiting == b.live)
    release(b, &one);
  else
    wait();
}

void grid_barrier(Place at) {
  Block& b = *running_block;
  Thread& one = *running_thread;
  if (!b.launch.together)
    fault("a barrier of the grid at " + at.text() + " in a launch whose blocks are not all alive at once");
  one.at = at;
  one.state = Thread::kAtGrid;
  if (++b.at_grid < b.count) return wait();
  must_be_one(b);
  if (++runner.at_grid < runner.alive) return wait();
  release_grid(&one);
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
  Thread& one = *running_thread;
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
  for (uint32_t left = others; left; left &= left - 1) make_ready(b, *b.threads[first + __builtin_ctz(left)]);
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

void sync_warp(uint32_t mask, Place at) { warp_operation(join, mask, running_thread, nullptr, at); }

}  // namespace zs::emulation
