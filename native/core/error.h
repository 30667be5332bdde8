// How native code fails inside the ABI: throw Error with a status and a whole sentence; guard() turns it into a zs_status.
#ifndef ZSLAB_CORE_ERROR_H
#define ZSLAB_CORE_ERROR_H

#include <cstdarg>
#include <new>
#include <string>

#include "zslab/zslab.h"

namespace zs {

struct __attribute__((visibility("default"))) Error {  // libraries of devices throw it, too
  zs_status status;
  std::string message;
};

// printf-style; the sentence says what was given, what was expected, what to do.
[[noreturn]] void fail(zs_status status, const char* format, ...) __attribute__((format(printf, 2, 3)));

void set_last_error(const std::string& message) noexcept;

// Runs f and maps what it throws; the only place where exceptions meet the ABI.
template <class F>
zs_status guard(F f) noexcept {
  try {
    f();
    return ZS_OK;
  } catch (const Error& e) {
    set_last_error(e.message);
    return e.status;
  } catch (const std::bad_alloc&) {
    set_last_error("not enough memory for this call: use a smaller budget, fewer tokens or bfloat16 storage");
    return ZS_OUT_OF_MEMORY;
  } catch (...) {
    set_last_error("an unexpected failure inside the engine: please report it with what you called");
    return ZS_INTERNAL;
  }
}

// The caller may write a zs_call from any thread at any moment.
inline bool flagged(const volatile int32_t* abort) { return abort && __atomic_load_n(abort, __ATOMIC_RELAXED); }
inline bool aborted(const zs_call* call) { return call && flagged(&call->abort); }
inline void check_abort(const zs_call* call) {
  if (aborted(call)) throw Error{ZS_ABORTED, "stopped: the caller asked for it"};
}

}  // namespace zs
#endif
