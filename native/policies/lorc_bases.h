// LoRC's constants: of every kv head an orthonormal basis of what its keys, and one of what its values, can mostly be; how many directions
// each layer keeps is decided once all layers are known.
#ifndef ZSLAB_POLICIES_LORC_BASES_H
#define ZSLAB_POLICIES_LORC_BASES_H

#include "core/policy.h"
#include "policies/spectrum.h"

namespace zs {
namespace lorc {

enum Ramp { kProgressive = 0, kInverse = 1, kFlat = 2 };

struct Parameters {
  double rank;   // the most that a layer keeps of a key's or value's dims: a count, or a share of them; 0 = all
  double least;  // the least, alike; 0 = what `keep` asks for
  double keep;   // share of all keys' and values' numbers that is kept; 0 = what `least` gives
  int32_t ramp;
};

struct Basis {
  int32_t d = 0, rank = 0;
  std::vector<float> rows;      // [rank][d], orthonormal: the left singular vectors of the largest singular values
  std::vector<float> bias;      // [d]; empty = none
  std::vector<float> spectrum;  // [d] singular values, descending

  // x [d] as latents [rank]: of x less the bias.
  void shorten(const float* x, float* latents) const {
    constexpr int32_t kLanes = 8;
    for (int32_t j = 0; j < rank; ++j) {
      const float* const row = rows.data() + static_cast<int64_t>(j) * d;
      float sums[kLanes] = {};
      int32_t i = 0;
      if (bias.empty()) {
        for (; i + kLanes <= d; i += kLanes)
          for (int32_t lane = 0; lane < kLanes; ++lane) sums[lane] += x[i + lane] * row[i + lane];
        for (; i < d; ++i) sums[i % kLanes] += x[i] * row[i];
      } else {
        for (; i < d; ++i) sums[i % kLanes] += (x[i] - bias[static_cast<size_t>(i)]) * row[i];
      }
      latents[j] = ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
    }
  }
  void lengthen(const float* latents, float* x) const {
    if (bias.empty())
      std::fill_n(x, d, 0.0f);
    else
      std::copy_n(bias.data(), d, x);
    for (int32_t j = 0; j < rank; ++j) {
      const float* const row = rows.data() + static_cast<int64_t>(j) * d;
      for (int32_t i = 0; i < d; ++i) x[i] += latents[j] * row[i];
    }
  }
  int64_t bytes() const { return static_cast<int64_t>(4 * (rows.capacity() + bias.capacity() + spectrum.capacity())); }
};

struct Bases {
  Basis key, value;
};

struct LayerBases : LayerConstants {
  std::vector<Bases> heads;
  int64_t bytes() const override {
    int64_t all = 0;
    for (const Bases& head : heads) all += head.key.bytes() + head.value.bytes();
    return all;
  }
};

// ln of the condition number, the least singular value taken for no less than float32 can tell from none.
inline double log_condition(const Basis& basis) {
  const double largest = static_cast<double>(basis.spectrum.front()),
               least =
                   std::max(static_cast<double>(basis.spectrum[static_cast<size_t>(basis.rank) - 1]), 1e-6 * largest);
  return largest > 0 ? natural_log(largest / least) : 0;
}

// A rank as it is asked for, of d dims.
inline double dims_of(const char* name, double asked, int32_t d) {
  const double dims = asked < 1 ? asked * d : asked;
  if (dims < 2 || dims > d)
    fail(ZS_INVALID, "%s is %g, which is %g of a head's %d dims: expected 2 to %d, or a share of them", name, asked,
         dims, d, d);
  return dims;
}

// Of each layer, before rounding: from the largest to the least, linear in the cumulative log condition number
// log κ̃_l = Σ_{j >= l} Σ_heads log κ(W_k) + log κ(W_v).
inline std::vector<double> ranks(const Parameters& p, const std::vector<double>& conditions, int32_t d) {
  const double most = p.rank == 0 ? d : dims_of("rank", p.rank, d);
  std::vector<double> falls(conditions.size());  // 0 = the largest rank, 1 = the least
  double sum = 0;
  for (size_t l = conditions.size(); l-- > 0; falls[l] = sum) sum += conditions[l];
  const double top = falls.front(), depth = top - falls.back();
  double mean = 0;
  for (double& fall : falls) {
    fall = depth > 0 ? (top - fall) / depth : 0;
    if (p.ramp == kInverse) fall = 1 - fall;
    if (p.ramp == kFlat) fall = 0;
    mean += fall / static_cast<double>(falls.size());
  }
  double least = p.least != 0 ? dims_of("leastRank", p.least, d) : most;
  if (p.keep != 0) {
    least = mean > 0 ? most - (most - p.keep * d) / mean : p.keep * d;
    if (p.keep * d > most || least < 2 || (mean == 0 && least != most))
      fail(ZS_INVALID,
           "keep is %g of %d dims; with rank %g in the layer that keeps most that would be %g in the one that keeps "
           "least: "
           "expected 2 to %g; raise keep, lower rank, or take ramp flat",
           p.keep, d, most, least, most);
  }
  if (least > most)
    fail(ZS_INVALID, "leastRank is %g of %d dims, more than rank, %g: lower it, or raise rank", least, d, most);
  for (double& fall : falls) fall = most * (1 - fall * (1 - least / most));
  return falls;
}

// To whole pairs: what two-byte pages hold.
inline int32_t paired(double rank, int32_t d) {
  return std::min(d, std::max(2, 2 * static_cast<int32_t>(std::lround(rank / 2))));
}

// All directions of w [d][width].
inline Basis basis_of(const float* w, const float* bias, int32_t d, int32_t width, const volatile int32_t* abort) {
  const spectrum::Spectrum found = spectrum::of(w, d, width, abort);
  Basis basis;
  basis.d = basis.rank = d;
  basis.rows.assign(found.vectors.begin(), found.vectors.end());
  basis.spectrum.assign(found.values.begin(), found.values.end());
  if (bias) basis.bias.assign(bias, bias + d);
  return basis;
}

inline void shorten(Basis& basis, int32_t rank) {
  basis.rank = rank;
  basis.rows.resize(static_cast<size_t>(rank) * static_cast<size_t>(basis.d));
  basis.rows.shrink_to_fit();
}

inline void weights(const Policy& policy, const Projections& w, Constants& made) {
  const Parameters& p = policy.own<Parameters>();
  const int32_t d = w.head_dim;
  auto layer = std::make_shared<LayerBases>();
  layer->heads.resize(static_cast<size_t>(w.kv_heads));
  w.each(2 * int64_t{w.kv_heads}, [&](int64_t unit) {
    const int64_t g = unit / 2, rows = g * d;
    const bool keys = unit % 2 == 0;
    const float *const from = keys ? w.key : w.value, *const bias = keys ? w.key_bias : w.value_bias;
    Bases& head = layer->heads[static_cast<size_t>(g)];
    (keys ? head.key : head.value) = basis_of(from + rows * w.width, bias ? bias + rows : nullptr, d, w.width, w.abort);
  });
  made.push_back(std::move(layer));
  if (w.layer + 1 < w.layers) return;
  std::vector<double> conditions;
  for (const auto& one : made) {
    conditions.push_back(0);
    for (const Bases& head : static_cast<const LayerBases&>(*one).heads)
      conditions.back() += log_condition(head.key) + log_condition(head.value);
  }
  const std::vector<double> kept = ranks(p, conditions, d);
  for (size_t l = 0; l < made.size(); ++l)
    for (Bases& head : static_cast<LayerBases&>(*made[l]).heads) {
      shorten(head.key, paired(kept[l], d));
      shorten(head.value, paired(kept[l], d));
    }
}

}  // namespace lorc
}  // namespace zs
#endif
