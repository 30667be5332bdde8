#include "model/runner.h"

#include <algorithm>

#include "core/error.h"
#include "core/prompt.h"
#include "model/progress.h"
#include "model/projections.h"

namespace zs {
namespace {

constexpr int64_t kInPlace = int64_t{1} << 30;  // weights that one step reads in less than 50 ms

// One call on a cache that may be changed freely.
class Pass {
 public:
  Pass(zs_model& model, zs_cache& cache, const zs_forward& forward, bool prompt, Rows& rows, DevicePass* there,
       zs_call* stop, zs_call* report)
      : model_(model),
        cache_(cache),
        forward_(forward),
        prompt_(prompt),
        r_(rows),
        work_(model, rows, stop),
        there_(there),
        stop_(stop),
        report_(report),
        tokens_(forward.tokens),
        first_(cache_seq_len(cache, 0)),
        turns_(cache.needs.rotates) {}

  void run() {
    if (!turns_) work_.turn(tokens_, first_);
    if (there_)
      there_->embed(forward_.ids, tokens_, r_.angles.data());
    else
      work_.embed(forward_.ids, tokens_);
    for (int32_t layer = 0; layer < model_.config.layers; ++layer) {
      if (prompt_)
        read(layer);
      else
        extend(layer);
    }
  }

 private:
  // A prompt's rows see only those before them, so a chunk goes through the whole layer before the next one does.
  void read(int32_t layer) {
    Prompt prompt(cache_, layer, tokens_, forward_.share_of, stop_, false);
    const Views views = views_of(layer);
    work_.each_chunk(0, tokens_, [&](int64_t row, int64_t count) {
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
    work_.each_chunk(0, tokens_, [&](int64_t row, int64_t count) {
      project(layer, row, count, r_.qkv.data() + row * w.qkv.outputs());
    });
    cache_extend(cache_, layer, views.q, views.k, views.v, tokens_, views.out, stop_);
    if (forward_.given) give(layer, views);
    progress(layer, tokens_ / 2);
    work_.each_chunk(0, tokens_, [&](int64_t row, int64_t count) {
      feed_forward(layer, row, count, r_.attended.data() + row * w.attention_output.k);
    });
    progress(layer, tokens_);
  }

  void project(int32_t layer, int64_t row, int64_t count, float* qkv) {
    if (there_) return there_->project(layer, row, count, qkv, [this] { check_abort(stop_); });
    work_.project(layer, row, count, qkv);
    if (!turns_) work_.rotate(row, count, tokens_, qkv);
  }

  void feed_forward(int32_t layer, int64_t row, int64_t count, const float* attended) {
    if (there_) return there_->feed_forward(layer, row, count, attended, [this] { check_abort(stop_); });
    work_.feed_forward(layer, row, count, attended);
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

  void progress(int64_t layer, int64_t rows) {
    report(report_, (layer * tokens_ + rows) / model_.config.layers, tokens_);
  }

  zs_model& model_;
  zs_cache& cache_;
  const zs_forward& forward_;
  const bool prompt_;
  Rows& r_;
  RowWork work_;
  DevicePass* const there_;  // who does all of it on a device, beside attention; nullptr = nobody
  zs_call *stop_, *report_;
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

// Logits and log-probabilities; logits_of(from, rows) → those of up to `together` rows needed[from] …
template <class F>
void head(zs_model& model, const zs_forward& f, const std::vector<int64_t>& needed, int64_t together, zs_call* stop,
          F logits_of) {
  const zs_model_config& c = model.config;
  const LinearKernels& linear = *model.engine->linear;
  const int64_t count = static_cast<int64_t>(needed.size()), stride = model.weights.output.outputs();
  if (f.targets) std::fill_n(f.logprobs, f.tokens, 0.0);
  for (int64_t from = 0, asked = 0; from < count; from += together) {
    const int64_t rows = std::min(together, count - from);
    const float* const logits = logits_of(from, rows);
    for (int64_t i = 0; i < rows; ++i)
      if (asked < f.row_count && f.rows[asked] == needed[static_cast<size_t>(from + i)])
        std::copy_n(logits + i * stride, c.vocabulary, f.logits + asked++ * c.vocabulary);
    if (!f.targets) continue;
    const bool whole = model.engine->pool.run(rows, stop, [&](int64_t i, int) {
      const int64_t row = needed[static_cast<size_t>(from + i)];
      const float* scores = logits + i * stride;
      if (f.targets[row] >= 0)
        f.logprobs[row] = static_cast<double>(scores[f.targets[row]]) - linear.log_sum_exp(scores, c.vocabulary);
    });
    if (!whole) check_abort(stop);
  }
}

void head(zs_model& model, const zs_forward& f, const std::vector<int64_t>& needed, Rows& r, DevicePass* there,
          zs_call* stop) {
  if (there)
    return head(model, f, needed, kDeviceLogits, stop, [&](int64_t from, int64_t rows) {
      check_abort(stop);
      there->logits(needed.data() + from, rows, model.scores.data());
      return model.scores.data();
    });
  head(model, f, needed, kExactRows, stop, [&](int64_t from, int64_t rows) {
    std::vector<const float*> hidden;
    for (int64_t i = 0; i < rows; ++i)
      hidden.push_back(r.hidden.data() + needed[static_cast<size_t>(from + i)] * r.stride);
    return row_logits(model, hidden, stop);
  });
}

// A token through the model on the engine's device. Where it throws, nothing has changed.
void step_on_device(zs_model& model, zs_cache& cache, const zs_forward& f, const std::vector<int64_t>& needed,
                    Rows& rows) {
  RowWork(model, rows, nullptr).turn(1, cache_seq_len(cache, 0));
  float* const logits = needed.empty() ? nullptr : model.scores.data();
  cache_step_on_device(cache, *model.device, {f.ids[0], rows.angles.data(), logits, f.given});
  head(model, f, needed, 1, nullptr, [&](int64_t, int64_t) { return logits; });
}

// Who takes `tokens` rows, `chunk` at once, through the model on the engine's device; nullptr: it has no memory for them, there is none, or
// the cache is not on it. What rows need for a moment must not keep a cache from a device that has room for what is kept of it.
std::unique_ptr<DevicePass> pass_on_device(zs_model& model, const zs_cache& cache, int64_t tokens) {
  if (!model.device || !cache.on_device || cache.needs.rotates) return nullptr;
  try {
    return model.device->pass(tokens, std::min(kPromptRows, tokens));
  } catch (const Error& e) {
    if (e.status != ZS_OUT_OF_MEMORY) throw;
    return nullptr;
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
                     DevicePass* there, zs_call* call) {
  for (int32_t layer = 0; layer < model.config.layers; ++layer)
    cache_begin(cache, layer, forward.tokens, forward.share_of);
  std::vector<int64_t> asked;
  for (int64_t from = 0; from < forward.tokens; from += stride) {
    const int64_t count = std::min(stride, forward.tokens - from);
    const zs_forward part = part_of(forward, from, count, model.config.vocabulary, asked);
    Pass(model, cache, part, false, rows, there, call, nullptr).run();
    head(model, part, needed_rows(part), rows, there, call);
    report(call, from + count, forward.tokens);
  }
}

}  // namespace

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
  need_logits(model, std::min<int64_t>(kExactRows, static_cast<int64_t>(needed.size())));
  const int64_t stride = prompt ? needs_of(*cache.policy, forward.tokens).stride : 0;
  const int64_t together = stride ? std::min(stride, forward.tokens) : forward.tokens;
  // In place nothing can fail and the step is short, so it is not stopped on the way; else a fork takes the changes.
  const bool steps = model.device && !prompt && forward.tokens == 1 && cache_steps_on_device(cache);
  const bool in_place =
      !prompt && forward.tokens == 1 && (steps || model.weights.bytes <= kInPlace) && cache_reserve_step(cache);
  if (in_place && steps) {
    step_on_device(model, cache, forward, needed, *model.few);
    report(call, 1, 1);
    return;
  }
  std::unique_ptr<zs_cache> fork = in_place ? nullptr : cache_fork(cache);
  zs_call* stop = in_place ? nullptr : call;
  const std::unique_ptr<DevicePass> there = in_place ? nullptr : pass_on_device(model, cache, together);
  std::unique_ptr<Rows> many;
  if (together > kFewRows)
    many = std::make_unique<Rows>(model.config, model.weights, together, prompt && !stride,
                                  there ? 0 : model.engine->pool.threads());
  Rows& rows = many ? *many : *model.few;

  if (stride) {
    read_in_strides(model, *fork, forward, stride, rows, there.get(), call);
  } else {
    Pass(model, fork ? *fork : cache, forward, prompt, rows, there.get(), stop, call).run();
    head(model, forward, needed, rows, there.get(), stop);
  }
  if (fork) cache_swap(cache, *fork);
  report(call, forward.tokens, forward.tokens);
}

}  // namespace zs
