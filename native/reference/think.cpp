// ThinK (arXiv 2407.21018) around another policy: once a prompt has been read and chosen from, the keys of its older slots lose the
// channels in which queries and keys are small.
#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "reference/policy.h"

namespace reference {

namespace {
class Think : public Policy {
 public:
  explicit Think(const Asked& asked)
      : ratio_(asked.number("ratio")),
        recent_(asked.whole("recent")),
        window_(asked.whole("window")),
        inner_(make(*asked.of)) {
    if (inner_->acts() == Acts::kAlways || inner_->selects() || inner_->rotates())
      throw std::invalid_argument("think cannot work on that policy");
  }
  double budget() const override { return inner_->budget(); }
  Resolved resolve(double budget, int64_t tokens) const override { return inner_->resolve(budget, tokens); }
  Acts acts() const override { return inner_->acts(); }
  Together together() const override { return inner_->together(); }
  double alpha() const override { return inner_->alpha(); }
  bool scored(int64_t step) const override { return inner_->scored(step); }
  void score(At at, const Resolved& sizes, const Seen& seen, std::vector<Slot*>& slots, bool prompt) const override {
    inner_->score(at, sizes, seen, slots, prompt);
  }
  void allocate(Cache& cache, int layer) const override { inner_->allocate(cache, layer); }
  void compress(Cache& cache, const std::vector<At>& group, int64_t step) const override {
    inner_->compress(cache, group, step);
  }

  void settled(Cache& cache, At at, const std::vector<float>& queries, int64_t tokens) const override {
    Head& head = cache.head(at);
    const int d = cache.shape().head_dim;
    const int pruned = static_cast<int>(ratio_ * d);
    const size_t n = head.slots.size();
    if (pruned == 0 || n <= static_cast<size_t>(recent_)) return;
    const std::vector<double> scores = this->scores(cache, at, queries, tokens);
    std::vector<int> channels(static_cast<size_t>(d));
    std::iota(channels.begin(), channels.end(), 0);
    std::stable_sort(channels.begin(), channels.end(),
                     [&](int a, int b) { return scores[static_cast<size_t>(a)] < scores[static_cast<size_t>(b)]; });
    std::vector<int> positions;
    for (const Slot& slot : head.slots) positions.push_back(slot.origins[0]);
    std::sort(positions.begin(), positions.end(), std::greater<int>());
    const auto old = [&](const Slot& slot) {
      return recent_ == 0 || slot.origins[0] < positions[static_cast<size_t>(recent_) - 1];
    };
    for (Slot& slot : head.slots)
      for (int i = 0; old(slot) && i < pruned; ++i) slot.key[static_cast<size_t>(channels[static_cast<size_t>(i)])] = 0;
    std::stable_partition(head.slots.begin(), head.slots.end(), old);
    head.compressed = true;
  }

 private:
  // Of each channel the mean of q^2 over the kv head's query heads and the last rows, times the mean of k^2 over its slots.
  std::vector<double> scores(const Cache& cache, At at, const std::vector<float>& queries, int64_t tokens) const {
    const int64_t d = cache.shape().head_dim, group = cache.shape().heads / cache.shape().kv_heads;
    const int64_t rows = std::min<int64_t>(window_, tokens);
    const std::vector<Slot>& slots = cache.head(at.layer, at.kv_head).slots;
    std::vector<double> scores;
    for (int64_t i = 0; i < d; ++i) {
      double asked = 0, held = 0;
      for (int64_t h = at.kv_head * group; h < (at.kv_head + 1) * group; ++h)
        for (int64_t row = tokens - rows; row < tokens; ++row) {
          const double q = queries[static_cast<size_t>((h * tokens + row) * d + i)];
          asked += q * q;
        }
      for (const Slot& slot : slots) held += slot.key[static_cast<size_t>(i)] * slot.key[static_cast<size_t>(i)];
      scores.push_back(asked / static_cast<double>(group * rows) * (held / static_cast<double>(slots.size())));
    }
    return scores;
  }

  double ratio_;
  int recent_, window_;
  std::unique_ptr<Policy> inner_;
};
}  // namespace

std::unique_ptr<Policy> make_think(const Asked& asked) { return std::make_unique<Think>(asked); }

}  // namespace reference
