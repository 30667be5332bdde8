// A model on a device: its weights, and what a token goes through there beside attention, with the bits of the CPU's own products
// (native/model/rows.h).
#ifndef ZSLAB_CORE_DEVICE_MODEL_H
#define ZSLAB_CORE_DEVICE_MODEL_H

#include <cstdint>
#include <memory>

#include "core/device.h"
#include "core/device_pass.h"

namespace zs {

struct DeviceModelShape {
  int32_t layers, heads, kv_heads, d, hidden, pairs;  // pairs that are rotated
  float norm_eps;
  int32_t storage;  // zs_storage of matrices
  int64_t bytes;    // of all weights
};

enum class DevicePart { kEmbedding, kOutput, kQkv, kAttentionOutput, kGateUp, kDown };
enum class DeviceNorm { kOutput, kAttention, kFeedForward };

// A token's rows of one layer, in host memory.
struct DeviceTaken {
  float *qkv = nullptr, *out = nullptr;  // queries, keys and values as they lie side by side; what the heads gave
};

class DeviceModel {
 public:
  virtual ~DeviceModel() = default;
  // Each once, or again in the same place and shape; rows [outputs][k] of the shape's storage, zeros behind a model's inputs. Parts of no
  // layer have layer 0. An output that is the embedding is not loaded.
  virtual void load(DevicePart part, int32_t layer, int64_t outputs, int64_t k, const void* rows) = 0;
  virtual void load(DeviceNorm norm, int32_t layer, const float* weights) = 0;
  virtual void loaded() = 0;  // all of it

  // Where a layer's queries, keys and values are, and where attention's outputs go.
  virtual DeviceRows rows(int32_t layer) = 0;
  // A token: after all layers are prepared its id and angles [pairs][2] (cosine, sine) go to the device.
  virtual void begin(int32_t id, const float* angles, bool logits) = 0;
  // Asked until it is false: whether the launches that follow are to be made. Never where they are known from a token before, twice where
  // they were to be recorded and could not be.
  virtual bool launches() = 0;
  virtual void embed() = 0;
  virtual void project(int32_t layer) = 0;  // rotated
  virtual void feed_forward(int32_t layer) = 0;
  virtual void choose() = 0;  // sums heads' scores, where those of all layers choose together, after all layers
  virtual void head() = 0;    // only where logits are wanted
  // After a launch that failed.
  virtual void abandon() = 0;
  // Waits until all is done: the logits, unless nullptr. False where something in the residual stream is not finite.
  virtual bool end(float* logits) = 0;
  // The token's rows of all layers to the host, where `taken` finds them until the next are.
  virtual void take() = 0;
  virtual DeviceTaken taken(int32_t layer) = 0;

  // For a pass of up to `tokens` rows, `chunk` at once. Throws ZS_OUT_OF_MEMORY where the device has none for it.
  virtual std::unique_ptr<DevicePass> pass(int64_t tokens, int64_t chunk) = 0;
};

}  // namespace zs
#endif
