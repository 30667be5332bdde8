// Stacks to run on, one for each thread of a block, and the switch between them and whoever runs the block.
#ifndef ZSLAB_CUDA_EMULATION_FIBER_H
#define ZSLAB_CUDA_EMULATION_FIBER_H

#include <cstddef>
#include <cstdint>
#include <memory>

namespace zs::emulation {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Makes ready to run entry(argument) from its beginning, whatever ran here before: that is given up, nothing of it is unwound.
  void start(void (*entry)(void*), void* argument);
  // Runs until pause(), or until entry calls leave().
  void resume();
  // Called on this stack: back to resume(), which goes on here when it is called again.
  void pause();
  // The same for the last time: does not come back. Not declared so, since the address sanitizer would then search all frames that it keeps
  // for this stack at the next start.
  void leave();
  bool holds(const void* p) const { return reinterpret_cast<uintptr_t>(p) - bottom_ < kStack; }

 private:
#if defined(__SANITIZE_ADDRESS__)
  static constexpr size_t kStack = 256 << 10;
#else
  static constexpr size_t kStack = 64 << 10;
#endif
  struct State;
  std::unique_ptr<State> s_;
  uintptr_t bottom_;
};

}  // namespace zs::emulation
#endif
