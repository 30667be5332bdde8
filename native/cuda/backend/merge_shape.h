// How a policy's rule merges slots, as kernels take it.
#ifndef ZSLAB_CUDA_BACKEND_MERGE_SHAPE_H
#define ZSLAB_CUDA_BACKEND_MERGE_SHAPE_H

#include "core/device.h"
#include "cuda/merging.h"

namespace zs::cuda {

inline MergeShape merge_shape(const DeviceRule& rule) {
  return {rule.similarity, rule.score_merge != 0, static_cast<Aggregate>(rule.aggregate), rule.keys != 0,
          rule.values != 0};
}

}  // namespace zs::cuda
#endif
