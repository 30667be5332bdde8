#include "cuda/emulation/fiber.h"

#include <sys/mman.h>

#include <boost/context/detail/fcontext.hpp>
#include <cstdint>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace zs::emulation {

using boost::context::detail::fcontext_t;
using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

namespace {
constexpr size_t kGuard = 4096;
}  // namespace

struct Fiber::State {
  char* memory = nullptr;  // a page that nobody may touch, then the stack
  fcontext_t own = nullptr, caller = nullptr;
  void (*entry)(void*) = nullptr;
  void* argument = nullptr;
#if defined(__SANITIZE_ADDRESS__)
  // What the sanitizer keeps of this stack while another one runs, and from one start to the next.
  void* fake = nullptr;
  void* caller_fake = nullptr;
  const void* caller_bottom = nullptr;
  size_t caller_size = 0;
  bool left = true;  // ended by leave(), so that no frame but the first ones, which poison nothing, was given up
#endif
  char* bottom() const { return memory + kGuard; }

  // The sanitizer must know whose stack is in use.
  void enter() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake, &caller_bottom, &caller_size);
#endif
  }
  static void begin(transfer_t from) {
    auto* s = static_cast<State*>(from.data);
    s->caller = from.fctx;
    s->enter();
#if defined(__SANITIZE_ADDRESS__)
    if (!s->left) __asan_handle_no_return();
    s->left = false;
#endif
    s->entry(s->argument);
    std::abort();  // an entry ends by leave()
  }
};

Fiber::Fiber() : s_(std::make_unique<State>()) {
  void* memory =
      mmap(nullptr, kGuard + kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  mprotect(memory, kGuard, PROT_NONE);
  s_->memory = static_cast<char*>(memory);
  bottom_ = reinterpret_cast<uintptr_t>(s_->bottom());
}
Fiber::~Fiber() { munmap(s_->memory, kGuard + kStack); }

void Fiber::start(void (*entry)(void*), void* argument) {
#if defined(__SANITIZE_ADDRESS__)
  // Frames that were given up left their red zones behind.
  if (!s_->left) __asan_unpoison_memory_region(s_->bottom(), kStack);
#endif
  s_->entry = entry;
  s_->argument = argument;
  s_->own = make_fcontext(s_->bottom() + kStack, kStack, State::begin);
}

void Fiber::resume() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&s_->caller_fake, s_->bottom(), kStack);
#endif
  const transfer_t back = jump_fcontext(s_->own, s_.get());
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(s_->caller_fake, nullptr, nullptr);
#endif
  s_->own = back.fctx;
}

void Fiber::pause() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&s_->fake, s_->caller_bottom, s_->caller_size);
#endif
  const transfer_t back = jump_fcontext(s_->caller, nullptr);
  s_->caller = back.fctx;
  s_->enter();
}

void Fiber::leave() {
#if defined(__SANITIZE_ADDRESS__)
  s_->left = true;
  __sanitizer_start_switch_fiber(&s_->fake, s_->caller_bottom, s_->caller_size);
#endif
  jump_fcontext(s_->caller, nullptr);
  std::abort();
}

}  // namespace zs::emulation
