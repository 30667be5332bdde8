#include "cuda/prefill_attention.h"
#include "cuda/storage.h"
#include "cuda/tuning.h"

namespace zs::cuda {

// Of prefill_attention.cuh; each storage has a file of its own.
template <class Storage>
std::string prefill_of(const RowsTask* tasks, int32_t count, const PrefillShape& shape, gpu::Stream stream);

int32_t prefill_rows(int32_t group, int32_t d) { return rows_queries(d) / group; }

std::string prefill(const RowsTask* tasks, int32_t count, const PrefillShape& shape, gpu::Stream stream) {
  if (shape.group < 1 || shape.group > kMostGroup)
    return "prefill attention on the GPU takes 1 to " + std::to_string(kMostGroup) + " query heads a kv head, not " +
           std::to_string(shape.group);
  if (shape.d < 2 || shape.d > kMostDim || shape.d % 2)
    return "prefill attention on the GPU takes an even headDim of at most " + std::to_string(kMostDim) + ", not " +
           std::to_string(shape.d);
  switch (shape.storage) {
    case ZS_F32:
      return prefill_of<F32>(tasks, count, shape, stream);
    case ZS_F16:
      return prefill_of<F16>(tasks, count, shape, stream);
    case ZS_BF16:
      return prefill_of<BF16>(tasks, count, shape, stream);
  }
  return "prefill attention on the GPU does not know storage " + std::to_string(shape.storage);
}

}  // namespace zs::cuda
