// How the functions of native/cuda launch their kernels, told without a GPU: linked with the kernels' objects and, in place of CUDA's runtime,
// with one that launches nothing (launched.h). Usual shapes are headDim 64 and 128, one decay, and chunks of one storage.
#include <cstdio>
#include <string>

#include "cuda/append.h"
#include "cuda/column_sums.h"
#include "cuda/compress.h"
#include "cuda/decode_attention.h"
#include "cuda/logits.h"
#include "cuda/prefill_attention.h"
#include "cuda/prove/launched.h"
#include "cuda/rows.h"
#include "cuda/select.h"
#include "cuda/token_step.h"
#include "cuda/tuning.h"
#include "cuda/upkeep.h"
#include "cuda/vector_product.h"

namespace zs::cuda {
namespace {

int failed;

void must(const std::string& what) {
  if (what.empty()) return;
  std::fprintf(stderr, "%s\n", what.c_str());
  failed = 1;
}

// What takes any headDim. Of halves some chunks may be `floats`.
void attention(int32_t storage, int32_t d, bool floats, int32_t fades) {
  for (int32_t group = 1; group <= kMostGroup; ++group) {
    for (const bool float_keys : {false, true}) must(decode(nullptr, 1, {storage, float_keys, group, d}, {}));
    must(merge(nullptr, 1, group, d, {}));
    must(prefill(nullptr, 1, {storage, floats, group, d}, {}));
    must(columns(nullptr, 1, {storage, floats, group, d, fades}, {}));
    UpkeepShape shape{};
    shape.storage = storage;
    shape.group = group;
    shape.d = d;
    must(upkeep(nullptr, 1, shape, {}));
  }
  must(append(nullptr, 1, {storage, d}, {}));
  CompressShape compressed{};
  compressed.storage = storage;
  compressed.d = d;
  compressed.slots = compressed.residual = 1;
  must(keep_tokens(nullptr, 1, compressed, {}));
  must(merge_runs(nullptr, 1, compressed, {}));
  must(merge_alike(nullptr, 1, compressed, 0, 1, {}));
}

void whole_steps(int32_t storage, int32_t d, int64_t k) {
  int32_t blocks = 0;
  must(step_blocks({storage, kMostGroup, d, k}, blocks));
  must(token_step(nullptr, 0, {storage, kMostGroup, d, k}, blocks, {}));
}

void rows(int32_t storage, int32_t n) {
  Embed input{};
  input.storage = storage;
  input.x_stride = n;
  must(embed(input, 1, {}));
  RmsNorm norm{};
  norm.storage = storage;
  norm.n = n;
  norm.x_stride = n;
  must(rms_norm(norm, 1, {}));
  Rotate turned{};
  turned.heads = 1;
  turned.d = 2;
  turned.pairs = 1;
  must(rotate(turned, 1, {}));
  Activate gates{};
  gates.storage = storage;
  gates.tiles = 1;
  must(activate(gates, 1, {}));
  Narrow rounded{};
  rounded.storage = storage;
  rounded.n = n;
  must(narrow(rounded, 1, {}));
  for (const int64_t outputs : {64, kManyOutputs})
    for (int32_t count = 1; count <= kFewRows; ++count) {
      Product product{};
      product.w = {nullptr, storage, outputs, 64};
      product.rows = count;
      must(multiply_few(product, {}));
    }
}

}  // namespace
}  // namespace zs::cuda

int main() {
  using namespace zs::cuda;
  using namespace zs::launched;
  for (const int32_t storage : {ZS_F32, ZS_F16, ZS_BF16}) {
    shapes = kUsual;
    for (const int32_t d : {64, 128}) attention(storage, d, false, 1);
    rows(storage, 4096);
    whole_steps(storage, 64, 4096);
    shapes = kAll;
    for (int32_t d = 2; d <= kMostDim; d += 2) attention(storage, d, true, kMostFades);
    rows(storage, kMostNormed);
    whole_steps(storage, kStepDim, kStepInputs);
  }
  for (const Shapes some : {kUsual, kAll}) {
    shapes = some;
    must(select(nullptr, 1, {}));
    must(sum_scores(nullptr, 1, 1, {}));
    must(summarize_logits(nullptr, 1, 1, nullptr, 1, {}));
  }
  print_launches();
  return failed;
}
