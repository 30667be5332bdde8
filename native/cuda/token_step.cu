#include "cuda/storage.h"
#include "cuda/token_step.h"
#include "cuda/tuning.h"

namespace zs::cuda {

// Of token_step.cuh; each storage has a file of its own.
template <class Storage>
std::string step_blocks_of(const StepShape& shape, int32_t& blocks);
template <class Storage>
std::string token_step_of(const Stage* stages, int32_t count, const StepShape& shape, int32_t blocks,
                          gpu::Stream stream);

namespace {

std::string wrong_shape(const StepShape& shape) {
  if (shape.group < 1 || shape.group > kMostGroup)
    return "a token's step in one launch takes 1 to " + std::to_string(kMostGroup) + " query heads a kv head, not " +
           std::to_string(shape.group);
  if (shape.d < 2 || shape.d > kStepDim || shape.d % 2)
    return "a token's step in one launch takes an even headDim of at most " + std::to_string(kStepDim) + ", not " +
           std::to_string(shape.d);
  if (shape.k < 1 || shape.k > kStepInputs)
    return "a token's step in one launch takes products of at most " + std::to_string(kStepInputs) + " inputs, not " +
           std::to_string(shape.k);
  return {};
}

}  // namespace

Stage& Stages::next(StageKind kind) {
  if (!all_.empty()) all_.back().meets = true;
  all_.emplace_back();
  all_.back().kind = kind;
  return all_.back();
}
void Stages::add(const Embed& embed) { next(StageKind::kEmbed).embed = embed; }
void Stages::add(const DecodeStage& decode) { next(StageKind::kDecode).decode = decode; }
void Stages::add(const UpkeepStage& upkeep) { next(StageKind::kUpkeep).upkeep = upkeep; }
void Stages::add(const ProductStage& product) {
  next(StageKind::kProduct).product = product;
  for (size_t i = all_.size() - 1; i-- > 0;) {
    all_[i].ahead = product.w.data;
    all_[i].ahead_bytes = product.w.bytes();
    if (all_[i].kind == StageKind::kProduct) break;
  }
}

std::string step_blocks(const StepShape& shape, int32_t& blocks) {
  blocks = 0;
  const std::string wrong = wrong_shape(shape);
  if (!wrong.empty()) return wrong;
  std::string failed = of_storage("a token's step in one launch", shape.storage,
                                  [&](auto storage) { return step_blocks_of<decltype(storage)>(shape, blocks); });
  return failed.empty() && !blocks ? "this GPU has no launches whose blocks are all alive at once" : failed;
}

std::string token_step(const Stage* stages, int32_t count, const StepShape& shape, int32_t blocks, gpu::Stream stream) {
  const std::string wrong = wrong_shape(shape);
  if (!wrong.empty()) return wrong;
  return of_storage("a token's step in one launch", shape.storage, [&](auto storage) {
    return token_step_of<decltype(storage)>(stages, count, shape, blocks, stream);
  });
}

}  // namespace zs::cuda
