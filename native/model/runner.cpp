#include "model/runner.h"

#include <algorithm>

#include "core/error.h"
#include "core/prompt.h"
#include "model/extend_pass.h"
#include "model/forward.h"
#include "model/progress.h"
#include "model/projections.h"

namespace zs {
namespace {

// A prompt's rows see only those before them, so a chunk goes through the whole layer before the next one does.
class PromptPass {
 public:
  // Of the last layer's outputs those of row `wanted` and later ones are needed.
  PromptPass(zs_model& model, zs_cache& cache, const zs_forward& forward, int64_t wanted, Rows& rows, DevicePass* there,
             zs_call* call)
      : model_(model),
        cache_(cache),
        forward_(forward),
        wanted_(wanted),
        r_(rows),
        work_(model, rows, call),
        there_(there),
        call_(call) {}

  void run() {
    if (!cache_.needs.rotates) work_.turn(0, forward_.tokens, 0);
    if (there_)
      there_->embed(forward_.ids, forward_.tokens, r_.angles.data());
    else
      work_.embed(forward_.ids, forward_.tokens);
    for (int32_t layer = 0; layer < model_.config.layers; ++layer) read(layer);
  }

 private:
  void read(int32_t layer) {
    const zs_model_config& c = model_.config;
    const LayerWeights& w = model_.weights.layers[static_cast<size_t>(layer)];
    const int64_t tokens = forward_.tokens;
    const auto view = [&](int64_t head) {
      return zs_view{r_.qkv.data() + head * c.head_dim, c.head_dim, w.qkv.outputs()};
    };
    const zs_view out{r_.attended.data(), c.head_dim, w.attention_output.k};
    Prompt prompt(cache_, layer, tokens, forward_.share_of, call_, false);
    work_.each_chunk(0, tokens, [&](int64_t row, int64_t count) {
      project(layer, row, count);
      prompt.rows(view(0), view(c.heads), view(c.heads + c.kv_heads), count, out);
      if (there_) {
        there_->feed_forward(layer, row, count, r_.attended.data(), [this] { check_abort(call_); });
      } else {
        const int64_t skipped = layer + 1 == c.layers ? not_wanted(row, count) : 0;
        if (skipped < count)
          work_.feed_forward(layer, row + skipped, count - skipped,
                             r_.attended.data() + skipped * w.attention_output.k);
      }
      report(call_, (layer * tokens + row + count) / c.layers, tokens);
    });
    prompt.finish();
  }

  // Of a chunk's rows, the first that nobody asks for; never so many that others multiply the rest, whose bits would be others.
  int64_t not_wanted(int64_t row, int64_t count) const {
    if (row + count <= wanted_) return count;
    return std::clamp<int64_t>(wanted_ - row, 0, std::max<int64_t>(0, count - kFewRows - 1));
  }

  void project(int32_t layer, int64_t row, int64_t count) {
    if (there_) return there_->project(layer, row, count, r_.qkv.data(), [this] { check_abort(call_); });
    work_.project(layer, row, count, r_.qkv.data());
    if (!cache_.needs.rotates) work_.rotate(row, count, forward_.tokens, r_.qkv.data());
  }

  zs_model& model_;
  zs_cache& cache_;
  const zs_forward& forward_;
  const int64_t wanted_;
  Rows& r_;
  RowWork work_;
  DevicePass* const there_;  // who does all of it on a device, beside attention; nullptr = nobody
  zs_call* const call_;
};

// Tokens on one living cache, which may be changed freely.
void extend(zs_model& model, zs_cache& cache, const zs_forward& forward, Rows& rows, DevicePass* there, zs_call* stop,
            zs_call* report) {
  std::vector<Extension> one{{&cache, &forward, stop, report}};
  ExtendPass(model, rows, one, there, stop).run();
  if (one[0].failed) std::rethrow_exception(one[0].failed);
}

std::vector<NeededRow> needed_rows(const zs_forward& forward) {
  std::vector<NeededRow> needed;
  add_needed(forward, 0, needed);
  return needed;
}

void head(zs_model& model, const std::vector<NeededRow>& needed, const Rows& rows, DevicePass* there, zs_call* stop) {
  if (!there) return give_logits(model, needed, rows, stop);
  give_logits(model, needed, kDeviceLogits, stop, [&](int64_t from, int64_t count) {
    check_abort(stop);
    int64_t at[kDeviceLogits];
    for (int64_t i = 0; i < count; ++i) at[i] = needed[static_cast<size_t>(from + i)].at;
    there->logits(at, count, model.scores.data());
    return model.scores.data();
  });
}

// A token through the model on the engine's device. Where it throws, nothing has changed.
void step_on_device(zs_model& model, zs_cache& cache, const zs_forward& f, const std::vector<NeededRow>& needed,
                    Rows& rows) {
  RowWork(model, rows, nullptr).turn(0, 1, cache_seq_len(cache, 0));
  float* const logits = needed.empty() ? nullptr : model.scores.data();
  cache_step_on_device(cache, *model.device, {f.ids[0], rows.angles.data(), logits, f.given});
  give_logits(model, needed, 1, nullptr, [&](int64_t, int64_t) { return logits; });
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
    extend(model, cache, part, rows, there, call, nullptr);
    head(model, needed_rows(part), rows, there, call);
    report(call, from + count, forward.tokens);
  }
}

}  // namespace

void model_forward(zs_model& model, zs_cache& cache, const zs_forward& forward, zs_call* call) {
  check_forward(model, cache, forward);
  const bool prompt = cache_seq_len(cache, 0) == 0;
  check_abort(call);
  need_model_constants(model, cache, call);
  report(call, 0, forward.tokens);

  const std::vector<NeededRow> needed = needed_rows(forward);
  need_logits(model, std::min<int64_t>(kFewRows, static_cast<int64_t>(needed.size())));
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
    zs_cache& changed = fork ? *fork : cache;
    if (prompt)
      PromptPass(model, changed, forward, needed.empty() ? forward.tokens : needed.front().row, rows, there.get(), call)
          .run();
    else
      extend(model, changed, forward, rows, there.get(), stop, call);
    head(model, needed, rows, there.get(), stop);
  }
  if (fork) cache_swap(cache, *fork);
  report(call, forward.tokens, forward.tokens);
}

}  // namespace zs
