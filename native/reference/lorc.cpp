// LoRC (arXiv 2410.03111, as far as it is known): of each kv head's projections the left singular vectors of the largest singular values, by
// one-sided Jacobi on the projection itself; a key is stored as its projection onto them, a value alike. Ranks fall with the cumulative log
// condition numbers.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "reference/policy.h"

namespace reference {

namespace {

struct Directions {
  std::vector<double> bias, sizes;           // sizes: singular values, descending
  std::vector<std::vector<double>> vectors;  // of each
};

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// Rows of w are turned two by two until all are orthogonal: their lengths are then the singular values, and how they were turned the vectors.
Directions directions(const float* w, int d, int width) {
  std::vector<std::vector<double>> rows, turns;
  for (int i = 0; i < d; ++i) {
    rows.emplace_back(w + i * width, w + (i + 1) * width);
    turns.emplace_back(d, 0.0);
    turns.back()[static_cast<size_t>(i)] = 1;
  }
  for (bool turned = true; turned;) {
    turned = false;
    for (size_t p = 0; p < rows.size(); ++p)
      for (size_t q = p + 1; q < rows.size(); ++q) {
        const double a = dot(rows[p], rows[p]), b = dot(rows[q], rows[q]), off = dot(rows[p], rows[q]);
        if (std::fabs(off) <= 1e-14 * std::sqrt(a * b) || std::fabs(off) < 1e-280) continue;
        const double angle = 0.5 * std::atan2(2 * off, a - b), c = std::cos(angle), s = std::sin(angle);
        for (auto* all : {&rows, &turns})
          for (size_t i = 0; i < (*all)[p].size(); ++i) {
            const double x = (*all)[p][i], y = (*all)[q][i];
            (*all)[p][i] = c * x + s * y;
            (*all)[q][i] = c * y - s * x;
          }
        turned = true;
      }
  }
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t x, size_t y) { return dot(rows[x], rows[x]) > dot(rows[y], rows[y]); });
  Directions made;
  for (size_t i : order) {
    made.sizes.push_back(std::sqrt(dot(rows[i], rows[i])));
    made.vectors.push_back(turns[i]);
  }
  return made;
}

class Lorc : public Policy {
 public:
  explicit Lorc(const Asked& asked) : kv_heads_(asked.shape.kv_heads) {
    const int d = asked.shape.head_dim, width = asked.projections.width, layers = asked.shape.layers;
    const auto dims = [&](const char* name) {
      return asked.number(name) < 1 ? asked.number(name) * d : asked.number(name);
    };
    if (asked.projections.keys.empty()) return;  // asked for its sizes alone
    std::vector<double> conditions, cumulative;
    for (int layer = 0; layer < layers; ++layer) {
      conditions.push_back(0);
      for (int g = 0; g < kv_heads_; ++g)
        for (int value = 0; value < 2; ++value) {
          const size_t l = static_cast<size_t>(layer);
          const Projections& p = asked.projections;
          const auto& biases = value ? p.value_biases : p.key_biases;
          heads_.push_back(directions((value ? p.values : p.keys)[l].data() + g * d * width, d, width));
          if (!biases.empty()) heads_.back().bias.assign(biases[l].begin() + g * d, biases[l].begin() + (g + 1) * d);
          const auto& sizes = heads_.back().sizes;
          conditions.back() += std::log(sizes[0] / std::max(sizes.back(), 1e-6 * sizes[0]));
        }
    }
    for (int layer = 0; layer < layers; ++layer)
      cumulative.push_back(std::accumulate(conditions.begin() + layer, conditions.end(), 0.0));
    const double most = asked.number("rank") == 0 ? d : dims("rank"), keep = asked.number("keep");
    const double top = cumulative.front(), end = cumulative.back();
    std::vector<double> falls;
    for (double c : cumulative) {
      const double fall = top == end ? 0 : (top - c) / (top - end);
      falls.push_back(asked.whole("ramp") == 2 ? 0 : asked.whole("ramp") == 1 ? 1 - fall : fall);
    }
    const double mean = std::accumulate(falls.begin(), falls.end(), 0.0) / layers;
    const double least = asked.whole("ramp") == 2 ? most
                         : keep == 0              ? dims("leastRank")
                                                  : most - (most - keep * d) / mean;
    for (double fall : falls)
      ranks_.push_back(static_cast<size_t>(
          std::min(d, std::max(2, 2 * static_cast<int>(std::lround((most - fall * (most - least)) / 2))))));
  }
  Acts acts() const override { return Acts::kNever; }
  bool scored(int64_t) const override { return false; }
  void score(At, const Resolved&, const Seen&, std::vector<Slot*>&, bool) const override {}
  Resolved resolve(double, int64_t) const override { return {}; }
  bool rotates() const override { return true; }
  std::vector<int64_t> places(const Head& head) const override {
    std::vector<int64_t> all(head.slots.size() + 1);
    std::iota(all.begin(), all.end(), int64_t{0});
    return all;
  }
  void take(At at, std::vector<double>& key, std::vector<double>& value) const override {
    const size_t first = static_cast<size_t>(2 * (at.layer * kv_heads_ + at.kv_head));
    onto(heads_[first], ranks_[static_cast<size_t>(at.layer)], key);
    onto(heads_[first + 1], ranks_[static_cast<size_t>(at.layer)], value);
  }

 private:
  static void onto(const Directions& to, size_t rank, std::vector<double>& x) {
    std::vector<double> made = to.bias.empty() ? std::vector<double>(x.size()) : to.bias, rest = x;
    for (size_t i = 0; i < x.size() && !to.bias.empty(); ++i) rest[i] -= to.bias[i];
    for (size_t j = 0; j < rank; ++j) {
      const double part = dot(to.vectors[j], rest);
      for (size_t i = 0; i < x.size(); ++i) made[i] += part * to.vectors[j][i];
    }
    x = made;
  }

  int kv_heads_;
  std::vector<Directions> heads_;  // key, then value, of each kv head of each layer
  std::vector<size_t> ranks_;      // by layer
};
}  // namespace

std::unique_ptr<Policy> make_lorc(const Asked& asked) { return std::make_unique<Lorc>(asked); }

}  // namespace reference
