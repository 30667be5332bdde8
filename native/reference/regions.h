// The regions that most policies share (spec 1, 4, 5): residual, sink, context, recent. Who is kept and who leaves, and who moves where;
// what leaves is dropped unless a policy says otherwise.
#ifndef ZSLAB_REFERENCE_REGIONS_H
#define ZSLAB_REFERENCE_REGIONS_H

#include "reference/policy.h"

namespace reference {

constexpr int kLeastBudget = 16;  // slots that a share of the prompt comes to

class Regions : public Policy {
 public:
  void compress(Cache& cache, const std::vector<At>& group, int64_t step) const override;
  void start(Head& head) const override;
  void evict(Cache& cache, const std::vector<At>& group, int64_t step) const override;
  int make_room(Cache& cache, const std::vector<At>& group, int64_t step) const override;
  void fill(Cache& cache, At at, int64_t step) const override;
  // Context slots that a head cannot do without, for AdaKV.
  virtual int64_t least() const { return 0; }

 protected:
  using Tokens = std::vector<size_t>;  // indices of a head's slots, in order of position
  // Takes the best of `from` for `slot` out of it, by the sum of the group's scores.
  static size_t take_best(Cache& cache, const std::vector<At>& group, Tokens& from, Choice choice, int64_t slot,
                          int64_t step);
  // What becomes of the prompt's `rest`: returns the residual slots of each head of the group.
  virtual std::vector<std::vector<Slot>> leave(Cache& cache, const std::vector<At>& group, Tokens rest,
                                               int64_t step) const;
  // What becomes of the slot `victim`, before somebody else takes its place.
  virtual void leave(Cache& cache, At at, int victim, int64_t step) const;
  // The last token has just come to a full cache; else all are a whole prompt.
  bool arrival(int64_t step) const { return step > 0 || stride() > 0; }
  // Where token t of a head was, before the first compression: -1 = it never had a slot.
  int64_t was_in(const Head& head, size_t t, int64_t step) const {
    return arrival(step) && t + 1 < head.slots.size() ? static_cast<int64_t>(t) : -1;
  }
};

// budget of `budget` (a share comes to at least `least`), and context what the others leave; throws where there is none.
Resolved regions(double budget, int64_t tokens, int64_t least, int64_t recent, int64_t sink, int64_t least_context);

}  // namespace reference
#endif
