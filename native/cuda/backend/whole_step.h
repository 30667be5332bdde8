// Tokens whose way through a model is one launch (token_step.h): when they are, and the list of stages in device memory.
#ifndef ZSLAB_CUDA_BACKEND_WHOLE_STEP_H
#define ZSLAB_CUDA_BACKEND_WHOLE_STEP_H

#include <functional>
#include <memory>
#include <vector>

#include "cuda/backend/context.h"
#include "cuda/token_step.h"

namespace zs::cuda {

// What a layer's heads do in a token's step.
struct HeadStages {
  bool alone;  // each chooses by itself, or nobody leaves
  const AppendTask* appends;
  DecodeStage decode;
  UpkeepStage upkeep;
};

class WholeStep {
 public:
  WholeStep(std::shared_ptr<Context> context, int32_t layers);
  // Of the token to come.
  void set(int32_t layer, const HeadStages& heads) { heads_[static_cast<size_t>(layer)] = heads; }
  const HeadStages& heads(int32_t layer) const { return heads_[static_cast<size_t>(layer)]; }

  // Whether the token is to be one launch. `lists` says what it depends on, `fill` makes its stages where they are not those that are known;
  // `k`: the most inputs of a product, `layer_bytes`: a layer's weights.
  bool prepare(const std::vector<int64_t>& lists, int64_t k, int64_t layer_bytes,
               const std::function<void(Stages&)>& fill);
  // False where it could not be: then nothing was done, and none will be from now on.
  bool launch();
  void forget() { lists_.clear(); }
  int64_t launched() const { return launched_; }

 private:
  const std::shared_ptr<Context> context_;
  std::vector<HeadStages> heads_;
  StepShape shape_{};  // of the last token that was asked about
  int32_t blocks_ = 0;
  std::vector<int64_t> lists_;
  std::vector<Stage> stages_;
  Memory memory_;
  size_t room_ = 0;  // bytes
  bool can_ = true;
  int64_t launched_ = 0;
};

}  // namespace zs::cuda
#endif
