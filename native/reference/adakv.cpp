// AdaKV (arXiv 2407.11550) around another policy: after the prompt of a layer the context slots of its kv heads go to the highest scores
// in whichever head, once each has its floor.
#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "reference/regions.h"

namespace reference {

namespace {
struct Item {
  double value, error;
  int head;
  const Slot* slot;
};

// b comes before a whatever float32 does to either; `unsure`: it may.
bool before(const Item& b, const Item& a, bool unsure) {
  const bool same = a.head == b.head && !a.slot->made_of.empty() && a.slot->made_of == b.slot->made_of;
  if (same || a.error + b.error == 0) {
    if (a.value != b.value) return b.value > a.value;
    return b.head != a.head ? b.head < a.head : b.slot->origins[0] < a.slot->origins[0];
  }
  const double rounding = a.error + b.error;
  return unsure ? b.value + rounding >= a.value : b.value - rounding > a.value;
}

class AdaKv : public Policy {
 public:
  explicit AdaKv(const Asked& asked) : floor_(asked.number("floor")), inner_(make(*asked.of)) {
    if (!dynamic_cast<const Regions*>(inner_.get())) throw std::invalid_argument("adakv cannot work on that policy");
  }
  double budget() const override { return inner_->budget(); }
  Resolved resolve(double budget, int64_t tokens) const override { return inner_->resolve(budget, tokens); }
  Acts acts() const override { return inner_->acts(); }
  double alpha() const override { return inner_->alpha(); }
  bool scored(int64_t step) const override { return inner_->scored(step); }
  void score(At at, const Resolved& sizes, const Seen& seen, std::vector<Slot*>& slots, bool prompt) const override {
    inner_->score(at, sizes, seen, slots, prompt);
  }
  void compress(Cache& cache, const std::vector<At>& group, int64_t step) const override {
    inner_->compress(cache, group, step);
  }
  bool compress_underfull() const override { return inner_->compress_underfull(); }
  void start(Head& head) const override { inner_->start(head); }
  void evict(Cache& cache, const std::vector<At>& group, int64_t step) const override {
    inner_->evict(cache, group, step);
  }
  int make_room(Cache& cache, const std::vector<At>& group, int64_t step) const override {
    return inner_->make_room(cache, group, step);
  }
  void fill(Cache& cache, At at, int64_t step) const override { inner_->fill(cache, at, step); }

  void allocate(Cache& cache, int layer) const override {
    const int kv_heads = cache.shape().kv_heads;
    std::vector<int64_t> own(static_cast<size_t>(kv_heads));
    std::vector<Item> pool;
    int64_t places = 0;
    for (int g = 0; g < kv_heads; ++g) {
      const Head& head = cache.head(layer, g);
      const Resolved& sizes = head.sizes;
      const int64_t n = static_cast<int64_t>(head.slots.size());
      if (n <= sizes.budget) return;  // nothing has to leave
      std::vector<Item> items;
      for (int64_t t = sizes.sink; t < n - sizes.recent; ++t) {
        const Slot& slot = head.slots[static_cast<size_t>(t)];
        // Twice the error: which of two the floor takes may be open as well.
        items.push_back({slot.score, 2 * slot.score_error, g, &slot});
      }
      std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.value > b.value; });
      const int64_t always = sizes.recent + sizes.residual + sizes.sink;
      const int64_t least = std::min(dynamic_cast<const Regions&>(*inner_).least(), sizes.context);
      const int64_t asked = static_cast<int64_t>(floor_ * static_cast<double>(sizes.budget)) - always;
      const int64_t sure = std::min(std::max(asked, least), sizes.context);
      own[static_cast<size_t>(g)] = sure;
      places += sizes.context - sure;
      pool.insert(pool.end(), items.begin() + sure, items.end());
    }
    std::vector<int64_t> best = own, certain = own, possible = own;
    for (const Item& a : pool) {
      int64_t here = 0, surely = 0, maybe = 0;
      for (const Item& b : pool) {
        if (&a == &b) continue;
        here += b.value > a.value || (b.value == a.value && &b < &a);  // the pool is in order of heads, then positions
        surely += before(b, a, false);
        maybe += before(b, a, true);
      }
      const size_t g = static_cast<size_t>(a.head);
      best[g] += here < places;
      certain[g] += maybe < places;
      possible[g] += surely < places;
    }
    int64_t given = 0;
    for (int g = 0; g < kv_heads; ++g) {
      const size_t i = static_cast<size_t>(g);
      std::vector<int> near(static_cast<size_t>(possible[i] - certain[i] + 1));
      std::iota(near.begin(), near.end(), static_cast<int>(certain[i]));
      const int64_t context = cache.ask(Choice::kPlaces, 0, {layer, g}, -1, static_cast<int>(best[i]), near);
      Resolved& sizes = cache.head(At{layer, g}).sizes;
      given += context - own[i];
      sizes.budget += context - sizes.context;
      sizes.context = context;
    }
    if (given != places) throw std::runtime_error("the heads' context slots are not what there is to share");
  }

 private:
  double floor_;
  std::unique_ptr<Policy> inner_;
};
}  // namespace

std::unique_ptr<Policy> make_adakv(const Asked& asked) { return std::make_unique<AdaKv>(asked); }

}  // namespace reference
