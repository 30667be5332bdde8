#include "model/forward.h"

namespace zs {
namespace {

long long n(int64_t value) { return static_cast<long long>(value); }

void check_shape(const zs_model& model, const zs_cache& cache) {
  const zs_model_config& c = model.config;
  const zs_cache_config& shape = cache_config(cache);
  if (cache.engine != model.engine)
    fail(ZS_INVALID, "the cache belongs to another engine than the model: make it on the model's engine");
  if (shape.layers != c.layers || shape.heads != c.heads || shape.kv_heads != c.kv_heads ||
      shape.head_dim != c.head_dim)
    fail(ZS_INVALID,
         "the cache was made for %d layers, %d heads, %d kv heads, headDim %d; the model has %d, %d, %d, %d: make one "
         "of the model's shape",
         shape.layers, shape.heads, shape.kv_heads, shape.head_dim, c.layers, c.heads, c.kv_heads, c.head_dim);
  if (!cache.needs.rotates) return;
  const Rotation& has = *cache_rotation(cache);
  if (has.halves() || has.frequencies() != model.frequencies)
    fail(ZS_INVALID,
         "the cache was made for another rotation than the model's: give dims %d, base %g, pairs side by side",
         c.rope_dims, static_cast<double>(c.rope_base));
}

void check_asked(const zs_model_config& c, const zs_forward& f, int64_t seen) {
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

}  // namespace

void check_forward(const zs_model& model, const zs_cache& cache, const zs_forward& f) {
  const zs_model_config& c = model.config;
  check_shape(model, cache);
  if (f.tokens < 1) fail(ZS_INVALID, "tokens = %lld, expected at least one token id", n(f.tokens));
  if (!f.ids) fail(ZS_INVALID, "ids is missing, expected %lld token ids", n(f.tokens));
  const int64_t seen = cache_seq_len(cache, 0);
  if (cache.endless()) {
    if (seen == 0) cache_check_context(cache, f.tokens, f.share_of, c.context);
  } else if (f.tokens > c.context - seen)
    fail(ZS_INVALID,
         "%lld tokens after %lld seen are more than the model's context of %d: give at most %lld, or start a new "
         "session",
         n(f.tokens), n(seen), c.context, n(std::max<int64_t>(0, c.context - seen)));
  check_asked(c, f, seen);
  for (int32_t layer = 0; layer < c.layers; ++layer) {
    if (seen == 0)
      cache_check_prefill(cache, layer, f.tokens, f.share_of);
    else
      cache_check_extend(cache, layer, f.tokens);
  }
}

void add_needed(const zs_forward& f, int64_t first, std::vector<NeededRow>& to) {
  if (f.targets) std::fill_n(f.logprobs, f.tokens, 0.0);
  const int64_t* const end = f.rows + f.row_count;
  for (int64_t row = 0; row < f.tokens; ++row)
    if ((f.targets && f.targets[row] >= 0) || std::binary_search(f.rows, end, row))
      to.push_back({&f, row, first + row});
}

void give_logits(zs_model& model, const std::vector<NeededRow>& needed, const Rows& rows, zs_call* stop) {
  give_logits(model, needed, kFewRows, stop, [&](int64_t from, int64_t count) {
    const float* hidden[kFewRows];
    for (int64_t i = 0; i < count; ++i)
      hidden[i] = rows.hidden.data() + needed[static_cast<size_t>(from + i)].at * rows.stride;
    return row_logits(model, hidden, count, stop);
  });
}

}  // namespace zs
