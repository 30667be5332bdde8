#include "core/scores.h"

#include <algorithm>
#include <utility>

#include "core/work.h"

namespace zs {
namespace {

const std::vector<int32_t>& kept_heads(const zs_cache& cache, int32_t index) {
  return cache.scores->heads[static_cast<size_t>(index)];
}

bool is_due(const zs_cache& cache, int64_t first, int64_t last) {
  const int64_t every = cache.scores->every;
  return last / every * every >= first;
}

int64_t bytes_of(const zs_cache& cache, int32_t index, const Layer& layer, int64_t more) {
  int64_t slots = 0;
  for (const int32_t g : kept_heads(cache, index)) slots += layer.heads[static_cast<size_t>(g)].slots() + more;
  return slots * 8;
}

// What the layers would have once each that has seen no more than `layer` has had its turn, too: asked before the first of them changes.
void check_size(const zs_cache& cache, int32_t index, const Layer& layer, int64_t more) {
  int64_t bytes = bytes_of(cache, index, layer, more), kept = 0;
  for (int32_t l = 0; l < cache.config.layers; ++l) {
    // Of a prompt nothing may be there yet: other layers are to hold what this one does.
    const Layer* const held =
        static_cast<size_t>(l) < cache.layers.size() ? &cache.layers[static_cast<size_t>(l)] : nullptr;
    if (held) kept += held->scores.bytes;
    if (l > index) bytes += bytes_of(cache, l, held && held->seq_len ? *held : layer, more);
  }
  if (kept + bytes <= cache.scores->most_bytes) return;
  const auto mb = [](int64_t value) { return static_cast<double>(value) / 1e6; };
  fail(ZS_INVALID,
       "scores and probabilities of the slots take %.1f MB so far, and this call would add %.1f MB: more than the %.1f "
       "MB that are kept at most; nothing is lost, and nothing of this call was read. Keep them of fewer layers and kv "
       "heads, or of every n-th step",
       mb(kept), mb(bytes), mb(cache.scores->most_bytes));
}

// Where a kv head's scores lie; throws a sentence.
size_t place_of(const zs_cache& cache, int32_t layer, int32_t kv_head) {
  if (layer < 0 || layer >= cache.config.layers)
    fail(ZS_INVALID, "layer is %d: expected 0 to %d", layer, cache.config.layers - 1);
  if (kv_head < 0 || kv_head >= cache.config.kv_heads)
    fail(ZS_INVALID, "kv_head is %d: expected 0 to %d", kv_head, cache.config.kv_heads - 1);
  const int32_t place = score_place(cache, layer, kv_head);
  if (place < 0) fail(ZS_INVALID, "no scores of layer %d, kv head %d are kept: name it first", layer, kv_head);
  return static_cast<size_t>(place);
}

void begin(zs_cache& cache, const uint8_t* heads, int64_t every, int64_t most_bytes) {
  auto plan = std::make_shared<ScorePlan>();
  plan->every = every;
  plan->most_bytes = most_bytes;
  plan->heads.resize(cache.layers.size());
  for (size_t l = 0; l < plan->heads.size(); ++l)
    for (int32_t g = 0; g < cache.config.kv_heads; ++g)
      if (*heads++) plan->heads[l].push_back(g);
  for (Layer& layer : cache.layers) layer.scores = {};
  cache.scores = std::move(plan);
}

}  // namespace

void ScoreLog::commit() {
  if (!next) return;
  bytes += next->bytes();
  blocks.push_back(std::move(next));
  next.reset();
}

void ScoreLog::forget(int64_t from) {
  next.reset();
  for (; !blocks.empty() && blocks.back()->position >= from; blocks.pop_back()) bytes -= blocks.back()->bytes();
}

int32_t score_place(const zs_cache& cache, int32_t index, int64_t kv_head) {
  if (!cache.scores) return -1;
  const std::vector<int32_t>& heads = kept_heads(cache, index);
  const auto found = std::find(heads.begin(), heads.end(), static_cast<int32_t>(kv_head));
  return found == heads.end() ? -1 : static_cast<int32_t>(found - heads.begin());
}

void score_next(const zs_cache& cache, int32_t index, Layer& layer, int64_t tokens, int64_t arrived) {
  ScoreLog& log = layer.scores;
  // A prompt that is read in strides is attended in parts, none of which is the whole.
  const bool prompt = layer.seq_len == arrived && arrived > 0;
  if (!cache.scores || kept_heads(cache, index).empty() || layer.reading ||
      !is_due(cache, prompt ? 0 : layer.step_of(0), prompt ? 0 : layer.step_of(tokens - 1))) {
    log.next.reset();
    return;
  }
  const int64_t more = tokens - arrived, first = layer.seq_len - arrived;
  std::vector<int64_t> start = {0};
  for (const int32_t g : kept_heads(cache, index))
    start.push_back(start.back() + layer.heads[static_cast<size_t>(g)].slots() + more);
  log.reserve();
  // What was made for a call that never came, or stands in a copy, too, is not for this one.
  if (log.next && log.next.use_count() == 1 && log.next->position == first + tokens - 1 && log.next->start == start)
    return;
  check_size(cache, index, layer, more);
  auto block = std::make_shared<ScoreBlock>();
  block->first = static_cast<int32_t>(first);
  block->position = static_cast<int32_t>(first + tokens - 1);
  block->step = static_cast<int32_t>(prompt ? 0 : layer.step_of(tokens - 1));
  block->start = std::move(start);
  block->data = Buffer(2 * block->start.back());
  std::fill_n(block->data.data(), block->data.size(), kNone);
  log.next = std::move(block);
}

bool scores_fit(const zs_cache& cache) {
  if (!cache.scores) return true;
  int64_t bytes = 0;
  for (int32_t l = 0; l < cache.config.layers; ++l) {
    const Layer& layer = cache.layers[static_cast<size_t>(l)];
    bytes += layer.scores.bytes + bytes_of(cache, l, layer, 1);
  }
  return bytes <= cache.scores->most_bytes;
}

void note_scores(const zs_cache& cache, int32_t index, Layer& layer, int64_t kv_head) {
  const int32_t place = layer.scores.next ? score_place(cache, index, kv_head) : -1;
  if (place < 0) return;
  ScoreBlock& block = *layer.scores.next;
  const bool own = hook(*cache.policy, &PolicyHooks::score) != nullptr;
  if (!(cache.needs.scores || own) || !(block.step == 0 || cache.needs.upkeep)) return;  // as the tape has them
  float* to = block.scores(static_cast<size_t>(place));
  for (const Segment& segment : layer.heads[static_cast<size_t>(kv_head)].segments)
    to = std::copy_n(segment.scores.data(), segment.slots(), to);
  // Tokens that wait have a policy's own score once they enter.
  if (!layer.waiting.empty() && !own) {
    const Segment& waiting = layer.waiting[static_cast<size_t>(kv_head)];
    std::copy_n(waiting.scores.data(), waiting.slots(), to);
  }
}

void note_last_row(zs_cache& cache, int32_t index, Layer& layer, const PageList& list, const ScoredRows& rows,
                   int64_t to, zs_call* call) {
  if (!layer.scores.next) return;
  ScoreBlock& block = *layer.scores.next;
  const std::vector<int32_t>& heads = kept_heads(cache, index);
  std::vector<size_t> chunks, of;  // of `list`, and whose
  for (size_t place = 0; place < heads.size(); ++place)
    for (int64_t c = list.start[static_cast<size_t>(heads[place])];
         c < list.start[static_cast<size_t>(heads[place]) + 1]; ++c) {
      chunks.push_back(static_cast<size_t>(c));
      of.push_back(place);
    }
  Buffer sums(static_cast<int64_t>(chunks.size()) * kChunk);
  std::fill_n(sums.data(), sums.size(), 0.0f);
  sum_columns(cache, list, rows, to, cache.group(), static_cast<int64_t>(chunks.size()), call,
              Progress(nullptr, false, 0), [&](int64_t unit, ColumnsTask& task, Fade* fades) -> ColumnsPlace {
                const size_t at = static_cast<size_t>(unit), g = static_cast<size_t>(heads[of[at]]);
                const int64_t own = static_cast<int64_t>(chunks[at]) - list.start[g] - list.first_causal[g];
                task.causal = own >= 0;
                task.first = own >= 0 ? own * kChunk : 0;
                fades[0] = {1, to - 1, sums.data() + unit * kChunk};
                return {static_cast<int64_t>(g) * cache.group(), static_cast<int64_t>(chunks[at])};
              });
  const float share = 1 / static_cast<float>(cache.group());
  float* at = nullptr;
  for (size_t i = 0; i < chunks.size(); ++i) {
    if (i == 0 || of[i] != of[i - 1]) at = block.probabilities(of[i]);
    const float* const from = sums.data() + static_cast<int64_t>(i) * kChunk;
    for (int32_t slot = 0; slot < list.pages[chunks[i]].slots; ++slot) *at++ = from[slot] * share;
  }
}

}  // namespace zs

extern "C" {

zs_status zs_cache_record_scores(zs_cache* cache, const uint8_t* heads, int64_t every, int64_t most_bytes) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    if (!heads) zs::fail(ZS_INVALID, "heads is NULL: expected a byte for each layer and kv head");
    if (every < 1) zs::fail(ZS_INVALID, "every is %lld: expected 1 or more", static_cast<long long>(every));
    if (most_bytes < 0)
      zs::fail(ZS_INVALID, "most_bytes is %lld: expected 0 or more", static_cast<long long>(most_bytes));
    const std::lock_guard<std::mutex> lock(cache->engine->busy);
    zs::begin(*cache, heads, every, most_bytes);
  });
}

zs_status zs_cache_scored(const zs_cache* cache, int32_t layer, int32_t kv_head, zs_scored* out) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    if (!out) zs::fail(ZS_INVALID, "out is NULL: expected a place for the sizes");
    const size_t place = zs::place_of(*cache, layer, kv_head);
    *out = {};
    for (const zs::Layer& one : cache->layers) out->bytes += one.scores.bytes;
    for (const auto& block : cache->layers[static_cast<size_t>(layer)].scores.blocks)
      ++out->rows, out->slots += block->slots(place);
  });
}

zs_status zs_cache_scores_read(const zs_cache* cache, int32_t layer, int32_t kv_head, int32_t* steps, int32_t* first,
                               int32_t* positions, int64_t* starts, float* scores, float* probabilities) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    const size_t place = zs::place_of(*cache, layer, kv_head);
    int64_t start = 0;
    if (starts) *starts++ = 0;
    for (const auto& block : cache->layers[static_cast<size_t>(layer)].scores.blocks) {
      const int64_t slots = block->slots(place);
      if (steps) *steps++ = block->step;
      if (first) *first++ = block->first;
      if (positions) *positions++ = block->position;
      if (starts) *starts++ = start += slots;
      if (scores) scores = std::copy_n(block->scores(place), slots, scores);
      if (probabilities) probabilities = std::copy_n(block->probabilities(place), slots, probabilities);
    }
  });
}

}  // extern "C"
