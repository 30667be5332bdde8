// A block a task. Scores become whole numbers whose order is theirs, kept in shared memory where they fit. The score of the last that is taken is
// found digit by digit, from the highest on: counted by every thread for itself, in columns of shared memory, so that nothing depends on who
// comes first. Who is taken then follows from the slots' order alone. Those are put in order by a network of exchanges (Batcher's bitonic
// sorter, the first step of each merge mirrored, so that all exchanges go upwards and what is beyond the end never moves): which words are
// read and written does not depend on scores, so that all accesses are side by side.
#include "cuda/exact.h"
#include "cuda/select.h"
#include "cuda/tuning.h"

namespace zs::cuda {
namespace {

constexpr unsigned kAll = 0xffffffffu;
constexpr int kWarp = 32, kWarps = kSelectThreads / kWarp, kBits = 4, kDigits = 1 << kBits;
static_assert(kWarps == kDigits, "a warp for each digit");
constexpr int kRing = 4 * kWarp;  // of a warp's values on their way out

// Two of these are never equal: first the greater key, then the lower slot.
using Pair = uint64_t;
__device__ __forceinline__ Pair pair_of(uint32_t key, int32_t slot) {
  return static_cast<Pair>(~key) << 32 | static_cast<uint32_t>(slot);
}
__device__ __forceinline__ int32_t slot_of(Pair pair) { return static_cast<int32_t>(pair & 0xffffffffu); }
__device__ __forceinline__ uint32_t key_of(Pair pair) { return ~static_cast<uint32_t>(pair >> 32); }

struct SelectLayout {
  int *counts, *lanes, *totals;
  uint32_t* keys;
  Pair* pairs;
  int32_t *rest, *best;
  uint32_t* best_keys;
  template <class Shared>
  __host__ __device__ explicit SelectLayout(Shared& shared) {
    counts = shared.template take<int>(kDigits * kSelectThreads);  // [digit][thread]
    lanes = shared.template take<int>(kSelectThreads);
    totals = shared.template take<int>(2 * kWarps);
    keys = shared.template take<uint32_t>(kSelectKept);
    pairs = shared.template take<Pair>(kSelectSorted);
    rest = shared.template take<int32_t>(kWarps * kRing);
    best = shared.template take<int32_t>(kWarps * kRing);
    best_keys = shared.template take<uint32_t>(kWarps * kRing);
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

// The scores to choose among, from a multiple of a warp's width on, so that a warp reads whole sectors.
class Range {
 public:
  __device__ Range(const SelectLayout& at, const SelectTask& task)
      : keys_(at.keys), task_(task), base(task.from / kWarp * kWarp), kept_(task.to - base <= kSelectKept) {}
  // Each thread its own, before anybody asks for keys; they are for all after a barrier.
  __device__ void keep() const {
    if (!kept_) return;
    for (int slot = base + static_cast<int>(threadIdx.x); slot < task_.to; slot += kSelectThreads)
      if (slot >= task_.from) keys_[slot - base] = key_of(task_.scores[slot]);
  }
  __device__ __forceinline__ uint32_t key(int slot) const {
    return kept_ ? keys_[slot - base] : key_of(task_.scores[slot]);
  }

 private:
  uint32_t* keys_;
  const SelectTask& task_;

 public:
  const int base;

 private:
  const bool kept_;
};

__device__ __forceinline__ void clear(const SelectLayout& at) {
  const int t = static_cast<int>(threadIdx.x);
  ZS_UNROLL for (int digit = 0; digit < kDigits; ++digit) at.counts[digit * kSelectThreads + t] = 0;
}

// Of each digit its count in totals. Ends at a barrier.
__device__ void add_up(const SelectLayout& at) {
  __syncthreads();
  const int t = static_cast<int>(threadIdx.x), lane = t % kWarp, digit = t / kWarp;
  const int* const mine = at.counts + digit * kSelectThreads + lane;
  int sum = 0;
  for (int k = 0; k < kWarps; ++k) sum += mine[k * kWarp];
  at.lanes[t] = sum;
  __syncwarp();
  if (lane == 0) {
    ZS_UNROLL for (int other = 1; other < kWarp; ++other) sum += at.lanes[t + other];
    at.totals[digit] = sum;
  }
  __syncthreads();
}

// The key of the last that is taken, and how many of those with this key are taken.
struct Last {
  uint32_t key;
  int of_equals;
};
__device__ Last last_taken(const SelectLayout& at, const SelectTask& task, const Range& range) {
  const int t = static_cast<int>(threadIdx.x);
  uint32_t key = 0;
  int left = task.count;
  for (int shift = 32 - kBits; shift >= 0; shift -= kBits) {
    clear(at);
    for (int slot = range.base + t; slot < task.to; slot += kSelectThreads) {
      if (slot < task.from) continue;
      const uint32_t one = range.key(slot);
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

// Where a warp's values go, one after another: they leave as whole sectors, but for the first and the last.
template <class T>
class Stream {
 public:
  __device__ Stream(T* rings, T* to, int begin)
      : ring_(rings + threadIdx.x / kWarp * kRing),
        to_(to),
        shift_(static_cast<int>(reinterpret_cast<uintptr_t>(to) / sizeof(T) % kWarp)),
        done_(begin + shift_),
        next_(done_) {}
  // Those of the lanes of `all`, in their order; `before`: how many of them come before this one.
  __device__ void add(unsigned all, int before, T value) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    if (all >> lane & 1u) ring_[(next_ + before) % kRing] = value;
    next_ += __popc(all);
    __syncwarp();
    if (next_ / kWarp > done_ / kWarp) write(next_ / kWarp * kWarp);
  }
  __device__ void end() { write(next_); }

 private:
  __device__ void write(int end) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp, at = done_ / kWarp * kWarp + lane;
    if (end - done_ == kWarp)
      to_[at - shift_] = ring_[at % kRing];
    else if (at >= done_ && at < end)
      to_[at - shift_] = ring_[at % kRing];
    done_ = end;
  }
  T *ring_, *to_;
  int shift_, done_, next_;  // of those that are written, and of all
};

// Each warp has a piece of the range: which of its slots are taken follows from how many the pieces before have. Those taken go to shared
// memory where all of them fit, in the order of slots.
__device__ void part(const SelectLayout& at, const SelectTask& task, const Range& range, Last last) {
  const int t = static_cast<int>(threadIdx.x), lane = t % kWarp, warp = t / kWarp, slots = task.to - range.base;
  const int piece = (slots + kSelectThreads - 1) / kSelectThreads * kWarp;
  const int begin = min(range.base + warp * piece, task.to), end = min(begin + piece, task.to);
  const unsigned below = (1u << lane) - 1u;
  // f(slot, whether there is one, key, above, equal): bits of the lanes with greater keys, and with the same as the last.
  const auto each = [&](auto f) {
    for (int first = begin; first < end; first += kWarp) {
      const int slot = first + lane;
      const bool there = slot >= task.from && slot < end;
      const uint32_t key = there ? range.key(slot) : 0;
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
  const bool fit = task.count <= kSelectSorted;
  Stream<int32_t> best(at.best, task.best, taken);
  Stream<uint32_t> keys(at.best_keys, task.scratch, taken);
  Stream<int32_t> rest(at.rest, task.rest, max(begin, task.from) - task.from - taken);
  each([&](int slot, bool there, uint32_t key, unsigned higher, unsigned same) {
    const bool mine = (higher >> lane & 1u) || ((same >> lane & 1u) && equals + __popc(same & below) < last.of_equals);
    const unsigned all = __ballot_sync(kAll, mine), others = __ballot_sync(kAll, there && !mine);
    const int before = __popc(all & below);
    if (fit) {
      if (mine) at.pairs[taken + before] = pair_of(key, slot);
    } else {
      best.add(all, before, slot);
      keys.add(all, before, key);
    }
    rest.add(others, __popc(others & below), slot);
    taken += __popc(all);
    equals += __popc(same);
  });
  if (!fit) {
    best.end();
    keys.end();
  }
  rest.end();
  __syncthreads();
}

__device__ __forceinline__ void exchange(Pair& pair, int lane, int mask, int high) {
  const Pair other = __shfl_xor_sync(kAll, pair, mask);
  if ((other < pair) != ((lane & high) != 0)) pair = other;
}

// f(a, b) of all a < b = a ^ mask among `count`, `high` being the highest bit of `mask`.
template <class F>
__device__ __forceinline__ void across(int count, int mask, int high, F f) {
  for (int i = static_cast<int>(threadIdx.x);; i += kSelectThreads) {
    const int a = 2 * (i & ~(high - 1)) + (i & (high - 1)), b = a ^ mask;
    if (a >= count) break;
    if (b < count) f(a, b);
  }
  __syncthreads();
}

__device__ void across(Pair* pairs, int count, int mask, int high) {
  across(count, mask, high, [=](int a, int b) {
    const Pair x = pairs[a], y = pairs[b];
    pairs[a] = x < y ? x : y;
    pairs[b] = x < y ? y : x;
  });
}

// Each warp's width of them by itself: sorted, or the last steps of a merge. Ends at a barrier.
template <bool whole>
__device__ void within_warps(Pair* pairs, int count) {
  const int t = static_cast<int>(threadIdx.x), lane = t % kWarp;
  for (int first = t / kWarp * kWarp; first < count; first += kSelectThreads) {
    const bool there = first + lane < count;
    Pair pair = there ? pairs[first + lane] : ~Pair{0};
    for (int run = whole ? 2 : 2 * kWarp; run <= (whole ? kWarp : 2 * kWarp); run *= 2) {
      if (whole) exchange(pair, lane, run - 1, run / 2);
      for (int high = run / 4; high; high /= 2) exchange(pair, lane, high, high);
    }
    if (there) pairs[first + lane] = pair;
  }
  __syncthreads();
}

// The steps of a merge from exchanges over `high` on.
__device__ void merge_down(Pair* pairs, int count, int high) {
  for (; high >= kWarp; high /= 2) across(pairs, count, high, high);
  within_warps<false>(pairs, count);
}

__device__ void sort_shared(Pair* pairs, int count) {
  within_warps<true>(pairs, count);
  for (int run = 2 * kWarp; run / 2 < count; run *= 2) {
    across(pairs, count, run - 1, run / 2);
    merge_down(pairs, count, run / 4);
  }
}

// f(pairs, how many) of each piece that fits in shared memory, brought there and back.
template <class F>
__device__ void each_piece(const SelectLayout& at, const SelectTask& task, F f) {
  const int t = static_cast<int>(threadIdx.x);
  for (int from = 0; from < task.count; from += kSelectSorted) {
    const int count = min(kSelectSorted, task.count - from);
    for (int i = t; i < count; i += kSelectThreads) at.pairs[i] = pair_of(task.scratch[from + i], task.best[from + i]);
    __syncthreads();
    f(at.pairs, count);
    for (int i = t; i < count; i += kSelectThreads) {
      task.scratch[from + i] = key_of(at.pairs[i]);
      task.best[from + i] = slot_of(at.pairs[i]);
    }
    __syncthreads();
  }
}

__device__ void across(const SelectTask& task, int mask, int high) {
  across(task.count, mask, high, [&](int a, int b) {
    const Pair x = pair_of(task.scratch[a], task.best[a]), y = pair_of(task.scratch[b], task.best[b]);
    const Pair less = x < y ? x : y, more = x < y ? y : x;
    task.scratch[a] = key_of(less);
    task.best[a] = slot_of(less);
    task.scratch[b] = key_of(more);
    task.best[b] = slot_of(more);
  });
}

__device__ void sort(const SelectLayout& at, const SelectTask& task) {
  if (task.count <= kSelectSorted) {
    sort_shared(at.pairs, task.count);
    for (int i = static_cast<int>(threadIdx.x); i < task.count; i += kSelectThreads)
      task.best[i] = slot_of(at.pairs[i]);
    return;
  }
  each_piece(at, task, sort_shared);
  for (int run = 2 * kSelectSorted; run / 2 < task.count; run *= 2) {
    across(task, run - 1, run / 2);
    for (int high = run / 4; high >= kSelectSorted; high /= 2) across(task, high, high);
    each_piece(at, task, [](Pair* pairs, int count) { merge_down(pairs, count, kSelectSorted / 2); });
  }
}

__global__ void __launch_bounds__(kSelectThreads, 1) select_best(const SelectTask* tasks) {
  const SelectTask task = tasks[blockIdx.x];
  gpu::Shared shared;
  const SelectLayout at(shared);
  const Range range(at, task);
  range.keep();
  __syncthreads();
  part(at, task, range, task.count ? last_taken(at, task, range) : Last{kAll, 0});
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
