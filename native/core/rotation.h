// A model's rotation of queries and keys by position (RoPE), for policies that keep keys before it: a table of cosines and sines that
// grows with the positions in use.
#ifndef ZSLAB_CORE_ROTATION_H
#define ZSLAB_CORE_ROTATION_H

#include <vector>

#include "core/buffer.h"
#include "core/kernels.h"

namespace zs {

class Rotation {
 public:
  // Throws a sentence about what does not fit a head of `head_dim`.
  Rotation(const zs_rotation& given, int32_t head_dim);

  // Positions below `count` may be used afterwards; throws std::bad_alloc, nothing has then changed.
  void need(int64_t count);
  // `row` [d] at `position`, into `to`.
  void turn(const float* row, int32_t d, int32_t position, float* to) const;
  // What a TurnTask needs to know of it.
  void into(TurnTask& task) const;

  int32_t dims() const { return static_cast<int32_t>(2 * frequencies_.size()); }
  bool halves() const { return halves_; }
  const std::vector<double>& frequencies() const { return frequencies_; }

 private:
  std::vector<double> frequencies_;  // of each pair
  bool halves_;
  int64_t positions_ = 0, stride_ = 0;
  Buffer cosines_, sines_;  // [pairs][stride], `positions_` of each filled
};

}  // namespace zs
#endif
