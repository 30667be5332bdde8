// Rows of a prompt, or of several tokens at once, on their way through a model on a device: what its layers do with them beside attention
// (native/model/rows.h). Up to 8 rows have the bits of the CPU, as far as what they begin with has them; more have those of the
// device's library of products.
#ifndef ZSLAB_CORE_DEVICE_PASS_H
#define ZSLAB_CORE_DEVICE_PASS_H

#include <cstdint>
#include <functional>

namespace zs {

// Multiply-adds of what is waited for at once: at 1e13 a second, which a GPU of 20 TFLOP/s does at its best, 27 ms, since nothing stops a
// launch.
constexpr int64_t kLaunchProducts = int64_t{1} << 38;
constexpr int64_t kDeviceLogits = 8;  // rows whose logits are made at once

// Has all memory that it needs from the beginning. Each call waits for what it launches.
class DevicePass {
 public:
  // Between launches that an abort need not wait longer for; what it throws ends the call.
  using GoOn = std::function<void()>;

  virtual ~DevicePass() = default;
  // The residual stream of `tokens` ids, whose angles are [tokens][pairs][2]: cosine and sine.
  virtual void embed(const int32_t* ids, int64_t tokens, const float* angles) = 0;
  // Queries, keys and values, rotated, of `count` rows from `row` on, to [count][outputs] in host memory.
  virtual void project(int32_t layer, int64_t row, int64_t count, float* qkv, const GoOn& go_on) = 0;
  // What heads gave to the same rows, [count][inputs of the output projection] in host memory, goes on into the residual stream.
  virtual void feed_forward(int32_t layer, int64_t row, int64_t count, const float* attended, const GoOn& go_on) = 0;
  // Logits [count][outputs] of up to kDeviceLogits rows of the residual stream, ascending: those that the CPU makes of it.
  virtual void logits(const int64_t* rows, int64_t count, float* to) = 0;
};

}  // namespace zs
#endif
