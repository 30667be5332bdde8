// A layer in device memory: what is kept of each slot, the work lists of its steps, and a step.
#ifndef ZSLAB_CUDA_BACKEND_LAYER_H
#define ZSLAB_CUDA_BACKEND_LAYER_H

#include <memory>
#include <vector>

#include "core/device.h"
#include "cuda/append.h"
#include "cuda/backend/context.h"
#include "cuda/backend/mail.h"
#include "cuda/decode_attention.h"
#include "cuda/upkeep.h"

namespace zs::cuda {

class GpuLayer : public DeviceLayer {
 public:
  GpuLayer(std::shared_ptr<Context> context, int32_t kv_heads);
  void write(int32_t kv_head, const Head& head, int32_t room) override;
  void read(int32_t kv_head, Head& head) const override;
  void prepare(const DeviceShape& shape, const std::vector<DeviceHead>& heads, const DeviceRows& rows) override;
  bool prepared() const override { return lists_ && work_version_ == context_->work.version(); }
  void launch(const DeviceRows& rows) override;
  void leave() override;
  void finish(const DeviceRows& rows, Found* found) override;

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
  // What a step is given and gives, as it lies in the mail: q, k, v and out only where they are the host's.
  struct Given {
    AppendTask* appends;
    float *q, *k, *v;
    int64_t bytes;
  };
  struct Results {
    Found* found;
    float* out;
    int64_t bytes;
  };
  Given given(bool rows, char* memory) const;
  Results results(bool rows, char* memory) const;
  Mail mail_of(const DeviceRows& rows);
  // The views as the lists have them: on the device.
  DeviceRows there(const DeviceRows& rows) const;

  bool same_lists(const std::vector<DeviceHead>& heads, const DeviceRows& views, const Found* found,
                  const float* choice) const;
  // `choice`: where a model sums scores of all heads; nullptr = it does not.
  void build(const std::vector<DeviceHead>& heads, const DeviceRows& views, Found* found, float* choice);
  UpkeepShape upkeep_shape(UpkeepPart part) const;
  void keep_up(UpkeepPart part);
  void pin(Books& books, const std::vector<int32_t>& pinned);
  AppendTask append_of(const DeviceHead& head, size_t g) const;
  // Of each head, where heads choose together.
  int32_t open_chunks() const { return start_[1] - merged_[0]; }

  const std::shared_ptr<Context> context_;
  std::vector<Books> books_;
  std::vector<int32_t> start_;         // [kv_heads + 1]: a head's first chunk
  std::vector<int32_t> merged_;        // of each head: merged chunks
  std::vector<int32_t> decode_place_;  // of each chunk: its place among the decode tasks
  Memory lists_, in_, out_;            // the latter for rows of the host
  std::vector<char> in_here_, out_here_;
  DecodeTask* decode_ = nullptr;  // those over float32 merged slots first, where the rest is of another storage
  int32_t apart_ = 0;             // so many
  UpkeepChunk* upkeep_chunks_ = nullptr;
  UpkeepTask* upkeep_ = nullptr;
  ChoiceTask* choosing_ = nullptr;  // where the layer's heads choose together
  std::vector<UpkeepTask> tasks_;   // as they are there
  int64_t work_version_ = -1, lists_number_ = 0;
  DeviceShape shape_{};  // of the step that was prepared
  const void *q_ = nullptr, *attended_ = nullptr, *found_ = nullptr, *choice_ = nullptr;  // as the lists have them
};

}  // namespace zs::cuda
#endif
