#include "model/architecture.h"

namespace zs {
namespace {
constexpr Architecture kArchitectures[] = {
#include "model/architectures.inc"
};
}  // namespace

const Architecture* find_architecture(int32_t number) {
  for (const Architecture& one : kArchitectures)
    if (one.number == number) return &one;
  return nullptr;
}

}  // namespace zs
