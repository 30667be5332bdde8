#include "core/error.h"

#include <cstdio>

namespace zs {
namespace {
thread_local std::string last_error;
}

void set_last_error(const std::string& message) noexcept {
  try {
    last_error = message;
  } catch (...) {
    last_error.clear();
  }
}

void fail(zs_status status, const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  throw Error{status, text};
}

}  // namespace zs

const char* zs_last_error(void) { return zs::last_error.c_str(); }
