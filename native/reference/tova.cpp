// TOVA (arXiv 2401.06104): whom the newest query of all heads of a layer looks at least leaves, at every step, be it the new token itself.
// Variant kvpress: of the prompt alone, and its last token stays.
#include "reference/regions.h"

namespace reference {

namespace {
class Tova : public Regions {
 public:
  explicit Tova(const Asked& asked) : budget_(asked.budget), kvpress_(asked.whole("variant") == 1) {}
  double budget() const override { return budget_; }
  Acts acts() const override { return kvpress_ ? Acts::kPrompt : Acts::kAlways; }
  Together together() const override { return Together::kLayer; }
  bool scored(int64_t step) const override { return !kvpress_ || step == 0; }

  Resolved resolve(double budget, int64_t tokens) const override {
    Resolved sizes = regions(budget, tokens, 1, kvpress_ ? 1 : 0, 0, 0);
    sizes.window = 1;
    return sizes;
  }

  // This kv head's part; choices sum over the heads.
  void score(At, const Resolved&, const Seen& seen, std::vector<Slot*>& slots, bool) const override {
    for (size_t i = 0; i < slots.size(); ++i) {
      Slot& slot = *slots[i];
      slot.score = slot.score_error = 0;
      for (size_t h = 0; h < seen.prob.size(); ++h) {
        slot.score += seen.prob[h].back()[i];
        slot.score_error += seen.error[h].back()[i] + kUnit * slot.score;
      }
    }
  }

 private:
  double budget_;
  bool kvpress_;
};
}  // namespace

std::unique_ptr<Policy> make_tova(const Asked& asked) { return std::make_unique<Tova>(asked); }

}  // namespace reference
