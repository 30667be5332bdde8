// A small model's heads in double precision, with changes: what each gives to whom, and the logits that come of it, as plainly as it can be.
#ifndef ZSLAB_TEST_TINY_HEADS_H
#define ZSLAB_TEST_TINY_HEADS_H

#include "test/tiny_model.h"
#include "zslab/heads.h"

namespace test {

struct HeadsJudge {
  using Rows = std::vector<std::vector<double>>;
  struct Head {
    Rows probabilities, outputs, queries, unrotated;
    std::vector<double> norms;
    double entropy(size_t row) const {
      double sum = 0;
      for (double p : probabilities[row]) sum -= p > 0 ? p * std::log(p) : 0;
      return sum;
    }
  };
  std::vector<Head> heads;        // [layers * heads]
  std::vector<double> mean_keys;  // [layers][kv_heads][head_dim], before rotation
  Rows logits;
};

inline HeadsJudge heads_judge(const TinyModel& tiny, const std::vector<int32_t>& ids,
                              const std::vector<zs_head_change>& changes) {
  const zs_model_config& c = tiny.config;
  HeadsJudge judge;
  judge.heads.resize(static_cast<size_t>(c.layers * c.heads));
  const size_t n = ids.size(), d = static_cast<size_t>(c.head_dim);
  judge.logits = tiny.logits(ids, false, [&](const TinyModel::Layer& layer) {
    for (int g = 0; g < c.kv_heads; ++g)
      for (size_t i = 0; i < d; ++i) {
        double sum = 0;
        for (size_t t = 0; t < n; ++t) sum += layer.keys[t][static_cast<size_t>(g) * d + i];
        judge.mean_keys.push_back(sum / static_cast<double>(n));
      }
    for (int h = 0; h < c.heads; ++h) {
      HeadsJudge::Head& head = judge.heads[static_cast<size_t>(layer.number * c.heads + h)];
      const size_t at = static_cast<size_t>(h) * d;
      const auto part = [&](const std::vector<double>& row) {
        return std::vector<double>(row.begin() + static_cast<long>(at), row.begin() + static_cast<long>(at + d));
      };
      for (size_t t = 0; t < n; ++t) {
        head.probabilities.push_back(layer.probabilities[static_cast<size_t>(h)][t]);
        head.outputs.push_back(part(layer.attended[t]));
        head.queries.push_back(part(layer.turned[t]));
        head.unrotated.push_back(part(layer.queries[t]));
        std::vector<double> alone(layer.attended[t].size());
        std::copy_n(layer.attended[t].begin() + static_cast<long>(at), d, alone.begin() + static_cast<long>(at));
        double squares = 0;
        for (double one : layer.projected(alone)) squares += one * one;
        head.norms.push_back(std::sqrt(squares));
      }
      for (const zs_head_change& change : changes) {
        if (change.layer != layer.number || change.head != h) continue;
        for (size_t t = 0; t < n; ++t)
          for (size_t i = 0; i < d; ++i) {
            double& x = layer.attended[t][at + i];
            if (change.kind == ZS_HEAD_ZERO) x = 0;
            if (change.kind == ZS_HEAD_GATE) x *= static_cast<double>(change.gate);
            if (change.kind == ZS_HEAD_VECTOR) x = static_cast<double>(change.values[i]);
            if (change.kind == ZS_HEAD_ROWS) x = static_cast<double>(change.values[t * d + i]);
          }
      }
    }
  });
  return judge;
}

inline zs_read read_of(const std::vector<int32_t>& ids, int64_t rows) {
  zs_read r{};
  r.struct_bytes = sizeof r, r.ids = ids.data(), r.tokens = static_cast<int64_t>(ids.size()), r.rows = rows;
  return r;
}

struct Varied {
  std::vector<double> kl, losses;
  double base = 0;
};

inline Varied varied(const Model& model, const std::vector<int32_t>& ids, int64_t rows,
                     const std::vector<zs_head_change>& changes, const std::vector<int64_t>& starts, int64_t together,
                     zs_call* call = nullptr, zs_status* status = nullptr) {
  Varied found;
  found.kl.resize(starts.size() - 1), found.losses.resize(starts.size() - 1);
  zs_vary v{};
  v.struct_bytes = sizeof v, v.ids = ids.data(), v.tokens = static_cast<int64_t>(ids.size()), v.rows = rows;
  v.variants = static_cast<int64_t>(starts.size()) - 1, v.starts = starts.data(), v.changes = changes.data();
  v.together = together, v.kl = found.kl.data(), v.losses = found.losses.data(), v.base_loss = &found.base;
  const zs_status given = zs_model_vary(model.handle, &v, call);
  if (status)
    *status = given;
  else
    must(given, "vary");
  return found;
}

}  // namespace test
#endif
