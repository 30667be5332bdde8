// Random eviction: each token has a priority that seed, layer, kv head and position settle; the highest stay, at any time.
#include <algorithm>

#include "reference/regions.h"

namespace reference {

namespace {
// One output of splitmix64 from the state `x`.
uint64_t splitmix(uint64_t x) {
  uint64_t z = x + 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

class Random : public Regions {
 public:
  explicit Random(const Asked& asked)
      : budget_(asked.budget), recent_(asked.number("recent")), seed_(static_cast<int64_t>(asked.number("seed"))) {}
  double budget() const override { return budget_; }
  bool scored(int64_t) const override { return true; }

  Resolved resolve(double budget, int64_t tokens) const override {
    const int64_t slots = budget < 1 ? std::max<int64_t>(1, share_or_count(budget, tokens)) : share_or_count(budget, 0);
    const int64_t recent = share_or_count(recent_, slots);
    return regions(budget, tokens, 1, recent_ < 1 ? std::max<int64_t>(1, recent) : recent, 0, 0);
  }

  // The four numbers go through splitmix64 one after another; the upper 24 bits are a fraction, exact in float32.
  void score(At at, const Resolved&, const Seen&, std::vector<Slot*>& slots, bool) const override {
    const uint64_t head = splitmix(splitmix(splitmix(static_cast<uint64_t>(seed_)) ^ static_cast<uint64_t>(at.layer)) ^
                                   static_cast<uint64_t>(at.kv_head));
    for (Slot* slot : slots)
      slot->score = static_cast<double>(splitmix(head ^ static_cast<uint64_t>(slot->origins[0])) >> 40) / 16777216.0;
  }

 private:
  double budget_, recent_;
  int64_t seed_;
};
}  // namespace

std::unique_ptr<Policy> make_random(const Asked& asked) { return std::make_unique<Random>(asked); }

}  // namespace reference
