// A prompt, or several tokens at once, in one layer on a device: attention of their rows, and what these give to each slot, with the bits of
// the CPU.
#ifndef ZSLAB_CORE_DEVICE_PROMPT_H
#define ZSLAB_CORE_DEVICE_PROMPT_H

#include <cstdint>
#include <vector>

#include "core/device.h"

namespace zs {

// Rows [from, from + rows) of the heads' own tokens, and the chunks that they may see: those of kv head g at [start[g], start[g + 1]), from
// first_causal[g] of them on its own tokens (as of RowsTask).
struct DevicePromptShape {
  int32_t kv_heads, group, d, storage;
  float scale;
  int64_t from, rows;
  std::vector<KeyChunk> chunks;  // on the device, but for the bias; without keys where nobody asks for them
  std::vector<int64_t> start;
  std::vector<int32_t> first_causal;
};

// A unit of column sums, as of ColumnsTask.
struct DeviceSums {
  int64_t head, chunk;  // the first query head; of the shape's chunks
  int64_t first;
  bool causal;
  std::vector<Fade> fades;  // of the host's sums
};

// Has the queries of its rows from the beginning. Each call waits for what it launches.
class DevicePrompt {
 public:
  virtual ~DevicePrompt() = default;
  // Rows [begin, end) of all heads, counted from the first of its rows.
  virtual void attend(int64_t begin, int64_t end) = 0;
  // After all rows: `out` as of attend_rows, statistics [heads][stride].
  virtual void read(zs_view out, float* highest, float* inverse, int64_t stride) = 0;
  // Of rows up to `to`, counted from the heads' first own token, and `group` query heads a unit. Nothing has changed where it throws.
  virtual void sum(const std::vector<DeviceSums>& units, int32_t group, int64_t to) = 0;
};

}  // namespace zs
#endif
