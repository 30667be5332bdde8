// How slots are merged, drawn, and the policy of the CPU that does the same.
#ifndef ZSLAB_CUDA_TEST_MERGE_RULE_H
#define ZSLAB_CUDA_TEST_MERGE_RULE_H

#include <cstring>

#include "cuda/merging.h"
#include "policies/zsmerge.h"
#include "test/check.h"

namespace zs::twins {

static_assert(static_cast<int>(cuda::Aggregate::kScore) == zsmerge::kScore &&
                  static_cast<int>(cuda::Aggregate::kMedoid) == zsmerge::kMedoid,
              "aggregates are numbered as the policy has them");

// `mean`: no other aggregate, as without scores.
inline cuda::MergeShape merging_of(test::Random& random, bool mean) {
  cuda::MergeShape merging{};
  merging.similarity = random.upto(ZS_DOT, ZS_COSINE);
  merging.sums_scores = random.one_in(2);
  merging.aggregate = static_cast<cuda::Aggregate>(mean || random.one_in(2) ? 0 : random.upto(1, 2));
  merging.keys_fixed = merging.aggregate == cuda::Aggregate::kMean && random.one_in(4);
  merging.values_fixed = merging.aggregate == cuda::Aggregate::kMean && random.one_in(4);
  return merging;
}

inline Policy policy_of(const cuda::MergeShape& merging, float alpha, int32_t init) {
  zsmerge::Parameters parameters{};
  parameters.alpha = alpha;
  parameters.init = init;
  parameters.similarity = merging.similarity;
  parameters.score_merge = merging.sums_scores ? zsmerge::kSum : zsmerge::kMax;
  parameters.aggregate = static_cast<int32_t>(merging.aggregate);
  parameters.keys = merging.keys_fixed ? zsmerge::kFixed : zsmerge::kMoves;
  parameters.values = merging.values_fixed ? zsmerge::kFixed : zsmerge::kMoves;
  Policy policy;
  policy.block.resize((sizeof parameters + sizeof(double) - 1) / sizeof(double));
  std::memcpy(policy.block.data(), &parameters, sizeof parameters);
  return policy;
}

}  // namespace zs::twins
#endif
