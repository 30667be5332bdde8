// What the core asks of a device (native/cuda has one): memory for pages, decode steps, and attention of prompts. A device does by itself
// what follows a token's attention; what it found comes back, and the policy's hooks keep the books of it on the CPU. Whatever a device has no
// way to do is done on the CPU, with the bits that the device would have given: pages go there and back (core/twin.h).
#ifndef ZSLAB_CORE_DEVICE_H
#define ZSLAB_CORE_DEVICE_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/device_rule.h"
#include "core/found.h"
#include "core/head.h"
#include "core/kernels.h"
#include "core/twin.h"

namespace zs {

// By whose scores a head goes: its own, or the sum of its layer's or of all layers' heads, whose open segments then hold the same positions.
enum class DeviceChoice { kOwn, kLayer, kModel };

// Of all heads of a step.
struct DeviceShape {
  int32_t group, d, storage;
  float scale;
  bool scores;  // are kept of attention
  bool by_age;  // the oldest leaves, not the least score
  bool told;    // thresholds are wanted
  DeviceChoice choice;
  float decay;
  DeviceRule rule;
  bool operator==(const DeviceShape& o) const {
    return group == o.group && d == o.d && storage == o.storage && scale == o.scale && scores == o.scores &&
           by_age == o.by_age && told == o.told && choice == o.choice && decay == o.decay && rule == o.rule;
  }
};

// One head, with the newest token in its books.
struct DeviceHead {
  bool changed;                  // `chunks` are others than at the last step
  std::vector<KeyChunk> chunks;  // on the device; merged ones, if any, first
  int32_t merged;                // slots
  int32_t slots;                 // of the open segment
  int32_t position;              // of the newest token
  float given;                   // its score, where the policy gives one (not a number: it does not)
  Range leaving;                 // of the open segment: one of these leaves; empty = nobody does
  Range ring;                    // as of DeviceRule; empty = there is none
  const std::vector<int32_t>* pinned;
};

class DeviceModel;  // core/device_model.h
struct DeviceModelShape;
class DevicePrompt;  // core/device_prompt.h
struct DevicePromptShape;
struct DeviceCompression;  // core/device_compress.h
struct DeviceCompressionShape;

// Rows of a step: query head h's at q.data + h * q.head_stride, and likewise. In host memory, or a layer's of a model on the device.
struct DeviceRows {
  zs_view q, k, v, out;
  DeviceModel* model = nullptr;
  int32_t layer = 0;
};

// What a layer has on a device beside its pages: what is kept of each slot. A step is prepared, launched, and finished; between these other
// layers' may be, and all of a model's layers are prepared before the first is launched.
class DeviceLayer {
 public:
  virtual ~DeviceLayer() = default;
  // What a head knows of its slots; `room`: slots that its open segment may come to have.
  virtual void write(int32_t kv_head, const Head& head, int32_t room) = 0;
  // Scores of a head back into its segments.
  virtual void read(int32_t kv_head, Head& head) const = 0;
  // What may lack memory: a step changes nothing before this is done. Another layer's may make it void: `prepared` says so.
  virtual void prepare(const DeviceShape& shape, const std::vector<DeviceHead>& heads, const DeviceRows& rows) = 0;
  virtual bool prepared() const = 0;
  virtual void launch(const DeviceRows& rows) = 0;
  // After DeviceModel::choose, where a model's heads choose together: who leaves.
  virtual void leave() = 0;
  // `found` [heads], and rows.out where it is the host's. Waits for them; a model has done so.
  virtual void finish(const DeviceRows& rows, Found* found) = 0;
};

// All throw Error: what went wrong, as a sentence.
class Device {
 public:
  virtual ~Device() = default;
  virtual const std::string& description() const = 0;  // JSON
  virtual int64_t left() const = 0;                    // bytes of its memory that nobody has
  // Why caches of this shape cannot be there; empty = they can.
  virtual std::string refusal(int32_t group, int32_t d, int32_t storage) const = 0;
  virtual std::shared_ptr<Twin> twin(const Page& page, const Geometry& geometry) = 0;
  virtual std::shared_ptr<Twin> blank_twin(const Page& page, const Geometry& geometry) = 0;  // of zeros
  virtual std::unique_ptr<DeviceLayer> layer(int32_t kv_heads) = 0;
  virtual std::unique_ptr<DeviceModel> model(const DeviceModelShape& shape) = 0;
  virtual std::unique_ptr<DevicePrompt> prompt(const DevicePromptShape& shape, zs_view q) = 0;
  // Of `heads`, which is done when it returns.
  virtual void compress(const DeviceCompressionShape& shape, const std::vector<DeviceCompression>& heads) = 0;
};

}  // namespace zs
#endif
