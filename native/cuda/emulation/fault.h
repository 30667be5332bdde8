// What a kernel did wrong, in a sentence, and where.
#ifndef ZSLAB_CUDA_EMULATION_FAULT_H
#define ZSLAB_CUDA_EMULATION_FAULT_H

#include <cstring>
#include <string>

namespace zs::emulation {

// A line of the kernel's source.
struct Place {
  const char* file;
  int line;
  bool operator==(const Place& other) const {
    return line == other.line && (file == other.file || !std::strcmp(file, other.file));
  }
  std::string text() const { return std::string(file) + ":" + std::to_string(line); }
};

// Ends the launch that is running with this fault; called by one of its threads.
[[noreturn]] void fault(const std::string& what);

// That of the last launch; empty = it ran to its end.
const std::string& last_fault();

}  // namespace zs::emulation
#endif
