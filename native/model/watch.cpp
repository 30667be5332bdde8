#include "model/watch.h"

#include <cmath>
#include <utility>

#include "model/runner.h"

namespace zs {
namespace {

constexpr int64_t kBlockRows = 16;  // rows of probabilities at a time

void mean(const float* x, int64_t stride, int64_t rows, int64_t d, double* to) {
  std::fill_n(to, d, 0.0);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < d; ++i) to[i] += static_cast<double>(x[r * stride + i]);
  for (int64_t i = 0; i < d; ++i) to[i] /= static_cast<double>(rows);
}

void check_watch(const zs_head_watch& w, int64_t tokens) {
  const auto n = [](int64_t value) { return static_cast<long long>(value); };
  if (w.struct_bytes != sizeof w)
    fail(ZS_INVALID, "zs_head_watch.struct_bytes = %d, expected %zu: compile against this version's heads.h",
         w.struct_bytes, sizeof w);
  if (!w.heads) fail(ZS_INVALID, "which heads are to be watched is missing");
  if (w.pattern_count < 0 || (w.pattern_count && (!w.patterns || !w.masses)))
    fail(ZS_INVALID, "%d patterns without patterns or a place for their masses", w.pattern_count);
  for (int32_t p = 0; p < w.pattern_count; ++p) {
    const zs_pattern& one = w.patterns[p];
    if (!one.starts || one.starts[0] != 0 || (one.starts[tokens] && !one.positions))
      fail(ZS_INVALID, "pattern %d is incomplete: give starts [%lld] from 0 on and positions", p, n(tokens + 1));
    for (int64_t r = 0; r < tokens; ++r) {
      if (one.starts[r + 1] < one.starts[r]) fail(ZS_INVALID, "pattern %d: starts fall at row %lld", p, n(r));
      for (int32_t i = one.starts[r]; i < one.starts[r + 1]; ++i)
        if (one.positions[i] < 0 || one.positions[i] > r)
          fail(ZS_INVALID, "pattern %d: row %lld has position %d, expected 0 to its own", p, n(r), one.positions[i]);
    }
  }
  if (w.queries && (w.last < 1 || w.last > tokens))
    fail(ZS_INVALID, "queries of the last %lld positions, expected 1 to %lld", n(w.last), n(tokens));
  if (w.rows && (w.first_row < 0 || w.row_count < 1 || w.row_count > tokens - w.first_row))
    fail(ZS_INVALID, "%lld rows from %lld on, expected some of the text's %lld", n(w.row_count), n(w.first_row),
         n(tokens));
  if (w.by_distance && (w.distance_bins < 1 || w.distance_bins > 64))
    fail(ZS_INVALID, "%lld bins of distances, expected 1 to 64", n(w.distance_bins));
  if (w.most && (w.most_from < 0 || w.most_from >= tokens))
    fail(ZS_INVALID, "most_from = %lld, expected a row from 0 to %lld", n(w.most_from), n(tokens - 1));
}

}  // namespace

Watcher::Watcher(zs_model& model, const zs_head_watch* watch, int64_t tokens, zs_call* stop)
    : model_(model), watch_(watch), tokens_(tokens), stop_(stop) {
  if (!watch) return;
  check_watch(*watch, tokens);
  const zs_model_config& c = model.config;
  for (int64_t i = 0; i < int64_t{c.layers} * c.heads; ++i) number_.push_back(watch->heads[i] ? watched_++ : -1);
  if (watched_ == 0) fail(ZS_INVALID, "no head is watched: mark at least one");
  statistics_ = Buffer(3 * c.heads * tokens);
  dense_ = watch->by_distance || watch->distances;
  for (int32_t p = 0; p < watch->pattern_count; ++p) dense_ = dense_ || watch->patterns[p].complement;
  const bool probabilities = watch->rows || watch->most || dense_;
  const int64_t width = round_up(c.head_dim, kInputStep) + round_up(c.head_dim, kTile);
  for (int i = 0; i < model.engine->pool.threads(); ++i)
    block_.emplace_back(kBlockRows * std::max(width, probabilities ? round_up(tokens, kChunk) : 0));
}

TextAttention::Statistics Watcher::statistics() {
  if (!watch_) return {};
  float* const at = statistics_.data();
  const int64_t each = model_.config.heads * tokens_;
  return {at, at + each, watch_->entropies ? at + 2 * each : nullptr};
}

void Watcher::projected(int32_t layer, const TextPass& pass) {
  if (!watch_ || (!watch_->mean_queries && !watch_->mean_keys)) return;
  const zs_model_config& c = model_.config;
  const int64_t d = c.head_dim, stride = pass.qkv(1) - pass.qkv(0);
  const bool all = model_.engine->pool.run(c.heads + c.kv_heads, stop_, [&](int64_t unit, int) {
    const float* const x = pass.qkv(0) + unit * d;
    if (unit >= c.heads) {
      if (watch_->mean_keys)
        mean(x, stride, tokens_, d, watch_->mean_keys + (int64_t{layer} * c.kv_heads + unit - c.heads) * d);
      return;
    }
    const int64_t at = number_[static_cast<size_t>(int64_t{layer} * c.heads + unit)];
    if (at >= 0 && watch_->mean_queries) mean(x, stride, tokens_, d, watch_->mean_queries + at * d);
  });
  if (!all) check_abort(stop_);
}

void Watcher::attended(int32_t layer, const TextPass& pass) {
  if (!watch_) return;
  const zs_head_watch& w = *watch_;
  const int32_t heads = model_.config.heads;
  if (w.norms) need_grams(layer);
  const bool all = model_.engine->pool.run(heads, stop_, [&](int64_t unit, int thread) {
    const int32_t head = static_cast<int32_t>(unit);
    const int64_t at = number_[static_cast<size_t>(int64_t{layer} * heads + head)];
    if (at < 0) return;
    outputs(at, head, pass);
    if (w.norms) norms(at, head, pass, thread);
    if (w.pattern_count) patterns(at, head, pass);
    if (w.rows || w.most || dense_) probabilities(at, head, pass, thread);
  });
  if (!all) check_abort(stop_);
}

void Watcher::outputs(int64_t at, int32_t head, const TextPass& pass) {
  const zs_head_watch& w = *watch_;
  const int64_t d = model_.config.head_dim;
  const float* const given = pass.attended(0) + head * d;
  const int64_t stride = pass.attended(1) - pass.attended(0);
  for (int64_t r = 0; w.outputs && r < tokens_; ++r)
    std::copy_n(given + r * stride, d, w.outputs + (at * tokens_ + r) * d);
  if (w.mean_outputs) mean(given, stride, tokens_, d, w.mean_outputs + at * d);
  for (int64_t r = 0; w.queries && r < w.last; ++r)
    std::copy_n(pass.qkv(tokens_ - w.last + r) + head * d, d, w.queries + (at * w.last + r) * d);
  if (!w.entropies) return;
  // -sum p ln p, where ln p = (logit - highest) + ln inverse.
  const float* const inverse = statistics_.data() + (int64_t{model_.config.heads} + head) * tokens_;
  const float* const moment = inverse + int64_t{model_.config.heads} * tokens_;
  for (int64_t r = 0; r < tokens_; ++r) {
    const double one = static_cast<double>(inverse[r]);
    w.entropies[at * tokens_ + r] = -std::log(one) - static_cast<double>(moment[r]) * one;
  }
}

// Of each head of the layer W' W, W its columns of the output projection, packed as products read it: |W o|^2 = o' (W' W) o.
void Watcher::need_grams(int32_t layer) {
  const zs_model_config& c = model_.config;
  const int64_t d = c.head_dim, width = int64_t{c.heads} * d, k = round_up(d, kInputStep);
  const Matrix& w = model_.weights.layers[static_cast<size_t>(layer)].attention_output;
  Buffer rows(c.hidden * width);
  grams_.need(c.heads * k * round_up(d, kTile));
  bool all =
      model_.engine->pool.run(c.hidden, stop_, [&](int64_t i, int) { w.row(i, width, rows.data() + i * width); });
  all = all && model_.engine->run(c.heads, stop_, [&](int64_t head, int) {
    std::vector<double> gram(static_cast<size_t>(d * d));
    for (int64_t output = 0; output < c.hidden; ++output) {
      const float* const x = rows.data() + output * width + head * d;
      for (int64_t i = 0; i < d; ++i)
        for (int64_t j = 0; j <= i; ++j)
          gram[static_cast<size_t>(i * d + j)] += static_cast<double>(x[i]) * static_cast<double>(x[j]);
    }
    float* const packed = grams_.data() + head * k * round_up(d, kTile);
    std::fill_n(packed, k * round_up(d, kTile), 0.0f);
    for (int64_t i = 0; i < d; ++i)
      for (int64_t j = 0; j < d; ++j)
        packed[(i / kTile * k + j) * kTile + i % kTile] =
            static_cast<float>(gram[static_cast<size_t>(std::max(i, j) * d + std::min(i, j))]);
  });
  if (!all) check_abort(stop_);
}

void Watcher::norms(int64_t at, int32_t head, const TextPass& pass, int thread) {
  const int64_t d = model_.config.head_dim, k = round_up(d, kInputStep), outputs = round_up(d, kTile);
  float* const x = block_[static_cast<size_t>(thread)].data();
  float* const y = x + kBlockRows * k;
  std::fill_n(x, kBlockRows * k, 0.0f);
  for (int64_t row = 0; row < tokens_; row += kBlockRows) {
    const int64_t rows = std::min(kBlockRows, tokens_ - row);
    for (int64_t r = 0; r < rows; ++r) std::copy_n(pass.attended(row + r) + head * d, d, x + r * k);
    model_.engine->linear->multiply[static_cast<int>(Packing::kF32)](
        {grams_.data() + head * k * outputs, k, outputs / kTile, x, k, rows, y, outputs});
    for (int64_t r = 0; r < rows; ++r) {
      double sum = 0;
      for (int64_t i = 0; i < d; ++i)
        sum += static_cast<double>(x[r * k + i]) * static_cast<double>(y[r * outputs + i]);
      watch_->norms[at * tokens_ + row + r] = sum < 0 ? 0 : std::sqrt(sum);  // NaN stays
    }
  }
}

void Watcher::patterns(int64_t at, int32_t head, const TextPass& pass) {
  const zs_model_config& c = model_.config;
  const int64_t d = c.head_dim, key = (c.heads + head / (c.heads / c.kv_heads)) * d;
  const float* const highest = statistics_.data() + head * tokens_;
  const float* const inverse = highest + c.heads * tokens_;
  const int64_t stride = pass.qkv(1) - pass.qkv(0);
  for (int32_t p = 0; p < watch_->pattern_count; ++p) {
    const zs_pattern& pattern = watch_->patterns[p];
    watch_->masses[p * watched_ + at] = 0;
    if (pattern.complement) continue;
    double sum = 0;
    for (int64_t r = 0; r < tokens_; ++r) {
      const int32_t first = pattern.starts[r], count = pattern.starts[r + 1] - first;
      if (count)
        sum +=
            static_cast<double>(inverse[r]) *
            model_.engine->linear->sum_exp_dots(pass.qkv(r) + head * d, d, pass.qkv(0) + key, stride,
                                                pattern.positions + first, count, pass.attention().scale(), highest[r]);
    }
    watch_->masses[p * watched_ + at] = sum;
  }
}

// `given`: the row's probabilities, which are the same again afterwards.
void Watcher::complements(int64_t at, int64_t row, float* given) {
  for (int32_t p = 0; p < watch_->pattern_count; ++p) {
    const zs_pattern& pattern = watch_->patterns[p];
    if (!pattern.complement) continue;
    const int32_t *const first = pattern.positions + pattern.starts[row], *const end = pattern.positions +
                                                                                       pattern.starts[row + 1];
    std::vector<float> left_out;
    for (const int32_t* s = first; s < end; ++s) left_out.push_back(std::exchange(given[*s], 0.0f));
    double sum = 0;
    for (int64_t s = 0; s <= row; ++s) sum += static_cast<double>(given[s]);
    watch_->masses[p * watched_ + at] += sum;
    for (const int32_t* s = end; s > first; left_out.pop_back()) given[*--s] = left_out.back();
  }
}

void Watcher::distances(int64_t at, int64_t row, const float* given) {
  const zs_head_watch& w = *watch_;
  const int64_t bins = w.by_distance ? w.distance_bins : 0;
  for (int64_t bin = 0, nearest = 0; bin < bins && nearest <= row; ++bin) {
    const int64_t farthest = bin == bins - 1 ? row : std::min(row, bin ? 2 * nearest - 1 : 0);
    double sum = 0;
    for (int64_t s = row - farthest; s <= row - nearest; ++s) sum += static_cast<double>(given[s]);
    w.by_distance[at * bins + bin] += sum;
    nearest = farthest + 1;
  }
  double sum = 0;
  for (int64_t s = 0; w.distances && s < row; ++s) sum += static_cast<double>(given[s]) * static_cast<double>(row - s);
  if (w.distances) w.distances[at] += sum;
}

void Watcher::probabilities(int64_t at, int32_t head, const TextPass& pass, int thread) {
  const zs_head_watch& w = *watch_;
  const zs_model_config& c = model_.config;
  const int64_t stride = round_up(tokens_, kChunk);
  float* const block = block_[static_cast<size_t>(thread)].data();
  const int64_t end = w.most || dense_ ? tokens_ : w.first_row + w.row_count;
  const int64_t from = dense_ ? 0 : !w.rows ? w.most_from : !w.most ? w.first_row : std::min(w.most_from, w.first_row);
  if (w.most) std::fill_n(w.most + at * tokens_, tokens_, 0.0f);
  if (w.by_distance) std::fill_n(w.by_distance + at * w.distance_bins, w.distance_bins, 0.0);
  if (w.distances) w.distances[at] = 0;
  for (int64_t row = from; row < end && !aborted(stop_); row += kBlockRows) {
    ProbabilitiesTask task{};
    task.chunks = pass.attention().chunks(head / (c.heads / c.kv_heads));
    task.row = row;
    task.rows = static_cast<int32_t>(std::min(kBlockRows, end - row));
    task.d = c.head_dim;
    task.q = pass.qkv(row) + head * c.head_dim;
    task.q_row = pass.qkv(1) - pass.qkv(0);
    task.scale = pass.attention().scale();
    task.highest = statistics_.data() + head * tokens_ + row;
    task.inverse = task.highest + c.heads * tokens_;
    task.out = block;
    task.out_row = stride;
    model_.engine->attention->probabilities(task);
    for (int64_t r = 0; r < task.rows; ++r) {
      float* const given = block + r * stride;
      if (dense_) complements(at, row + r, given);
      if (w.by_distance || w.distances) distances(at, row + r, given);
      const int64_t sees = row + r + 1;
      if (w.rows && row + r >= w.first_row && row + r < w.first_row + w.row_count) {
        float* const to = w.rows + (at * w.row_count + row + r - w.first_row) * tokens_;
        std::copy_n(given, sees, to);
        std::fill_n(to + sees, tokens_ - sees, 0.0f);
      }
      if (!w.most || row + r < w.most_from) continue;
      float* const most = w.most + at * tokens_;
      for (int64_t s = 0; s < sees; ++s) most[s] = given[s] > most[s] ? given[s] : most[s];
    }
  }
}

}  // namespace zs
