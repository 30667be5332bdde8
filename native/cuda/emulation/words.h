// CUDA's words for a C++ compiler: what gpu.h is under the emulation. Warp operations check their masks and that all lanes are at one line.
#ifndef ZSLAB_CUDA_EMULATION_WORDS_H
#define ZSLAB_CUDA_EMULATION_WORDS_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "cuda/emulation/block.h"
#include "cuda/emulation/memory.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define ZS_UNROLL _Pragma("GCC unroll 16")

#define threadIdx (::zs::emulation::thread()->index)
#define blockIdx (::zs::emulation::block()->index)
#define blockDim (::zs::emulation::block()->launch.block)
#define gridDim (::zs::emulation::block()->launch.grid)

// Of vector_types.h.
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }

#define ZS_CALLER const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(ZS_CALLER) { zs::emulation::barrier({file, line}); }
inline void __syncwarp(unsigned mask = 0xffffffffu, ZS_CALLER) { zs::emulation::sync_warp(mask, {file, line}); }

namespace zs::emulation {

template <class T>
struct FromLane {
  T value;
  int source;  // lane
};
template <class T>
void shuffle(uint32_t mask, const void* const* given, void* const* results) {
  for (int lane = 0; lane < kWarp; ++lane) {
    if (!(mask >> lane & 1u)) continue;
    const int source = static_cast<const FromLane<T>*>(given[lane])->source;
    if (!(mask >> source & 1u))
      fault("lane " + std::to_string(lane) + " asks for the value of lane " + std::to_string(source) +
            ", which does not take part");
    *static_cast<T*>(results[lane]) = static_cast<const FromLane<T>*>(given[source])->value;
  }
}
template <class T>
T from_lane(unsigned mask, T value, int source, Place at) {
  static_assert(std::is_arithmetic<T>::value && sizeof(T) >= 4, "a shuffle takes 4 or 8 bytes");
  const FromLane<T> given{value, source};
  T result;
  warp_operation(shuffle<T>, mask, &given, &result, at);
  return result;
}
// Width 2, 4 … 32: lanes in groups of so many, outside of which nothing is fetched.
inline int lane_of_group(int lane, int width, int source) {
  return source < 0 || source >= width ? lane : lane / width * width + source;
}

inline void vote(uint32_t mask, const void* const* given, void* const* results) {
  uint32_t bits = 0;
  for (int lane = 0; lane < kWarp; ++lane)
    if (mask >> lane & 1u) bits |= static_cast<uint32_t>(*static_cast<const bool*>(given[lane])) << lane;
  for (int lane = 0; lane < kWarp; ++lane)
    if (mask >> lane & 1u) *static_cast<uint32_t*>(results[lane]) = bits;
}

}  // namespace zs::emulation

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, ZS_CALLER) {
  const int lane = zs::emulation::thread()->lane();
  return zs::emulation::from_lane(mask, value, lane / width * width + (source & (width - 1)), {file, line});
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, ZS_CALLER) {
  const int lane = zs::emulation::thread()->lane();
  return zs::emulation::from_lane(mask, value, zs::emulation::lane_of_group(lane, width, (lane % width) ^ lanes),
                                  {file, line});
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned lanes, int width = 32, ZS_CALLER) {
  const int lane = zs::emulation::thread()->lane();
  return zs::emulation::from_lane(
      mask, value, zs::emulation::lane_of_group(lane, width, lane % width + static_cast<int>(lanes)), {file, line});
}
inline unsigned __ballot_sync(unsigned mask, bool held, ZS_CALLER) {
  uint32_t bits;
  zs::emulation::warp_operation(zs::emulation::vote, mask, &held, &bits, {file, line});
  return bits;
}

namespace zs::gpu {

// Shared memory in arrays, one after another; a new Shared begins at the front again. A kernel's layout is a struct whose constructor takes them;
// the host runs it too, to count.
class Shared {
 public:
  Shared() { emulation::shared_layout(); }
  static Shared counting() { return Shared(true); }
  template <class T>
  T* take(size_t count, ZS_CALLER) {
    constexpr size_t kAlign = 16;
    if (!counting_) return static_cast<T*>(emulation::shared_array(count * sizeof(T), kAlign, {file, line}));
    bytes_ = (bytes_ + kAlign - 1) / kAlign * kAlign + count * sizeof(T);
    return nullptr;
  }
  size_t bytes() const { return bytes_; }

 private:
  explicit Shared(bool counting) : counting_(counting) {}
  bool counting_ = false;
  size_t bytes_ = 0;
};

// Bits as they are.
inline float float_of(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, 4);
  return value;
}
inline uint32_t bits_of(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  return bits;
}
inline float widen_f16(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
  if (exponent == 31) return float_of(sign | 0x7f800000u | mantissa << 13 | (mantissa ? 0x400000u : 0));
  if (exponent) return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
  return float_of(sign | bits_of(static_cast<float>(mantissa) * 5.9604644775390625e-8f));
}

// 8 or 16 bytes as one access, which the compiler is not to take apart. T: uint2, float4, uint4.
template <size_t bytes>
struct WideOf {
  typedef uint64_t Type __attribute__((may_alias));
};
template <>
struct WideOf<16> {
  __extension__ typedef unsigned __int128 Type __attribute__((may_alias));
};
template <class T>
__forceinline__ T load_wide(const void* from) {
  auto wide = *static_cast<const typename WideOf<sizeof(T)>::Type*>(from);
  __asm__("" : "+r"(wide));
  T value;
  __builtin_memcpy(&value, &wide, sizeof value);
  return value;
}
template <class T>
__forceinline__ void store_wide(void* to, T value) {
  typename WideOf<sizeof(T)>::Type wide;
  __builtin_memcpy(&wide, &value, sizeof value);
  __asm__("" : "+r"(wide));
  *static_cast<typename WideOf<sizeof(T)>::Type*>(to) = wide;
}

// 16 bytes from device to shared memory in the background, in groups. Nobody may read them before the group was waited for, and others
// of the block not before a barrier after that.
inline void cp_async16(void* to, const void* from, ZS_CALLER) {
  emulation::Thread& me = *emulation::thread();
  if (reinterpret_cast<uintptr_t>(to) % 16 || reinterpret_cast<uintptr_t>(from) % 16)
    emulation::fault("cp_async16 at " + emulation::Place{file, line}.text() +
                     ": both addresses must be multiples of 16");
  emulation::will_be_copied(to, from, 16);
  me.copies.push_back({to, from, me.groups});
}
inline void cp_async_commit() { ++emulation::thread()->groups; }
// Until at most the last `left` groups are under way.
template <int left>
inline void cp_async_wait() {
  emulation::Thread& me = *emulation::thread();
  size_t done = 0;
  for (; done < me.copies.size() && me.copies[done].group < me.groups - left; ++done)
    emulation::was_copied(me.copies[done].to, me.copies[done].from, 16);
  me.copies.erase(me.copies.begin(), me.copies.begin() + static_cast<std::ptrdiff_t>(done));
}

// grid_barrier.h
inline void grid_barrier(ZS_CALLER) { emulation::grid_barrier({file, line}); }
// Into the second-level cache, in the background.
inline void prefetch(const void*) {}

struct Stream {};
using Recorded = std::vector<std::function<std::string()>>;
inline Recorded*& recording() {  // of the one stream that there is; nullptr = what is launched is done
  static thread_local Recorded* to = nullptr;
  return to;
}
// As libraries take it.
inline void* handle_of(Stream) { return nullptr; }

// Runs kernel(arguments…) on `grid` blocks of `threads` threads with so many bytes of shared memory. → what was wrong; empty = nothing.
template <class... P, class... A>
std::string launch_as(emulation::Launch how, void (*kernel)(P...), int threads, size_t shared, A... arguments) {
  how.block.x = static_cast<unsigned>(threads);
  how.shared = shared;
  const auto run = [=]() -> std::string {
    return emulation::run(how, [&] { kernel(arguments...); }) ? std::string() : emulation::last_fault();
  };
  if (recording()) return recording()->push_back(run), std::string();
  return run();
}
template <class... P, class... A>
std::string launch(void (*kernel)(P...), emulation::Index grid, int threads, size_t shared, Stream, A... arguments) {
  emulation::Launch how;
  how.grid = grid;
  return launch_as(how, kernel, threads, shared, arguments...);
}
using Grid = emulation::Index;

// The same with all blocks alive at once, at most as many as most_together says.
template <class... P, class... A>
std::string launch_together(void (*kernel)(P...), int blocks, int threads, size_t shared, Stream, A... arguments) {
  emulation::Launch how;
  how.grid.x = static_cast<unsigned>(blocks);
  how.together = true;
  return launch_as(how, kernel, threads, shared, arguments...);
}
// On the device in use: as many as tests like to see. → what was wrong; empty = nothing.
template <class... P>
std::string most_together(void (*)(P...), int, size_t, int, int& blocks) {
  blocks = emulation::settings().together;
  return {};
}

// Threads and blocks run in another order from now on: forward, backward or shuffled. A GPU does what it likes.
inline void vary_order(uint64_t seed) {
  emulation::Settings& to = emulation::settings();
  to.order = static_cast<emulation::Order>(seed % 3);
  to.seed = seed;
}
// Launches have at most so many blocks alive at once; 0 = there are no such.
inline void vary_together(int blocks) {
  emulation::settings().together = min(blocks, static_cast<int>(emulation::kMostTogether));
}

// Device memory; nullptr where there is no room.
inline void* allocate(size_t bytes) { return emulation::new_memory(bytes, "device memory"); }
inline void release(void* memory) {
  if (memory) emulation::forget_memory(memory);
}
inline void upload(void* to, const void* from, size_t bytes, ZS_CALLER) {
  if (recording())
    emulation::fault("a copy at " + emulation::Place{file, line}.text() + " while launches are recorded");
  std::memcpy(to, from, bytes);
  emulation::was_written_by_host(to, bytes);
}
inline void download(void* to, const void* from, size_t bytes) { std::memcpy(to, from, bytes); }

// Each piece is a heap block of its own, so that whoever uses it too late is found.
constexpr bool kKeepsFreed = false;

// All is done at once.
inline void upload(void* to, const void* from, size_t bytes, Stream) { upload(to, from, bytes); }
inline void download(void* to, const void* from, size_t bytes, Stream) { download(to, from, bytes); }
inline void copy(void* to, const void* from, size_t bytes, Stream) { upload(to, from, bytes); }
inline void clear(void* memory, size_t bytes, Stream) {
  std::memset(memory, 0, bytes);
  emulation::was_written_by_host(memory, bytes);
}
inline std::string wait(Stream) { return {}; }
inline std::string new_stream(Stream&) { return {}; }
inline void end_stream(Stream) {}
inline std::string use(int) { return {}; }

// As device_words.h has it.
class Graph {
 public:
  Graph() = default;
  ~Graph() { abandon(); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  std::string begin(Stream) {
    clear();
    recording() = &made_;
    return {};
  }
  std::string end(Stream) {
    abandon();
    return {};
  }
  std::string launch(Stream) const {
    for (const auto& one : made_)
      if (std::string wrong = one(); !wrong.empty()) return wrong;
    return {};
  }
  void clear() { made_.clear(); }
  explicit operator bool() const { return !made_.empty(); }

 private:
  void abandon() {
    if (recording() == &made_) recording() = nullptr;
  }
  Recorded made_;
};

struct Facts {
  std::string name;
  int64_t memory = 0, free = 0;
  int major = 0, minor = 0;
};
constexpr const char* kKind = "emulated";
inline std::string versions(int& driver, int& runtime) {
  driver = runtime = 0;
  return {};
}
// As many as nobody has: tests choose among them.
inline std::string count_devices(int& count) {
  count = 2;
  return {};
}
inline std::string facts_of(int, Facts& facts) {
  facts = {"emulated on the CPU", int64_t{4} << 30, int64_t{4} << 30, 9, 0};
  return {};
}

}  // namespace zs::gpu

#endif
