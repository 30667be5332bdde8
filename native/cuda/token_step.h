// A token's way through a whole model in one launch, for models so small that launches would take most of the time. Blocks that are all alive at
// once take a list of stages, each with as much of a stage's work as falls to it, and wait for each other where the next stage needs what this
// one made. Bits are those of the launches that it stands for (rows.h, products.h, append.h, decode_attention.h, upkeep.h).
#ifndef ZSLAB_CUDA_TOKEN_STEP_H
#define ZSLAB_CUDA_TOKEN_STEP_H

#include <string>
#include <vector>

#include "cuda/append.h"
#include "cuda/decode_attention.h"
#include "cuda/products.h"
#include "cuda/rows.h"
#include "cuda/upkeep.h"

namespace zs::cuda {

// y = W x, of one row. With `norm` it is first normalised, by each block for itself: x / sqrt(mean(x^2) + eps) * norm, zeros behind the n values.
// With `appends` y is queries, keys and values side by side: queries and keys are rotated, keys and values go into slots of the cache as well.
struct ProductStage {
  Matrix w;
  const float* x;     // [w.k], or with `norm` [n] to a multiple of 4 values
  const float* norm;  // [n]; nullptr = x is what is multiplied
  int32_t n;
  float eps;
  Then then;
  float* y;
  const AppendTask* appends;  // [kv_heads]; nullptr = a product alone
  int32_t heads, kv_heads, d, pairs;
  const float* angles;  // [pairs][2]: cosine and sine
};
// The first `floats` of `count` chunks are float32, whatever the cache's storage.
struct DecodeStage {
  const DecodeTask* tasks;
  int32_t floats, count;
};
struct UpkeepStage {
  const UpkeepTask* tasks;
  int32_t count;
  UpkeepShape shape;
};

enum class StageKind : int32_t { kEmbed, kProduct, kDecode, kUpkeep };
// In device memory, as is all that it points at.
struct alignas(16) Stage {
  StageKind kind;
  bool meets;  // all blocks wait for each other after it
  // Weights of a product to come, which begin to go to the second-level cache; nullptr = there are none.
  const void* ahead;
  int64_t ahead_bytes;
  union {
    Embed embed;  // of one row
    ProductStage product;
    DecodeStage decode;
    UpkeepStage upkeep;
  };
};

// Makes a list, in the order of stages. Each begins to fetch the next product's weights.
class Stages {
 public:
  void add(const Embed& embed);
  void add(const ProductStage& product);
  void add(const DecodeStage& decode);
  void add(const UpkeepStage& upkeep);
  const std::vector<Stage>& all() const { return all_; }

 private:
  Stage& next(StageKind kind);
  std::vector<Stage> all_;
};

// Of all stages of a list.
struct StepShape {
  int32_t storage;   // zs_storage of the cache; weights may be of any
  int32_t group, d;  // d at most kStepDim
  int64_t k;         // the most inputs of a product
};

// Blocks of a launch on the device in use: one for each multiprocessor. → why it cannot be; empty = it can.
std::string step_blocks(const StepShape& shape, int32_t& blocks);
// → what was wrong; empty = launched.
std::string token_step(const Stage* stages, int32_t count, const StepShape& shape, int32_t blocks, gpu::Stream stream);

}  // namespace zs::cuda
#endif
