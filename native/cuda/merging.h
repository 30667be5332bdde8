// How slots are merged, as a policy's parameters say it.
#ifndef ZSLAB_CUDA_MERGING_H
#define ZSLAB_CUDA_MERGING_H

#include <cstdint>

namespace zs::cuda {

enum class Aggregate : int32_t { kMean, kScore, kMedoid };  // of policies/zsmerge.h

struct MergeShape {
  int32_t similarity;  // zs_similarity
  bool sums_scores;    // the merged slot's score is the sum of the two, not the larger
  Aggregate aggregate;
  bool keys_fixed, values_fixed;  // its seed's for good
};

}  // namespace zs::cuda
#endif
