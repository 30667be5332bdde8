// A model in device memory, and what its layers do with a token's row beside attention.
#ifndef ZSLAB_CUDA_BACKEND_MODEL_H
#define ZSLAB_CUDA_BACKEND_MODEL_H

#include <memory>
#include <vector>

#include "core/device_model.h"
#include "cuda/append.h"
#include "cuda/backend/context.h"
#include "cuda/backend/mail.h"
#include "cuda/backend/whole_step.h"
#include "cuda/products.h"
#include "cuda/upkeep.h"

namespace zs::cuda {

class GpuModel : public DeviceModel {
 public:
  GpuModel(std::shared_ptr<Context> context, const DeviceModelShape& shape);
  void load(DevicePart part, int32_t layer, int64_t outputs, int64_t k, const void* rows) override;
  void load(DeviceNorm norm, int32_t layer, const float* weights) override;
  void loaded() override;

  DeviceRows rows(int32_t layer) override;
  void begin(int32_t id, const float* angles, bool logits) override;
  bool launches() override;
  void abandon() override;
  void embed() override;
  void project(int32_t layer) override;
  void feed_forward(int32_t layer) override;
  void choose() override;
  void head() override;
  bool end(float* logits) override;
  void take() override;
  DeviceTaken taken(int32_t layer) override;
  std::unique_ptr<DevicePass> pass(int64_t tokens, int64_t chunk) override;

  Mail mail(int32_t layer);
  // Where the scores of heads that choose together are summed, with room for so many slots.
  float* choice(int64_t slots);
  // The layer's launches are those of its lists number `lists`, which no others have; `chunks` of an open segment: 0 = all layers do not choose
  // together, or nobody leaves.
  void will_launch(int32_t layer, int64_t lists, const std::vector<UpkeepTask>& tasks, int32_t chunks);
  WholeStep& whole() { return whole_; }

 private:
  friend class GpuPass;  // reads the weights
  struct Layer {
    float *attention_norm = nullptr, *feed_forward_norm = nullptr;
    Matrix qkv{}, attention_output{}, gate_up{}, down{};
  };
  struct In {
    int32_t *id, *position;
    float* angles;
    int64_t bytes;
  };
  struct Out {
    float *residual, *logits;
    int64_t bytes;
  };

  const Matrix& output() const { return output_.data ? output_ : embedding_; }
  void* upload(const void* place, const void* from, int64_t bytes);  // nullptr = there is no place yet
  Memory cleared(int64_t floats);
  struct Choosing {
    ChoiceTask* task;
    UpkeepTask* heads;
    int64_t bytes;
  };
  Choosing choosing(char* memory) const;
  In in(char* memory) const;
  Out out(char* memory) const;
  float* residual() const { return out(as<char>(out_)).residual; }
  // Floats of a layer's rows, of which the second part is what its heads gave.
  int64_t projected() const { return round_up(layers_[0].qkv.outputs, int64_t{64}); }
  int64_t taken_floats() const { return projected() + layers_[0].attention_output.k; }
  bool prepare_whole();
  void list_stages(Stages& all);
  void norm(const float* weights, const Matrix& w);
  void multiply(const Matrix& w, const float* x, Then then, float* y, int64_t y_stride);

  const std::shared_ptr<Context> context_;
  const DeviceModelShape shape_;
  std::vector<Memory> weights_;
  float* output_norm_ = nullptr;
  Matrix embedding_{}, output_{};
  std::vector<Layer> layers_;
  Products products_;

  // Where heads of all layers choose together: their tasks, one layer after another, of which the device has those of choosing_lists_.
  ChoiceTask choice_task_{};
  std::vector<UpkeepTask> tasks_here_;
  std::vector<int64_t> choosing_lists_;
  Memory choosing_, choice_;
  int64_t choice_slots_ = 0;
  int32_t choosing_chunks_ = 0;

  // Of a token. A layer's queries, keys and values, and what its heads gave, lie side by side.
  Memory in_, out_, taken_, input_, active_;
  std::vector<char> in_here_, out_here_;
  std::vector<float> taken_here_;

  // What the token's launches depend on: each layer's lists, and whether logits are wanted. Those that were the same twice are recorded, since
  // they are likely to stay so.
  // Of a small model all of them are one.
  WholeStep whole_;
  bool at_once_ = false;
  enum class Launches { kNone, kMade, kRecorded } launches_ = Launches::kNone;
  std::vector<int64_t> lists_, last_lists_, graph_lists_;
  gpu::Graph graph_;
  std::unique_lock<std::mutex> recording_;
  bool can_record_ = true;
};

}  // namespace zs::cuda
#endif
