#include "cuda/decode_attention.h"
#include "cuda/storage.h"
#include "cuda/tuning.h"

namespace zs::cuda {

// Of decode_attention.cuh; each pair of storages has a file of its own.
template <class Keys, class Values>
std::string decode_of(const DecodeTask* tasks, int32_t count, int32_t group, int32_t d, gpu::Stream stream);

std::string decode(const DecodeTask* tasks, int32_t count, const DecodeShape& shape, gpu::Stream stream) {
  if (shape.group < 1 || shape.group > kMostGroup)
    return "decode attention on the GPU takes 1 to " + std::to_string(kMostGroup) + " query heads a kv head, not " +
           std::to_string(shape.group);
  if (shape.d < 2 || shape.d > kMostDim || shape.d % 2)
    return "decode attention on the GPU takes an even headDim of at most " + std::to_string(kMostDim) + ", not " +
           std::to_string(shape.d);
  const auto of = [&](auto pair) { return pair(tasks, count, shape.group, shape.d, stream); };
  switch (shape.storage) {
    case ZS_F32:
      return of(decode_of<F32, F32>);
    case ZS_F16:
      return of(shape.float_keys ? decode_of<F32, F16> : decode_of<F16, F16>);
    case ZS_BF16:
      return of(shape.float_keys ? decode_of<F32, BF16> : decode_of<BF16, BF16>);
  }
  return "decode attention on the GPU does not know storage " + std::to_string(shape.storage);
}

}  // namespace zs::cuda
