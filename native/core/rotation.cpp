#include "core/rotation.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace zs {

Rotation::Rotation(const zs_rotation& given, int32_t head_dim) : halves_(given.halves != 0) {
  if (given.struct_bytes != static_cast<int32_t>(sizeof given))
    fail(ZS_INVALID, "rotation.struct_bytes is %d, this library's zs_rotation has %zu: compile against its header",
         given.struct_bytes, sizeof given);
  if (given.dims < 2 || given.dims > head_dim || given.dims % 2)
    fail(ZS_INVALID, "rotation.dims is %d: expected an even number from 2 to head_dim, %d", given.dims, head_dim);
  if (given.halves != 0 && given.halves != 1)
    fail(ZS_INVALID, "rotation.halves is %d: expected 0 (dims 2i and 2i + 1) or 1 (dims i and i + dims / 2)",
         given.halves);
  if (!given.frequencies && !(std::isfinite(given.base) && given.base > 0))
    fail(ZS_INVALID, "rotation.base is %g: expected a finite number above 0, or a table of frequencies", given.base);
  for (int32_t i = 0; i < given.dims / 2; ++i) {
    const double frequency = given.frequencies ? given.frequencies[i] : std::pow(given.base, -2.0 * i / given.dims);
    if (!std::isfinite(frequency))
      fail(ZS_INVALID, "rotation.frequencies[%d] is %g: expected a finite number", i, frequency);
    frequencies_.push_back(frequency);
  }
}

void Rotation::need(int64_t count) {
  const int64_t whole = round_up(count, kLane) + kLane;  // a tile's lanes that hold nothing are read along
  if (whole <= positions_) return;
  const int64_t pairs = static_cast<int64_t>(frequencies_.size());
  if (whole > stride_) {
    const int64_t stride = round_up(whole + whole / 2, kLane);
    Buffer cosines(pairs * stride), sines(pairs * stride);
    for (int64_t i = 0; i < pairs; ++i) {
      std::copy_n(cosines_.data() + i * stride_, positions_, cosines.data() + i * stride);
      std::copy_n(sines_.data() + i * stride_, positions_, sines.data() + i * stride);
    }
    cosines_ = std::move(cosines), sines_ = std::move(sines);
    stride_ = stride;
  }
  for (int64_t i = 0; i < pairs; ++i)
    for (int64_t p = positions_; p < whole; ++p) {
      const double angle = static_cast<double>(p) * frequencies_[static_cast<size_t>(i)];
      cosines_.data()[i * stride_ + p] = static_cast<float>(std::cos(angle));
      sines_.data()[i * stride_ + p] = static_cast<float>(std::sin(angle));
    }
  positions_ = whole;
}

void Rotation::turn(const float* row, int32_t d, int32_t position, float* to) const {
  const int32_t pairs = dims() / 2;
  for (int32_t i = 0; i < pairs; ++i) {
    const int32_t first = halves_ ? i : 2 * i, second = halves_ ? i + pairs : 2 * i + 1;
    const float c = cosines_.data()[i * stride_ + position], s = sines_.data()[i * stride_ + position];
    const float a = row[first], b = row[second];
    to[first] = a * c - b * s;
    to[second] = a * s + b * c;
  }
  std::copy(row + 2 * pairs, row + d, to + 2 * pairs);
}

void Rotation::into(TurnTask& task) const {
  task.cosines = cosines_.data();
  task.sines = sines_.data();
  task.stride = stride_;
  task.pairs = dims() / 2;
  task.halves = halves_;
}

}  // namespace zs
