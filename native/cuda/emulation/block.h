// Blocks of threads on the calling thread, one after another or, where they wait for each other, all alive at once: each of a block's threads is
// a fiber that runs until it has to wait, for the others of its block or of the grid at a barrier, or for those of its warp in a warp operation.
// What would hang or be undefined on a GPU is a fault.
#ifndef ZSLAB_CUDA_EMULATION_BLOCK_H
#define ZSLAB_CUDA_EMULATION_BLOCK_H

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cuda/emulation/fault.h"
#include "cuda/emulation/fiber.h"

namespace zs::emulation {

struct Index {
  unsigned x = 0, y = 0, z = 0;
};
constexpr int kWarp = 32;

// In which order threads that could all run do so: a kernel's results must not depend on it.
enum class Order { kForward, kReverse, kRandom };
struct Settings {
  Order order = Order::kForward;
  uint64_t seed = 1;
  int together =
      3;  // blocks that are said to have room at once, at most kMostTogether; 0 = such launches are said not to be there
};
Settings& settings();

struct Launch {
  Index grid{1, 1, 1}, block{1, 1, 1};
  size_t shared = 0;      // bytes
  bool together = false;  // all blocks are alive at once, at most kMostTogether of them
};
constexpr unsigned kMostTogether = 6;
// Runs all blocks; a fault ends it (last_fault()). → whether it ran to its end.
bool run(const Launch& launch, const std::function<void()>& kernel);

// What lanes of a warp exchange: each leaves a pointer to what it gives and to where its result goes; the last of the mask to arrive
// computes for all. Arrays are indexed by lane; what those have that do not take part is old.
using WarpOperation = void (*)(uint32_t mask, const void* const* given, void* const* results);

struct Copy {
  void* to;
  const void* from;
  int group;  // how many groups had been committed before
};

// A thread of the running block.
struct Thread {
  Index index;
  int number = 0;
  int warp() const { return number / kWarp; }
  int lane() const { return number % kWarp; }

  enum State { kReady, kAtBarrier, kAtGrid, kInWarp, kDone } state = kReady;
  Place at{"", 0};  // where it waits
  WarpOperation operation = nullptr;
  uint32_t mask = 0;

  int arrays = 0;            // of shared memory, taken so far
  int layouts = 0;           // of shared memory, begun so far
  std::vector<Copy> copies;  // begun and not waited for
  int groups = 0;            // of copies, committed
  // Its own clock, counted by __syncwarp, and the clocks of its warp's lanes that it has waited for since.
  uint32_t clock = 0, seen[kWarp] = {};
  Fiber fiber;
};

// What lanes of a warp wait for each other with.
struct Warp {
  uint32_t absent = 0, waiting = 0;  // lanes that are not there or have ended; lanes in a warp operation
  // Of each that waits: the lane that came first to its operation; of that one: all that have come.
  int group[kWarp] = {};
  uint32_t came[kWarp] = {};
  const void* given[kWarp] = {};
  void* results[kWarp] = {};
};

struct SharedArray {
  void* memory;
  size_t bytes;
};

struct Block {
  Launch launch;
  Index index;
  uint32_t id = 0, first_id = 0;  // of all that ever ran, and of the launch's first
  int place = 0;                  // among those that are alive
  uint32_t epoch = 0;             // barriers passed; those of the grid bring all its blocks to one number,
  uint32_t grid_epoch = 0;        // this one
  std::vector<std::unique_ptr<Thread>> threads;
  std::vector<Warp> warps;
  int count = 0, live = 0, waiting = 0, at_grid = 0;
  std::vector<int> ready;  // threads that became ready since the last round
  std::vector<SharedArray> arrays;
  int layouts = 0;    // begun by the furthest thread; `arrays` are of that one
  size_t shared = 0;  // bytes taken
};

// Of the thread that runs; nullptr outside of kernels.
Thread* thread();
Block* block();
// The same for the emulation itself, which asks at every access: nothing that a thread has to have made first.
extern __thread Thread* running_thread;
extern __thread Block* running_block;

void barrier(Place at);
// Of all threads of all blocks.
void grid_barrier(Place at);
void warp_operation(WarpOperation operation, uint32_t mask, const void* given, void* result, Place at);
void sync_warp(uint32_t mask, Place at);
// The calling thread's arrays begin at the front of shared memory again: those from before are gone, for all of the block.
void shared_layout();
// The next array of shared memory, of so many bytes: the same one for all threads of a block.
void* shared_array(size_t bytes, size_t align, Place at);
void forget_shared(Block& b);
// "thread 5 of block (0, 1, 0)"
std::string name_of(const Block& block, int thread);

}  // namespace zs::emulation
#endif
