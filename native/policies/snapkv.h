// SnapKV (arXiv 2404.14469): the prompt's last `window` queries vote, votes are smoothed over neighbours, and the tokens with most votes stay
// beside the window. Acts on the prompt alone. Original: per query head after expanding keys; here the mean over a kv head's query heads.
#ifndef ZSLAB_POLICIES_SNAPKV_H
#define ZSLAB_POLICIES_SNAPKV_H

#include "policies/regions.h"

namespace zs {
namespace snapkv {

enum Variant {
  kOfficial = 0,
  kKvpress = 1
};  // kvpress: mean of the window's rows, the window counts within the share kept
enum Pooling { kAvg = 0, kMax = 1 };

struct Parameters {
  int32_t window;   // queries that vote; their tokens always stay
  int32_t kernel;   // neighbours that a vote is pooled over, itself in the middle; odd
  int32_t pooling;  // over zeros beyond the ends; avg always divides by kernel
  int32_t variant;
};

inline zs_resolved resolve(const Policy& policy, double budget, int64_t tokens) {
  const Parameters& p = policy.own<Parameters>();
  regions::Asked asked;
  asked.recent = p.window;
  asked.least_budget = 1;
  if (p.variant == kKvpress) {
    if (tokens <= p.window)
      fail(ZS_INVALID, "the prompt has %lld tokens, variant kvpress needs more than its window of %d: lower window",
           static_cast<long long>(tokens), p.window);
    const int64_t slots =
        std::max<int64_t>(1, budget < 1 ? regions::share(budget, tokens) : static_cast<int64_t>(budget));
    asked.recent = static_cast<double>(std::min<int64_t>(p.window, slots));
    asked.needed_context = 0;
  }
  return regions::resolve(asked, budget, tokens);
}

inline void score(HeadWork& w, int32_t from, int32_t to) {
  const Parameters& p = w.own<Parameters>();
  Column<float>& scores = w.head->open().scores;
  const int32_t voted = std::max(from, to - p.window), reach = p.kernel / 2;
  std::fill(scores.begin() + from, scores.begin() + to, 0.0f);
  for (int32_t h = 0; h < w.group; ++h) {
    const float* votes = w.sums + h * w.sums_stride;
    for (int32_t t = from; t < voted; ++t) {
      float pooled = 0;
      for (int32_t i = std::max(from, t - reach); i <= std::min(voted - 1, t + reach); ++i)
        pooled = p.pooling == kMax ? std::max(pooled, votes[i]) : pooled + votes[i];
      scores[static_cast<size_t>(t)] += pooled;
    }
  }
  const float divisor = static_cast<float>(w.group) * static_cast<float>(p.pooling == kAvg ? p.kernel : 1) *
                        static_cast<float>(p.variant == kKvpress ? p.window : 1);
  for (int32_t t = from; t < voted; ++t) scores[static_cast<size_t>(t)] /= divisor;
}

inline PolicyHooks hooks() {
  static const zs_field fields[] = {ZS_FIELD(Parameters, window, "window"), ZS_FIELD(Parameters, kernel, "kernel"),
                                    ZS_FIELD(Parameters, pooling, "pooling"), ZS_FIELD(Parameters, variant, "variant")};
  PolicyHooks hooks{};
  describe<Parameters>(hooks, "snapkv", fields);
  hooks.check = [](const Policy& policy) {
    const Parameters& p = policy.own<Parameters>();
    in_range("window", p.window, 1, INT32_MAX);
    in_range("kernel", p.kernel, 1, 65535);
    if (p.kernel % 2 == 0) fail(ZS_INVALID, "policy.kernel is %d: expected an odd number", p.kernel);
    in_range("pooling", p.pooling, 0, kMax);
    in_range("variant", p.variant, 0, kKvpress);
  };
  hooks.needs = [](const Policy& policy, int64_t tokens) {
    Needs needs;
    needs.acts = ZS_ACTS_PROMPT;
    needs.scores = needs.by_query = true;
    needs.upkeep = false;
    needs.rows = static_cast<int32_t>(std::min<int64_t>(policy.own<Parameters>().window, tokens));
    return needs;
  };
  hooks.resolve = resolve;
  hooks.score = score;
  hooks.contest = [](const HeadWork& w) { return regions::contest(w, 0); };
  hooks.compress = regions::compress_and_drop;
  hooks.device = regions::device;
  hooks.single = true;
  return hooks;
}

}  // namespace snapkv
ZS_POLICY(snapkv)
}  // namespace zs
#endif
