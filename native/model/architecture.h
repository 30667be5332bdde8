// An architecture as data: which tensors it has, of which shapes, and which kernels stand for its norm, activation and rotation.
// The loader and the runner read this and know no architecture by name.
#ifndef ZSLAB_MODEL_ARCHITECTURE_H
#define ZSLAB_MODEL_ARCHITECTURE_H

#include <cstdint>

#include "cpu/linear.h"
#include "zslab/model.h"

namespace zs {

// What a tensor is to the runner; those from kAttentionNorm on are there once per layer.
enum class Part {
  kEmbedding,
  kOutputNorm,
  kOutput,
  kAttentionNorm,
  kQuery,
  kKey,
  kValue,
  kAttentionOutput,
  kFeedForwardNorm,
  kGate,
  kUp,
  kDown,
};
constexpr int kParts = static_cast<int>(Part::kDown) + 1;
inline bool per_layer(Part part) { return part >= Part::kAttentionNorm; }

enum class Size { kNone, kHidden, kQueries, kKeys, kFeedForward, kVocabulary };
inline int64_t size_of(Size size, const zs_model_config& config) {
  switch (size) {
    case Size::kHidden:
      return config.hidden;
    case Size::kQueries:
      return static_cast<int64_t>(config.heads) * config.head_dim;
    case Size::kKeys:
      return static_cast<int64_t>(config.kv_heads) * config.head_dim;
    case Size::kFeedForward:
      return config.feed_forward;
    case Size::kVocabulary:
      return config.vocabulary;
    case Size::kNone:
      break;
  }
  return 1;
}

struct TensorRule {
  Part part;
  const char* name;
  Size inputs, outputs;
};

// One of the table's functions.
template <class F>
using OfKernels = F LinearKernels::*;

struct Architecture {
  int32_t number;
  const char* name;
  OfKernels<decltype(LinearKernels::rms_norm)> norm;
  OfKernels<decltype(LinearKernels::swiglu)> activation;
  OfKernels<decltype(LinearKernels::rope)> rotation;
  TensorRule tensors[kParts];
};

// nullptr where this build does not know it.
const Architecture* find_architecture(int32_t number);

}  // namespace zs
#endif
