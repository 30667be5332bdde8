// A layer on a device: what is there, and decode steps there (core/device.h).
#ifndef ZSLAB_CORE_ON_DEVICE_H
#define ZSLAB_CORE_ON_DEVICE_H

#include <memory>
#include <vector>

#include "core/found.h"
#include "zslab/zslab.h"

struct zs_cache;

namespace zs {

class DeviceLayer;
struct DeviceHead;
struct DeviceRows;
struct Layer;

// A layer's part of a device. Copies of a layer have none: they share pages, and have scores of their own, which must be at home before
// (scores_home).
struct OnDevice {
  OnDevice();
  ~OnDevice();
  OnDevice(const OnDevice&);
  OnDevice& operator=(const OnDevice&);
  OnDevice(OnDevice&&) noexcept;
  OnDevice& operator=(OnDevice&&) noexcept;

  std::unique_ptr<DeviceLayer> held;
  std::vector<DeviceHead> heads;   // of the step under way
  std::vector<Found> found;        // of the step under way
  std::vector<uint64_t> versions;  // of each head's pages, merged and open, at the last step
  std::vector<int32_t> room;       // slots of each head's open segment that `held` has room for
  bool there = false;              // `held` knows what the heads know
  bool away = false;               // only `held` knows the scores
};

// Why a cache of this engine, which has a device, cannot be there; throws the sentence.
void check_on_device(const zs_cache& cache);
// True where the layer's next token can go through it on the device; `whole`: through all layers at once.
bool steps_on_device(const zs_cache& cache, const Layer& layer, bool whole = false);
// A token through a layer that has room for it: as `step` of core/step.h and what settles it. Where it throws, nothing has changed.
void step_on_device(zs_cache& cache, int32_t index, Layer& layer, const DeviceRows& rows);
// The same in parts, for layers of a model that is on the device. All are prepared, which changes nothing where it throws; launched
// (DeviceLayer::launch, leave), and finished: then the books have the token. `q`: its queries in host memory; data = nullptr where they are
// known to be finite.
void prepare_on_device(zs_cache& cache, int32_t index, Layer& layer, const DeviceRows& rows);
void prepare_anew(zs_cache& cache, Layer& layer, const DeviceRows& rows);  // where another layer's made it void
void finish_on_device(zs_cache& cache, int32_t index, Layer& layer, const DeviceRows& rows, zs_view q);
// A layer whose token was prepared, and comes to nothing.
void forget_on_device(Layer& layer);

// Scores are where the CPU finds them; before they are read, and before a layer is copied.
void scores_home(const zs_cache& cache);
// The same before anything of a layer is changed on the CPU.
void books_home(Layer& layer);

}  // namespace zs
#endif
