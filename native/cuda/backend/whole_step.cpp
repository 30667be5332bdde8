#include "cuda/backend/whole_step.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "cuda/tuning.h"

namespace zs::cuda {

WholeStep::WholeStep(std::shared_ptr<Context> context, int32_t layers)
    : context_(std::move(context)), heads_(static_cast<size_t>(layers)) {}

bool WholeStep::prepare(const std::vector<int64_t>& lists, int64_t k, int64_t layer_bytes,
                        const std::function<void(Stages&)>& fill) {
  const UpkeepShape& first = heads_[0].upkeep.shape;
  const StepShape shape = {first.storage, first.group, first.d, k};
  if (shape.storage != shape_.storage || shape.group != shape_.group || shape.d != shape_.d || shape.k != shape_.k) {
    shape_ = shape;
    lists_.clear();
    if (!step_blocks(shape, blocks_).empty()) blocks_ = 0;
  }
  const auto fits = [&](const HeadStages& heads) {
    return heads.alone && steps_at_once(layer_bytes, heads.decode.count, blocks_);
  };
  if (!can_ || !std::all_of(heads_.begin(), heads_.end(), fits)) return false;
  if (lists == lists_) return true;
  lists_.clear();
  Stages made;
  fill(made);
  stages_ = made.all();
  const size_t bytes = stages_.size() * sizeof(Stage);
  if (bytes > room_) {
    memory_.reset();
    room_ = 0;
    try {
      memory_ = context_->pool->take(static_cast<int64_t>(bytes));
    } catch (const Error&) {
      return false;  // there is no room for it: the token's launches are made one by one
    }
    room_ = bytes;
  }
  gpu::upload(memory_.get(), stages_.data(), bytes, context_->stream);
  lists_ = lists;
  return true;
}

bool WholeStep::launch() {
  can_ =
      token_step(as<Stage>(memory_), static_cast<int32_t>(stages_.size()), shape_, blocks_, context_->stream).empty();
  launched_ += can_;
  return can_;
}

}  // namespace zs::cuda
