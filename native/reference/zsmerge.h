// ZSMerge (arXiv 2503.10714), and what is a special case of it: the full cache, StreamingLLM, eviction by history.
#ifndef ZSLAB_REFERENCE_ZSMERGE_H
#define ZSLAB_REFERENCE_ZSMERGE_H

#include "reference/regions.h"

namespace reference {

enum class Similarity { kDot, kL2, kCosine };
enum class ScoreMerge { kMax, kSum };
enum class Init { kPosition, kSimilarity };
enum class Underfull { kCompress, kFirstTokens };
enum class Aggregate { kMean, kScore, kMedoid };

// A value below 1 is a share (of the first prompt, of budget, of budget - recent), 1 or more a count of slots.
struct Options {
  bool full = false;  // never compresses
  double budget = 0.2, recent = 0.5, residual = 0.02;
  int sink = 0;
  int least_budget = kLeastBudget, least_recent = 1, least_residual = 1;
  bool raise_counts = false;  // counts are raised to the least recent and residual too (mode reference)
  double alpha = 1, decay = 0.98;
  bool history = true;
  Similarity similarity = Similarity::kDot;
  ScoreMerge score_merge = ScoreMerge::kMax;
  Init init = Init::kPosition;
  Underfull underfull = Underfull::kCompress;
  int window = 0;  // > 0 rows, 0 = smallest W with decay^W < 1e-7, -1 = all
  Together granularity = Together::kHead;
  Aggregate aggregate = Aggregate::kMean;
  bool fixed_keys = false, fixed_values = false;  // a residual slot keeps its seed's
};

// Shares against `tokens`. Throws std::invalid_argument where budget > recent + residual + sink does not hold or recent is 0.
Resolved resolve(const Options& options, int64_t tokens);
Options options_of(const Asked& asked);

class ZsMerge : public Regions {
 public:
  explicit ZsMerge(const Options& options) : options_(options) {}
  double budget() const override { return options_.full ? 0 : options_.budget; }
  Resolved resolve(double budget, int64_t tokens) const override;
  Acts acts() const override { return options_.full ? Acts::kNever : Acts::kAlways; }
  Together together() const override { return options_.granularity; }
  double alpha() const override { return options_.alpha; }
  bool scored(int64_t) const override { return options_.history; }
  void score(At at, const Resolved& sizes, const Seen& seen, std::vector<Slot*>& slots, bool prompt) const override;
  bool compress_underfull() const override { return options_.underfull == Underfull::kCompress; }
  int64_t least() const override { return 1; }

 protected:
  std::vector<std::vector<Slot>> leave(Cache& cache, const std::vector<At>& group, Tokens rest,
                                       int64_t step) const override;
  void leave(Cache& cache, At at, int victim, int64_t step) const override;

 private:
  std::vector<Slot> in_groups(Cache& cache, At at, const Tokens& rest, int64_t step) const;
  std::vector<Slot> by_similarity(Cache& cache, At at, const Tokens& seeds, const Tokens& rest, int64_t step) const;
  int target_of(Cache& cache, At at, const std::vector<Slot>& residual, const Slot& moved, int64_t step,
                double* similarity) const;
  double similarity(const Cache& cache, const Slot& a, const Slot& b, double* error) const;
  // into <- both, as residual slot `slot`. `place`: key and value too.
  void merge(Cache& cache, At at, int64_t slot, int64_t step, Slot& into, const Slot& moved, bool place) const;
  void mean_by_score(Cache& cache, At at, int64_t step, Slot& into, const Slot& moved) const;

  Options options_;
};

}  // namespace reference
#endif
