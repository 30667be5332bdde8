// Matrix products of bfloat16 by a library (oneDNN) on the weights as they are packed; absent in a portable build.
#ifndef ZSLAB_MODEL_LIBRARY_H
#define ZSLAB_MODEL_LIBRARY_H

#include <cstdint>
#include <memory>

#include "core/engine.h"

namespace zs {

// y [rows][tiles * 16] = x [rows][k] times packed tiles.
struct BlockShape {
  int64_t rows, k, tiles;
  bool operator<(const BlockShape& o) const {
    if (rows != o.rows) return rows < o.rows;
    if (k != o.k) return k < o.k;
    return tiles < o.tiles;
  }
};

class Library {
 public:
  class Plan;  // one shape, compiled
  virtual ~Library() = default;
  // nullptr where the library has no fast kernel for the shape on this CPU. Lives as long as the library; not for pool threads.
  virtual const Plan* plan(const BlockShape& shape) = 0;
  // On the calling thread alone: false if the library failed. `thread` is the pool's number of the calling thread.
  virtual bool run(const Plan& plan, const void* x, const void* w, float* y, int thread) noexcept = 0;
};

// For bfloat16 weights and rows; nullptr where this build, CPU or instruction set has none that is quicker than our own kernels on float32.
std::unique_ptr<Library> make_library(const zs_engine& engine);

}  // namespace zs
#endif
