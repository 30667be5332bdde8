// Kernels with one fault each, of 64 threads a block, and what must be said of it by which build.
#ifndef ZSLAB_CUDA_TEST_FAULTS_H
#define ZSLAB_CUDA_TEST_FAULTS_H

#include <string>
#include <vector>

#include "cuda/gpu.h"

namespace zs::faults {

enum Build { kAny, kAddress, kRace };

struct Planted {
  const char* name;
  Build build;
  const char* says;  // "" = nothing
  void (*kernel)(float*);
  unsigned blocks;
  size_t shared;
  bool together = false;  // all blocks are alive at once
};
extern const std::vector<Planted> planted;

}  // namespace zs::faults
#endif
