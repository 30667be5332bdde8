// One text with many changes of heads (zs_model_vary): layer by layer, what a layer's variants share once, the rest of their layers side by
// side. Bits of a variant do not depend on the others: products cut rows into blocks whose sums are a row's own (model/products.h).
#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>

#include "model/progress.h"
#include "model/runner.h"
#include "model/text_pass.h"

namespace zs {
namespace {

constexpr int64_t kTogetherRows = 1024;  // rows of texts side by side: more are no quicker
constexpr int64_t kLogitRows = 96;       // rows whose logits are held at a time

class Vary {
 public:
  Vary(zs_model& model, const zs_vary& v, zs_call* call)
      : model_(model),
        v_(v),
        call_(call),
        linear_(*model.engine->linear),
        layers_(model.config.layers),
        together_(v.tokens < kLeastRows ? 1
                  : v.together          ? std::min(v.together, v.variants)
                                        : std::clamp<int64_t>(kTogetherRows / v.tokens, 1, v.variants)),
        base_(model, 1, v.tokens, v.rows, call) {
    for (int64_t i = 0; i < v.variants; ++i) first_.push_back(first_layer(i));
    order_.resize(static_cast<size_t>(v.variants));
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(), [&](int64_t a, int64_t b) { return first(a) < first(b); });
    total_ = std::accumulate(first_.begin(), first_.end(), int64_t{layers_},
                             [&](int64_t sum, int64_t first) { return sum + layers_ - first; });
  }

  void run() {
    std::fill_n(v_.kl, v_.variants, kNothing);
    std::fill_n(v_.losses, v_.variants, kNothing);
    report(call_, 0, total_);
    judge();
    TextPass many(model_, together_, v_.tokens, v_.rows, call_);
    base_.start(v_.ids);
    const int32_t last = first(order_.back());
    size_t at = 0;
    for (int32_t layer = 0; layer <= last; ++layer) {
      base_.project(layer);
      base_.attend(layer);
      while (at < order_.size() && first(order_[at]) == layer) {
        size_t end = at;
        while (end < order_.size() && first(order_[end]) == layer && static_cast<int64_t>(end - at) < together_) ++end;
        go_on(many, layer, at, end);
        at = end;
      }
      if (layer < last) base_.finish(layer);
    }
  }

 private:
  static constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
  int32_t first(int64_t variant) const { return first_[static_cast<size_t>(variant)]; }
  int32_t first_layer(int64_t variant) const {
    int32_t layer = layers_;
    for (int64_t i = v_.starts[variant]; i < v_.starts[variant + 1]; ++i) layer = std::min(layer, v_.changes[i].layer);
    return layer;
  }

  // f(text, row, logits) for the rows that count of a pass's texts: several texts' at a time, since the output matrix is what they wait for.
  template <class F>
  void each_row(const TextPass& pass, F f) {
    const int64_t stride = model_.weights.output.outputs(), start = v_.tokens - v_.rows;
    const int64_t all = pass.texts() * v_.rows;
    for (int64_t from = 0; from < all; from += kLogitRows) {
      const int64_t count = std::min(kLogitRows, all - from);
      std::vector<const float*> hidden;
      for (int64_t i = from; i < from + count; ++i) hidden.push_back(pass.hidden(i / v_.rows, start + i % v_.rows));
      const float* const logits = row_logits(model_, hidden.data(), count, call_);
      const bool whole = model_.engine->pool.run(
          count, call_, [&](int64_t i, int) { f((from + i) / v_.rows, (from + i) % v_.rows, logits + i * stride); });
      if (!whole) check_abort(call_);
    }
  }

  // The text unchanged: its probabilities and loss.
  void judge() {
    const int64_t vocabulary = model_.config.vocabulary;
    probabilities_.resize(static_cast<size_t>(v_.rows * vocabulary));
    expected_.resize(static_cast<size_t>(v_.rows));
    lse_.resize(static_cast<size_t>(v_.rows));
    std::vector<double> losses(static_cast<size_t>(v_.rows));
    base_.start(v_.ids);
    for (int32_t layer = 0; layer < layers_; ++layer) {
      base_.project(layer);
      base_.attend(layer);
      base_.finish(layer);
      report(call_, done_ = layer + 1, total_);
    }
    each_row(base_, [&](int64_t, int64_t row, const float* logits) {
      const size_t i = static_cast<size_t>(row);
      const double lse = log_sum_exp(logits);
      double* const p = probabilities_.data() + row * vocabulary;
      for (int64_t id = 0; id < vocabulary; ++id) p[id] = std::exp(static_cast<double>(logits[id]) - lse);
      lse_[i] = lse;
      expected_[i] = linear_.sum_weighted(p, logits, vocabulary);
      losses[i] = loss(row, logits, lse);
    });
    *v_.base_loss = mean_loss(losses.data());
  }

  void go_on(TextPass& pass, int32_t layer, size_t from, size_t to) {
    const int64_t texts = static_cast<int64_t>(to - from);
    const auto changed = [&](int32_t at) {
      for (int64_t text = 0; text < texts; ++text) {
        const int64_t variant = order_[from + static_cast<size_t>(text)];
        for (int64_t i = v_.starts[variant]; i < v_.starts[variant + 1]; ++i)
          if (v_.changes[i].layer == at) pass.change(at, text, v_.changes[i]);
      }
    };
    pass.start_from(base_, layer, texts);
    changed(layer);
    pass.finish(layer);
    report(call_, done_ += texts, total_);
    for (int32_t later = layer + 1; later < layers_; ++later) {
      pass.project(later);
      pass.attend(later);
      changed(later);
      pass.finish(later);
      report(call_, done_ += texts, total_);
    }
    const size_t all = static_cast<size_t>(texts * v_.rows);
    std::vector<double> kl(all), losses(all);
    each_row(pass, [&](int64_t text, int64_t row, const float* logits) {
      const size_t i = static_cast<size_t>(row), at = static_cast<size_t>(text * v_.rows + row);
      const int64_t vocabulary = model_.config.vocabulary;
      const double lse = log_sum_exp(logits);
      const double given = linear_.sum_weighted(probabilities_.data() + row * vocabulary, logits, vocabulary);
      kl[at] = (lse - lse_[i]) - (given - expected_[i]);  // nothing where nothing differs
      losses[at] = loss(row, logits, lse);
    });
    for (int64_t text = 0; text < texts; ++text) {
      const int64_t variant = order_[from + static_cast<size_t>(text)];
      const double* const of = kl.data() + text * v_.rows;
      store(v_.losses + variant, mean_loss(losses.data() + text * v_.rows));
      store(v_.kl + variant, std::accumulate(of, of + v_.rows, 0.0) / static_cast<double>(v_.rows));
    }
  }

  double log_sum_exp(const float* x) const {
    const int64_t n = model_.config.vocabulary;
    const double highest = static_cast<double>(*std::max_element(x, x + n));
    return highest + std::log(linear_.sum_exp_double(x, n, highest));
  }
  double loss(int64_t row, const float* logits, double lse) const {
    const int64_t next = v_.tokens - v_.rows + row + 1;
    return next < v_.tokens ? lse - static_cast<double>(logits[v_.ids[next]]) : 0;
  }
  double mean_loss(const double* losses) const {  // the last row has no next id
    return std::accumulate(losses, losses + v_.rows, 0.0) / static_cast<double>(v_.rows - 1);
  }
  static void store(double* to, double value) { __atomic_store(to, &value, __ATOMIC_RELAXED); }

  zs_model& model_;
  const zs_vary& v_;
  zs_call* call_;
  const LinearKernels& linear_;
  const int32_t layers_;
  const int64_t together_;
  TextPass base_;
  std::vector<int32_t> first_;  // of each variant: the first layer that it changes
  std::vector<int64_t> order_;  // variants by that
  int64_t done_ = 0, total_ = 0;
  std::vector<double> probabilities_;   // [rows][vocabulary] of the text unchanged
  std::vector<double> expected_, lse_;  // [rows]: its mean logit under them, ln sum exp of its logits
};

void check_vary(const zs_model& model, const zs_vary& v) {
  const auto n = [](int64_t value) { return static_cast<long long>(value); };
  check_text(model.config, v.ids, v.tokens, v.rows);
  if (v.variants < 1 || !v.starts || !v.changes || !v.kl || !v.losses || !v.base_loss)
    fail(ZS_INVALID, "zs_model_vary: %lld variants, or what they change or where the answers go is missing",
         n(v.variants));
  if (v.together < 0) fail(ZS_INVALID, "together = %lld, expected 0 or more", n(v.together));
  for (int64_t i = 0; i < v.variants; ++i) {
    if ((i == 0 && v.starts[0] != 0) || v.starts[i + 1] <= v.starts[i])
      fail(ZS_INVALID, "variant %lld changes nothing: starts rise from 0 on, by at least one", n(i));
    check_changes(model.config, v.tokens, v.changes + v.starts[i], v.starts[i + 1] - v.starts[i]);
  }
}

}  // namespace
}  // namespace zs

zs_status zs_model_vary(zs_model* model, const zs_vary* vary, zs_call* call) {
  return zs::guard([&] {
    if (!model || !vary) zs::fail(ZS_INVALID, "zs_model_vary: %s is NULL", !model ? "model" : "vary");
    if (vary->struct_bytes != sizeof(zs_vary))
      zs::fail(ZS_INVALID, "zs_vary.struct_bytes = %d, expected %zu: compile against this version's heads.h",
               vary->struct_bytes, sizeof(zs_vary));
    std::lock_guard<std::mutex> lock(model->engine->busy);
    zs::check_vary(*model, *vary);
    zs::check_abort(call);
    zs::Vary(*model, *vary, call).run();
  });
}
