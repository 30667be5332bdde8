// A layer in device memory: what is kept of each slot, the work lists of its steps, and a step.
#ifndef ZSLAB_CUDA_BACKEND_LAYER_H
#define ZSLAB_CUDA_BACKEND_LAYER_H

#include <memory>
#include <vector>

#include "core/device.h"
#include "cuda/append.h"
#include "cuda/backend/context.h"
#include "cuda/decode_attention.h"
#include "cuda/upkeep.h"

namespace zs::cuda {

class GpuLayer : public DeviceLayer {
 public:
  GpuLayer(std::shared_ptr<Context> context, int32_t kv_heads);
  void write(int32_t kv_head, const Head& head, int32_t room) override;
  void read(int32_t kv_head, Head& head) const override;
  void step(const DeviceShape& shape, const std::vector<DeviceHead>& heads, const DeviceRows& rows,
            Found* found) override;

 private:
  // Of one kv head, each in device memory.
  struct Books {
    int32_t merged = 0, room = 0;  // slots that there is room for
    Memory memory;
    float *merged_scores = nullptr, *weights = nullptr, *bias = nullptr, *scores = nullptr;
    int32_t *positions = nullptr, *ring = nullptr;
    std::vector<int32_t> pinned;
    Memory pins;
    bool leaves = false;  // as the list has it
  };
  // What one step is given and gives, in one piece each way.
  struct Rows {
    float *q, *k, *v;
    AppendTask* appends;
    float* out;
    Found* found;
    int64_t in_bytes, out_bytes;
  };

  Rows rows_of(const DeviceShape& shape, char* in, char* out) const;
  bool same_lists(const std::vector<DeviceHead>& heads) const;
  void build(const DeviceShape& shape, const std::vector<DeviceHead>& heads);
  void pin(Books& books, const std::vector<int32_t>& pinned);
  AppendTask append_of(const DeviceHead& head, size_t g) const;

  const std::shared_ptr<Context> context_;
  std::vector<Books> books_;
  std::vector<int32_t> start_;         // [kv_heads + 1]: a head's first chunk
  std::vector<int32_t> merged_;        // of each head: merged chunks
  std::vector<int32_t> decode_place_;  // of each chunk: its place among the decode tasks
  Memory lists_, in_, out_;
  DecodeTask* decode_ = nullptr;  // those over float32 merged slots first, where the rest is of another storage
  int32_t apart_ = 0;             // so many
  UpkeepChunk* upkeep_chunks_ = nullptr;
  UpkeepTask* upkeep_ = nullptr;
  int64_t work_version_ = -1;
};

}  // namespace zs::cuda
#endif
