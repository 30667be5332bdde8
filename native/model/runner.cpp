#include "model/runner.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/prompt.h"
#include "model/progress.h"
#include "model/projections.h"

namespace zs {
namespace {

constexpr int64_t kChunkRows = kPromptRows;     // rows of a chunk: bounds the memory of what lies between two products
constexpr int64_t kStageRows = 16;              // rows of a unit of row-wise work
constexpr int64_t kInPlace = int64_t{1} << 30;  // weights that one step reads in less than 50 ms

Buffer zeros(int64_t floats) {
  Buffer buffer(floats);
  std::memset(buffer.data(), 0, static_cast<size_t>(buffer.bytes()));
  return buffer;
}

// One call on a cache that may be changed freely.
class Pass {
 public:
  Pass(zs_model& model, zs_cache& cache, const zs_forward& forward, bool prompt, Rows& rows, zs_call* stop,
       zs_call* report)
      : model_(model),
        cache_(cache),
        forward_(forward),
        prompt_(prompt),
        r_(rows),
        stop_(stop),
        report_(report),
        linear_(*model.engine->linear),
        norm_(linear_.*model.architecture->norm),
        tokens_(forward.tokens),
        first_(cache_seq_len(cache, 0)),
        turns_(cache.needs.rotates) {}

  void run() {
    start();
    for (int32_t layer = 0; layer < model_.config.layers; ++layer) {
      if (prompt_)
        read(layer);
      else
        extend(layer);
    }
  }

 private:
  // f(row, thread) for rows [0, count): here where there are few.
  template <class F>
  void each_row(int64_t count, F f) {
    if (count <= kFewRows) {
      for (int64_t row = 0; row < count; ++row) f(row, 0);
      return;
    }
    const bool whole =
        model_.engine->pool.run((count + kStageRows - 1) / kStageRows, stop_, [&](int64_t unit, int thread) {
          const int64_t end = std::min(count, (unit + 1) * kStageRows);
          for (int64_t row = unit * kStageRows; row < end; ++row) f(row, thread);
        });
    if (!whole) check_abort(stop_);
  }

  // f(row, rows) for each chunk of rows, in order.
  template <class F>
  void each_chunk(F f) {
    for (int64_t row = 0; row < tokens_; row += r_.rows) f(row, std::min(r_.rows, tokens_ - row));
  }

  // A prompt's rows see only those before them, so a chunk goes through the whole layer before the next one does.
  void read(int32_t layer) {
    Prompt prompt(cache_, layer, tokens_, forward_.share_of, stop_, false);
    const Views views = views_of(layer);
    each_chunk([&](int64_t row, int64_t count) {
      project(layer, row, count, r_.qkv.data());
      prompt.rows(views.q, views.k, views.v, count, views.out);
      feed_forward(layer, row, count, r_.attended.data());
      progress(layer, row + count);
    });
    prompt.finish();
  }

  // Tokens on a living cache attend all together.
  void extend(int32_t layer) {
    const LayerWeights& w = model_.weights.layers[static_cast<size_t>(layer)];
    const Views views = views_of(layer);
    each_chunk([&](int64_t row, int64_t count) { project(layer, row, count, r_.qkv.data() + row * w.qkv.outputs()); });
    cache_extend(cache_, layer, views.q, views.k, views.v, tokens_, views.out, stop_);
    if (forward_.given) give(layer, views);
    progress(layer, tokens_ / 2);
    each_chunk([&](int64_t row, int64_t count) {
      feed_forward(layer, row, count, r_.attended.data() + row * w.attention_output.k);
    });
    progress(layer, tokens_);
  }

  void start() {
    const zs_model_config& c = model_.config;
    const int64_t pairs = turns_ ? 0 : c.rope_dims / 2;
    each_row(tokens_, [&](int64_t row, int) {
      model_.weights.embedding.row(forward_.ids[row], c.hidden, r_.hidden.data() + row * r_.stride);
      float* angles = r_.angles.data() + row * pairs * 2;
      for (int64_t i = 0; i < pairs; ++i) {
        const double angle = static_cast<double>(first_ + row) * model_.frequencies[static_cast<size_t>(i)];
        angles[2 * i] = static_cast<float>(std::cos(angle));
        angles[2 * i + 1] = static_cast<float>(std::sin(angle));
      }
    });
  }

  // Rows for a product with `w`: made by make(row, to) where to has `width` floats.
  template <class F>
  void input(const Matrix& w, int64_t count, int64_t width, F make) {
    const bool rounded = model_.products->rounded(count);
    each_row(count, [&](int64_t row, int thread) {
      float* line = rounded ? r_.line[static_cast<size_t>(thread)].data() : r_.input.data() + row * w.k;
      make(row, line);
      std::fill(line + width, line + w.k, 0.0f);
      if (rounded) linear_.round_bf16(line, w.k, reinterpret_cast<uint16_t*>(r_.input.data()) + row * w.k);
    });
  }

  void normed(const Matrix& w, int64_t row, int64_t count, const float* weight) {
    const int64_t hidden = model_.config.hidden;
    const float* x = r_.hidden.data() + row * r_.stride;
    input(w, count, hidden,
          [&](int64_t i, float* to) { norm_(x + i * r_.stride, weight, hidden, model_.config.norm_eps, to); });
  }

  void project(int32_t layer, int64_t row, int64_t count, float* qkv) {
    const zs_model_config& c = model_.config;
    const LayerWeights& w = model_.weights.layers[static_cast<size_t>(layer)];
    const int64_t stride = w.qkv.outputs(), pairs = c.rope_dims / 2;
    normed(w.qkv, row, count, w.attention_norm);
    model_.products->run({&w.qkv, r_.input.data(), count, Then::kStore, qkv, stride}, stop_);
    if (turns_) return;
    each_row(count, [&](int64_t i, int) {  // queries and keys lie side by side
      (linear_.*model_.architecture->rotation)(qkv + i * stride, r_.angles.data() + (row + i) * pairs * 2,
                                               c.heads + c.kv_heads, c.head_dim, pairs);
    });
  }

  struct Views {
    zs_view q, k, v, out;
  };
  Views views_of(int32_t layer) {
    const zs_model_config& c = model_.config;
    const LayerWeights& w = model_.weights.layers[static_cast<size_t>(layer)];
    const auto view = [&](int64_t head) {
      return zs_view{r_.qkv.data() + head * c.head_dim, c.head_dim, w.qkv.outputs()};
    };
    return {view(0), view(c.heads), view(c.heads + c.kv_heads), {r_.attended.data(), c.head_dim, w.attention_output.k}};
  }

  void give(int32_t layer, const Views& views) {
    const zs_model_config& c = model_.config;
    const int64_t attended = int64_t{c.heads} * c.head_dim, taken = attended + int64_t{2} * c.kv_heads * c.head_dim;
    float* to = forward_.given + layer * tokens_ * (taken + attended);
    for (int64_t row = 0; row < tokens_; ++row) {  // queries, keys and values lie side by side
      to = std::copy_n(views.q.data + row * views.q.row_stride, taken, to);
      to = std::copy_n(views.out.data + row * views.out.row_stride, attended, to);
    }
  }

  void feed_forward(int32_t layer, int64_t row, int64_t count, const float* attended) {
    const zs_model_config& c = model_.config;
    const LayerWeights& w = model_.weights.layers[static_cast<size_t>(layer)];
    float* hidden = r_.hidden.data() + row * r_.stride;
    const void* x = attended;  // as it is, unless it has to be rounded
    if (model_.products->rounded(count)) {
      const int64_t width = static_cast<int64_t>(c.heads) * c.head_dim;
      input(w.attention_output, count, width,
            [&](int64_t i, float* to) { std::copy_n(attended + i * w.attention_output.k, width, to); });
      x = r_.input.data();
    }
    model_.products->run({&w.attention_output, x, count, Then::kAdd, hidden, r_.stride}, stop_);
    normed(w.gate_up, row, count, w.feed_forward_norm);
    model_.products->run({&w.gate_up, r_.input.data(), count, Then::kActivate, r_.active.data(), w.down.k}, stop_);
    model_.products->run({&w.down, r_.active.data(), count, Then::kAdd, hidden, r_.stride}, stop_);
  }

  void progress(int64_t layer, int64_t rows) {
    report(report_, (layer * tokens_ + rows) / model_.config.layers, tokens_);
  }

  zs_model& model_;
  zs_cache& cache_;
  const zs_forward& forward_;
  const bool prompt_;
  Rows& r_;
  zs_call *stop_, *report_;
  const LinearKernels& linear_;
  decltype(LinearKernels::rms_norm) norm_;
  const int64_t tokens_, first_;
  const bool turns_;  // the cache turns queries and keys itself
};

// The rows whose logits are needed, ascending.
std::vector<int64_t> needed_rows(const zs_forward& f) {
  std::vector<int64_t> rows(f.rows, f.rows + f.row_count);
  if (f.targets)
    for (int64_t r = 0; r < f.tokens; ++r)
      if (f.targets[r] >= 0) rows.push_back(r);
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return rows;
}

// Logits and log-probabilities; always in float32 by our own kernels, so that a row's are the same whatever other rows are asked for.
void head(zs_model& model, const zs_forward& f, const std::vector<int64_t>& needed, Rows& r, zs_call* stop) {
  const zs_model_config& c = model.config;
  const LinearKernels& linear = *model.engine->linear;
  const Matrix& w = model.weights.output;
  const int64_t count = static_cast<int64_t>(needed.size()), stride = w.outputs();
  if (f.targets) std::fill_n(f.logprobs, f.tokens, 0.0);
  for (int64_t from = 0, asked = 0; from < count; from += kExactRows) {
    const int64_t rows = std::min(kExactRows, count - from);
    for (int64_t i = 0; i < rows; ++i) {
      float* to = model.head_input.data() + i * w.k;
      (linear.*model.architecture->norm)(r.hidden.data() + needed[static_cast<size_t>(from + i)] * r.stride,
                                         model.weights.output_norm, c.hidden, c.norm_eps, to);
      std::fill(to + c.hidden, to + w.k, 0.0f);
    }
    model.products->run({&w, model.head_input.data(), rows, Then::kStore, model.scores.data(), stride, true}, stop);
    for (int64_t i = 0; i < rows; ++i)
      if (asked < f.row_count && f.rows[asked] == needed[static_cast<size_t>(from + i)])
        std::copy_n(model.scores.data() + i * stride, c.vocabulary, f.logits + asked++ * c.vocabulary);
    if (!f.targets) continue;
    const bool whole = model.engine->pool.run(rows, stop, [&](int64_t i, int) {
      const int64_t row = needed[static_cast<size_t>(from + i)];
      const float* scores = model.scores.data() + i * stride;
      if (f.targets[row] >= 0)
        f.logprobs[row] = static_cast<double>(scores[f.targets[row]]) - linear.log_sum_exp(scores, c.vocabulary);
    });
    if (!whole) check_abort(stop);
  }
}

void check_forward(const zs_model& model, const zs_cache& cache, const zs_forward& f) {
  const zs_model_config& c = model.config;
  const zs_cache_config& shape = cache_config(cache);
  const auto n = [](int64_t value) { return static_cast<long long>(value); };
  if (cache.engine != model.engine)
    fail(ZS_INVALID, "the cache belongs to another engine than the model: make it on the model's engine");
  if (shape.layers != c.layers || shape.heads != c.heads || shape.kv_heads != c.kv_heads ||
      shape.head_dim != c.head_dim)
    fail(ZS_INVALID,
         "the cache was made for %d layers, %d heads, %d kv heads, headDim %d; the model has %d, %d, %d, %d: make one "
         "of the model's shape",
         shape.layers, shape.heads, shape.kv_heads, shape.head_dim, c.layers, c.heads, c.kv_heads, c.head_dim);
  if (f.tokens < 1) fail(ZS_INVALID, "tokens = %lld, expected at least one token id", n(f.tokens));
  if (!f.ids) fail(ZS_INVALID, "ids is missing, expected %lld token ids", n(f.tokens));
  const int64_t seen = cache_seq_len(cache, 0);
  if (cache.needs.rotates) {
    const Rotation& has = *cache_rotation(cache);
    if (has.halves() || has.frequencies() != model.frequencies)
      fail(ZS_INVALID,
           "the cache was made for another rotation than the model's: give dims %d, base %g, pairs side by side",
           c.rope_dims, static_cast<double>(c.rope_base));
  }
  if (cache.endless()) {
    if (seen == 0) cache_check_context(cache, f.tokens, f.share_of, c.context);
  } else if (f.tokens > c.context - seen)
    fail(ZS_INVALID,
         "%lld tokens after %lld seen are more than the model's context of %d: give at most %lld, or start a new "
         "session",
         n(f.tokens), n(seen), c.context, n(std::max<int64_t>(0, c.context - seen)));
  for (int64_t i = 0; i < f.tokens; ++i)
    if (f.ids[i] < 0 || f.ids[i] >= c.vocabulary)
      fail(ZS_INVALID, "ids[%lld] = %d, expected a token id from 0 to %d", n(i), f.ids[i], c.vocabulary - 1);
  if (f.row_count < 0 || f.row_count > f.tokens || (f.row_count && (!f.rows || !f.logits)))
    fail(ZS_INVALID, "row_count = %lld, expected 0 to %lld with rows and logits for as many", n(f.row_count),
         n(f.tokens));
  for (int64_t i = 0; i < f.row_count; ++i)
    if (f.rows[i] < 0 || f.rows[i] >= f.tokens || (i && f.rows[i] <= f.rows[i - 1]))
      fail(ZS_INVALID, "rows[%lld] = %lld, expected ascending row numbers from 0 to %lld", n(i), n(f.rows[i]),
           n(f.tokens - 1));
  if (f.given && seen == 0) fail(ZS_INVALID, "given is for tokens after the prompt: leave it out while that is read");
  if (f.targets && !f.logprobs) fail(ZS_INVALID, "targets without a place for logprobs: give both or neither");
  for (int64_t i = 0; f.targets && i < f.tokens; ++i)
    if (f.targets[i] < -1 || f.targets[i] >= c.vocabulary)
      fail(ZS_INVALID, "targets[%lld] = %d, expected a token id from 0 to %d, or -1 to skip the row", n(i),
           f.targets[i], c.vocabulary - 1);
}

// Rows [from, from + count) of a forward, as one of their own; `rows` holds what it points to.
zs_forward part_of(const zs_forward& f, int64_t from, int64_t count, int64_t vocabulary, std::vector<int64_t>& rows) {
  const int64_t *const first = std::lower_bound(f.rows, f.rows + f.row_count, from), *const end = std::lower_bound(
                                                                                         first, f.rows + f.row_count,
                                                                                         from + count);
  rows.assign(first, end);
  for (int64_t& row : rows) row -= from;
  zs_forward part = f;
  part.ids += from, part.tokens = count;
  part.rows = rows.data(), part.row_count = static_cast<int64_t>(rows.size());
  if (!rows.empty()) part.logits += (first - f.rows) * vocabulary;
  if (f.targets) part.targets += from, part.logprobs += from;
  return part;
}

// A prompt in strides goes through all layers stride by stride, so that nothing that is held grows with it.
void read_in_strides(zs_model& model, zs_cache& cache, const zs_forward& forward, int64_t stride, Rows& rows,
                     zs_call* call) {
  for (int32_t layer = 0; layer < model.config.layers; ++layer)
    cache_begin(cache, layer, forward.tokens, forward.share_of);
  std::vector<int64_t> asked;
  for (int64_t from = 0; from < forward.tokens; from += stride) {
    const int64_t count = std::min(stride, forward.tokens - from);
    const zs_forward part = part_of(forward, from, count, model.config.vocabulary, asked);
    Pass(model, cache, part, false, rows, call, nullptr).run();
    head(model, part, needed_rows(part), rows, call);
    report(call, from + count, forward.tokens);
  }
}

}  // namespace

Rows::Rows(const zs_model_config& config, const Weights& weights, int64_t tokens, bool prompt, int threads)
    : rows(std::min(kChunkRows, tokens)), stride(weights.layers[0].qkv.k) {
  const LayerWeights& w = weights.layers[0];
  const int64_t chunk = Products::padded(rows), together = prompt ? rows : tokens;
  const int64_t widest = std::max({w.qkv.k, w.attention_output.k, w.gate_up.k});
  hidden = zeros(tokens * stride);
  qkv = Buffer(together * w.qkv.outputs());
  attended = zeros(Products::padded(together) * w.attention_output.k);
  input = zeros(chunk * widest);
  active = zeros(chunk * w.down.k);
  angles = Buffer(tokens * config.rope_dims);
  for (int i = 0; i < threads; ++i) line.emplace_back(widest);
}

void model_forward(zs_model& model, zs_cache& cache, const zs_forward& forward, zs_call* call) {
  check_forward(model, cache, forward);
  const bool prompt = cache_seq_len(cache, 0) == 0;
  for (int32_t layer = 0; layer < model.config.layers; ++layer) {
    if (prompt)
      cache_check_prefill(cache, layer, forward.tokens, forward.share_of);
    else
      cache_check_extend(cache, layer, forward.tokens);
  }
  check_abort(call);
  need_model_constants(model, cache, call);
  report(call, 0, forward.tokens);

  const std::vector<int64_t> needed = needed_rows(forward);
  const int64_t most = std::min<int64_t>(kExactRows, static_cast<int64_t>(needed.size()));
  model.head_input.need(most * model.weights.output.k);
  model.scores.need(most * model.weights.output.outputs());
  const int64_t stride = prompt ? needs_of(*cache.policy, forward.tokens).stride : 0;
  const int64_t together = stride ? std::min(stride, forward.tokens) : forward.tokens;
  std::unique_ptr<Rows> many;
  if (together > kFewRows)
    many =
        std::make_unique<Rows>(model.config, model.weights, together, prompt && !stride, model.engine->pool.threads());
  Rows& rows = many ? *many : *model.few;

  // In place nothing can fail and the step is short, so it is not stopped on the way; else a fork takes the changes.
  const bool in_place = !prompt && forward.tokens == 1 && model.weights.bytes <= kInPlace && cache_reserve_step(cache);
  std::unique_ptr<zs_cache> fork = in_place ? nullptr : cache_fork(cache);
  zs_call* stop = in_place ? nullptr : call;
  if (stride) {
    read_in_strides(model, *fork, forward, stride, rows, call);
  } else {
    Pass(model, fork ? *fork : cache, forward, prompt, rows, stop, call).run();
    head(model, forward, needed, rows, stop);
  }
  if (fork) cache_swap(cache, *fork);
  report(call, forward.tokens, forward.tokens);
}

}  // namespace zs
