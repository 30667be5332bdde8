// Quest (arXiv 2406.10774): a token reads the pages whose keys could give it the largest logits, and the page that it is in. A page's bound
// is, in float32 and dim by dim in order, the sum of the larger of q times the page's least and q times its largest value.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "reference/policy.h"

namespace reference {

namespace {
class Quest : public Policy {
 public:
  explicit Quest(const Asked& asked)
      : budget_(asked.budget),
        page_(asked.whole("page")),
        whole_(asked.whole("wholeLayers")),
        by_query_(asked.whole("granularity") == 0) {}
  double budget() const override { return budget_; }
  Acts acts() const override { return Acts::kNever; }
  bool scored(int64_t) const override { return false; }
  void score(At, const Resolved&, const Seen&, std::vector<Slot*>&, bool) const override {}

  Resolved resolve(double budget, int64_t tokens) const override {
    Resolved sizes;
    const int64_t slots = share_or_count(budget, tokens);
    sizes.read = budget < 1 ? std::max<int64_t>(slots, page_) : slots;
    if (sizes.read < page_) throw std::invalid_argument("budget is less than a page");
    return sizes;
  }

  bool selects() const override { return true; }
  std::vector<bool> reads(At at, const Resolved& sizes, int head, const std::vector<const float*>& queries,
                          const std::vector<const Slot*>& slots) const override {
    const size_t page = static_cast<size_t>(page_), pages = (slots.size() + page - 1) / page,
                 places = static_cast<size_t>(sizes.read) / page;
    std::vector<bool> read(slots.size(), true);
    if (at.layer < whole_ || pages <= places) return read;
    std::vector<float> bounds(pages, 0.0f);
    for (size_t h = 0; h < queries.size(); ++h)
      if (!by_query_ || static_cast<int>(h) == head)
        for (size_t p = 0; p < pages; ++p) bounds[p] += bound(queries[h], slots, p * page, page);
    std::vector<size_t> order;
    for (size_t p = 0; p + 1 < pages; ++p) order.push_back(p);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return bounds[a] > bounds[b]; });
    for (size_t i = places - 1; i < order.size(); ++i)
      for (size_t slot = order[i] * page; slot < (order[i] + 1) * page; ++slot) read[slot] = false;
    return read;
  }

 private:
  static float bound(const float* q, const std::vector<const Slot*>& slots, size_t from, size_t page) {
    const size_t to = std::min(from + page, slots.size());
    float sum = 0;
    for (size_t i = 0; i < slots[from]->key.size(); ++i) {
      float least = INFINITY, largest = -INFINITY;
      for (size_t slot = from; slot < to; ++slot) {
        least = std::min(least, static_cast<float>(slots[slot]->key[i]));
        largest = std::max(largest, static_cast<float>(slots[slot]->key[i]));
      }
      sum += std::max(q[i] * least, q[i] * largest);
    }
    return sum;
  }

  double budget_;
  int page_, whole_;
  bool by_query_;
};
}  // namespace

std::unique_ptr<Policy> make_quest(const Asked& asked) { return std::make_unique<Quest>(asked); }

}  // namespace reference
