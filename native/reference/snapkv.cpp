// SnapKV (arXiv 2404.14469): of a prompt the tokens that its last queries look at most, smoothed over neighbours, and these queries' own.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "reference/regions.h"

namespace reference {

namespace {
class SnapKv : public Regions {
 public:
  explicit SnapKv(const Asked& asked)
      : budget_(asked.budget),
        window_(asked.whole("window")),
        reach_(asked.whole("kernel") / 2),
        max_(asked.whole("pooling") == 1),
        kvpress_(asked.whole("variant") == 1) {}
  double budget() const override { return budget_; }
  Acts acts() const override { return Acts::kPrompt; }
  bool scored(int64_t step) const override { return step == 0; }

  Resolved resolve(double budget, int64_t tokens) const override {
    if (kvpress_ && tokens <= window_) throw std::invalid_argument("the prompt is no longer than the window");
    const int64_t slots = std::max<int64_t>(1, share_or_count(budget, tokens));
    Resolved sizes = regions(budget, tokens, 1, kvpress_ ? std::min(slots, window_) : window_, 0, kvpress_ ? 0 : 1);
    sizes.window = std::min(window_, tokens);
    return sizes;
  }

  void score(At, const Resolved&, const Seen& seen, std::vector<Slot*>& slots, bool) const override {
    const int64_t n = seen.rows(), voters = std::min(window_, n), candidates = n - voters;
    const double group = static_cast<double>(seen.prob.size());
    for (int64_t t = 0; t < candidates; ++t) {
      Slot& slot = *slots[static_cast<size_t>(t)];
      bool clear = true;
      for (size_t h = 0; h < seen.prob.size(); ++h) {
        const int64_t from = std::max<int64_t>(0, t - reach_), to = std::min(candidates - 1, t + reach_);
        double sum = 0, sum_error = 0, best = -1, best_error = 0, second = -1;
        int best_at = 0;
        for (int64_t i = from; i <= to; ++i) {
          double votes = 0, error = 0;
          for (int64_t row = n - voters; row < n; ++row) {
            votes += seen.prob[h][static_cast<size_t>(row)][static_cast<size_t>(i)];
            error += seen.error[h][static_cast<size_t>(row)][static_cast<size_t>(i)] + 2 * kUnit * votes;
          }
          sum += votes;
          sum_error += error + kUnit * sum;
          second = std::max(second, std::min(best, votes));
          if (votes > best) best = votes, best_at = static_cast<int>(i);
          best_error = std::max(best_error, error);
        }
        const double kernel = static_cast<double>(2 * reach_ + 1);
        slot.score += (max_ ? best : sum / kernel) / group;
        slot.score_error += (max_ ? best_error : sum_error / kernel) / group + 2 * kUnit * slot.score;
        slot.made_of.push_back(best_at);
        clear = clear && best - second > 2 * best_error;
      }
      if (!max_ || !clear) slot.made_of.clear();
      if (kvpress_) {
        slot.score /= static_cast<double>(window_);
        slot.score_error /= static_cast<double>(window_);
      }
      slot.score_error += 3 * kUnit * slot.score;
    }
  }

 private:
  double budget_;
  int64_t window_, reach_;
  bool max_, kvpress_;
};
}  // namespace

std::unique_ptr<Policy> make_snapkv(const Asked& asked) { return std::make_unique<SnapKv>(asked); }

}  // namespace reference
