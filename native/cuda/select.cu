// A block a task. Scores become whole numbers whose order is theirs. The score of the last that is taken is found digit by digit, from the
// highest on: counted by every thread for itself, in columns of shared memory, so that nothing depends on who comes first. Who is taken then
// follows from the slots' order alone, and those are put in order by a stable sort, digit by digit from the lowest on.
#include "cuda/exact.h"
#include "cuda/select.h"
#include "cuda/tuning.h"

namespace zs::cuda {
namespace {

constexpr unsigned kAll = 0xffffffffu;
constexpr int kWarp = 32, kWarps = kSelectThreads / kWarp, kBits = 4, kDigits = 1 << kBits;
static_assert(kWarps == kDigits, "a warp for each digit");

struct SelectLayout {
  int *counts, *lanes, *totals, *bases;
  template <class Shared>
  __host__ __device__ explicit SelectLayout(Shared& shared) {
    counts = shared.template take<int>(kDigits * kSelectThreads);  // [digit][thread]
    lanes = shared.template take<int>(kSelectThreads);
    totals = shared.template take<int>(2 * kWarps);
    bases = shared.template take<int>(kDigits);
  }
};

// Greater for greater scores; not-a-number like minus infinity, both zeros alike.
__device__ __forceinline__ uint32_t key_of(float score) {
  const uint32_t bits = gpu::bits_of(score != score ? minus_infinity() : score == 0.0f ? 0.0f : score);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ int digit_of(uint32_t key, int shift) {
  return static_cast<int>(key >> shift & (kDigits - 1));
}

// Pieces of what is counted are the threads' in this order: lane by lane of all warps, so that a warp that adds up goes through whole rows.
__device__ __forceinline__ int piece_of(int t) { return t % kWarp * kWarps + t / kWarp; }

__device__ __forceinline__ void clear(const SelectLayout& at) {
  const int t = static_cast<int>(threadIdx.x);
  ZS_UNROLL for (int digit = 0; digit < kDigits; ++digit) at.counts[digit * kSelectThreads + t] = 0;
}

// Of each digit: its count in totals, and for every thread what the pieces before its own have. Ends at a barrier.
__device__ void add_up(const SelectLayout& at) {
  __syncthreads();
  const int t = static_cast<int>(threadIdx.x), lane = t % kWarp, digit = t / kWarp;
  int* const mine = at.counts + digit * kSelectThreads + lane;
  int sum = 0;
  for (int k = 0; k < kWarps; ++k) {
    const int count = mine[k * kWarp];
    mine[k * kWarp] = sum;
    sum += count;
  }
  at.lanes[t] = sum;
  __syncwarp();
  int before = 0;
  for (int other = 0; other < kWarp; ++other) before += other < lane ? at.lanes[digit * kWarp + other] : 0;
  if (lane == kWarp - 1) at.totals[digit] = before + sum;
  for (int k = 0; k < kWarps; ++k) mine[k * kWarp] += before;
  __syncthreads();
}

// The key of the last that is taken, and how many of those with this key are taken.
struct Last {
  uint32_t key;
  int of_equals;
};
__device__ Last last_taken(const SelectLayout& at, const SelectTask& task) {
  const int t = static_cast<int>(threadIdx.x);
  uint32_t key = 0;
  int left = task.count;
  for (int shift = 32 - kBits; shift >= 0; shift -= kBits) {
    clear(at);
    for (int slot = task.from + t; slot < task.to; slot += kSelectThreads) {
      const uint32_t one = key_of(task.scores[slot]);
      // In two steps: by 32 bits at once nothing can be shifted.
      if (one >> shift >> kBits == key >> shift >> kBits) ++at.counts[digit_of(one, shift) * kSelectThreads + t];
    }
    add_up(at);
    int digit = kDigits - 1;
    for (; digit && at.totals[digit] < left; --digit) left -= at.totals[digit];
    key |= static_cast<uint32_t>(digit) << shift;
    __syncthreads();
  }
  return {key, left};
}

// Each warp has a piece of the range: which of its slots are taken follows from how many the pieces before have.
__device__ void part(const SelectLayout& at, const SelectTask& task, Last last) {
  const int t = static_cast<int>(threadIdx.x), lane = t % kWarp, warp = t / kWarp, slots = task.to - task.from;
  const int piece = (slots + kSelectThreads - 1) / kSelectThreads * kWarp;
  const int begin = min(task.from + warp * piece, task.to), end = min(begin + piece, task.to);
  const unsigned below = (1u << lane) - 1u;
  // f(slot, whether there is one, above, equal): bits of the lanes with greater keys, and with the same as the last.
  const auto each = [&](auto f) {
    for (int first = begin; first < end; first += kWarp) {
      const int slot = first + lane;
      const bool there = slot < end;
      const uint32_t key = there ? key_of(task.scores[slot]) : 0;
      const unsigned above = __ballot_sync(kAll, there && key > last.key);
      f(slot, there, key, above, __ballot_sync(kAll, there && key == last.key));
    }
  };
  int above = 0, equal = 0;
  each([&](int, bool, uint32_t, unsigned higher, unsigned same) {
    above += __popc(higher);
    equal += __popc(same);
  });
  if (lane == 0) {
    at.totals[warp] = above;
    at.totals[kWarps + warp] = equal;
  }
  __syncthreads();
  int taken = 0, equals = 0;
  for (int w = 0; w < warp; ++w) {
    taken += at.totals[w];
    equals += at.totals[kWarps + w];
  }
  taken += min(equals, last.of_equals);
  each([&](int slot, bool there, uint32_t key, unsigned higher, unsigned same) {
    const bool mine = (higher >> lane & 1u) || ((same >> lane & 1u) && equals + __popc(same & below) < last.of_equals);
    const unsigned all = __ballot_sync(kAll, mine);
    const int before = taken + __popc(all & below);
    if (mine) {
      task.best[before] = slot;
      task.scratch[before] = key;
    } else if (there) {
      task.rest[slot - task.from - before] = slot;
    }
    taken += __popc(all);
    equals += __popc(same);
  });
  __syncthreads();
}

struct Pairs {
  uint32_t* key;
  int32_t* slot;
};

// Those taken, which are in the order of slots, by descending keys; equal ones stay as they are.
__device__ void sort(const SelectLayout& at, const SelectTask& task) {
  const int t = static_cast<int>(threadIdx.x), piece = (task.count + kSelectThreads - 1) / kSelectThreads;
  const int begin = min(piece_of(t) * piece, task.count), end = min(begin + piece, task.count);
  if (task.count < 2) return;
  Pairs from = {task.scratch, task.best};
  Pairs to = {task.scratch + task.count,
              reinterpret_cast<int32_t*>(task.scratch + 2 * static_cast<int64_t>(task.count))};
  for (int shift = 0; shift < 32; shift += kBits) {
    clear(at);
    for (int i = begin; i < end; ++i) ++at.counts[digit_of(from.key[i], shift) * kSelectThreads + t];
    add_up(at);
    if (t < kDigits) {
      int base = 0;
      for (int digit = kDigits - 1; digit > t; --digit) base += at.totals[digit];
      at.bases[t] = base;
    }
    __syncthreads();
    for (int i = begin; i < end; ++i) {
      const uint32_t key = from.key[i];
      const int digit = digit_of(key, shift), place = at.bases[digit] + at.counts[digit * kSelectThreads + t]++;
      to.key[place] = key;
      to.slot[place] = from.slot[i];
    }
    __syncthreads();
    const Pairs back = from;
    from = to;
    to = back;
  }
}

__global__ void __launch_bounds__(kSelectThreads, 2) select_best(const SelectTask* tasks) {
  const SelectTask task = tasks[blockIdx.x];
  gpu::Shared shared;
  const SelectLayout at(shared);
  part(at, task, task.count ? last_taken(at, task) : Last{kAll, 0});
  sort(at, task);
}

}  // namespace

std::string select(const SelectTask* tasks, int32_t count, gpu::Stream stream) {
  gpu::Shared shared = gpu::Shared::counting();
  const SelectLayout layout(shared);
  (void)layout;
  return gpu::launch(select_best, gpu::Grid{static_cast<unsigned>(count), 1, 1}, kSelectThreads, shared.bytes(), stream,
                     tasks);
}

}  // namespace zs::cuda
