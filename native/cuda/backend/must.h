// What a launch or a driver says is wrong, as an Error.
#ifndef ZSLAB_CUDA_BACKEND_MUST_H
#define ZSLAB_CUDA_BACKEND_MUST_H

#include <string>

#include "core/error.h"

namespace zs::cuda {

inline void must(const std::string& wrong) {
  if (!wrong.empty()) fail(ZS_INTERNAL, "the device failed: %s; what is on it is lost, so begin again", wrong.c_str());
}

}  // namespace zs::cuda
#endif
