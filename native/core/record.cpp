#include "core/record.h"

#include <algorithm>
#include <utility>

#include "core/half.h"
#include "core/work.h"

namespace zs {
namespace {

// As the cache's storage keeps it.
float stored(int32_t storage, float value) {
  return storage == ZS_F16 ? of_f16(f16_of(value)) : storage == ZS_BF16 ? of_bf16(bf16_of(value)) : value;
}

int64_t rows_from(int64_t first, int64_t from, int64_t rows) {
  return std::clamp<int64_t>(from + rows - first, 0, rows);
}

struct Sizes {
  int64_t tokens = 0, queries = 0, outputs = 0;
};
Sizes sizes_of(const Recording& recording) {
  Sizes sizes;
  for (const Recording::Part& part : recording.parts) {
    const int64_t cut = part.block->rows - part.rows;
    sizes.tokens += part.rows;
    sizes.queries += std::max<int64_t>(0, part.block->queries - cut);
    sizes.outputs += std::max<int64_t>(0, part.block->outputs - cut);
  }
  return sizes;
}

// Where a kv head's rows lie in its layer's blocks; throws a sentence.
size_t place_of(const zs_cache& cache, int32_t layer, int32_t kv_head) {
  if (layer < 0 || layer >= cache.config.layers)
    fail(ZS_INVALID, "layer is %d: expected 0 to %d", layer, cache.config.layers - 1);
  if (kv_head < 0 || kv_head >= cache.config.kv_heads)
    fail(ZS_INVALID, "kv_head is %d: expected 0 to %d", kv_head, cache.config.kv_heads - 1);
  if (!cache.record) fail(ZS_INVALID, "nothing is recorded: call zs_cache_record before the tokens come");
  const std::vector<int32_t>& heads = cache.record->heads[static_cast<size_t>(layer)];
  const auto found = std::find(heads.begin(), heads.end(), kv_head);
  if (found == heads.end())
    fail(ZS_INVALID, "layer %d, kv head %d is not recorded: name it when recording begins", layer, kv_head);
  return static_cast<size_t>(found - heads.begin());
}

// The tokens that a cache holds already, all of them as they came; throws a sentence where some are not.
std::shared_ptr<RecordBlock> held_block(const zs_cache& cache, int32_t index) {
  const Layer& layer = cache.layers[static_cast<size_t>(index)];
  const std::vector<int32_t>& recorded = cache.record->heads[static_cast<size_t>(index)];
  const int64_t d = cache.config.head_dim, group = cache.group(), rows = layer.seq_len;
  for (const Head& head : layer.heads)
    if (head.compressed || head.segments.size() != 1 || !head.plain() || head.slots() != rows)
      fail(ZS_UNSUPPORTED,
           "layer %d has seen %lld tokens and does not hold all of them as they came: record from the start, or a full "
           "cache",
           index, static_cast<long long>(rows));
  auto block = std::make_shared<RecordBlock>();
  block->rows = rows;
  block->queries = layer.kept ? std::min(layer.kept->rows, cache.record->query_rows) : 0;
  block->data = Buffer(static_cast<int64_t>(recorded.size()) * block->head_floats(group, d));
  float* at = block->data.data();
  for (const int32_t g : recorded) {
    const Segment& open = layer.heads[static_cast<size_t>(g)].open();
    for (int32_t t = 0; t < rows; ++t) open.read(t, at + t * d, at + (rows + t) * d);
    at += 2 * rows * d;
    for (int64_t r = 0; r < block->queries; ++r)
      for (int64_t h = 0; h < group; ++h, at += d)
        std::copy_n(
            layer.kept->q.data() + ((g * group + h) * layer.kept->rows + layer.kept->rows - block->queries + r) * d, d,
            at);
  }
  return block;
}

void begin(zs_cache& cache, const uint8_t* heads, int64_t query_rows) {
  if (cache.needs.rotates || takes(cache) || hook(*cache.policy, &PolicyHooks::weights))
    fail(ZS_UNSUPPORTED, "%s changes keys or values as they come, so what it is given cannot be recorded: trace events",
         cache.policy->hooks->name);
  auto plan = std::make_shared<RecordPlan>();
  plan->query_rows = query_rows;
  plan->heads.resize(cache.layers.size());
  for (size_t l = 0; l < plan->heads.size(); ++l)
    for (int32_t g = 0; g < cache.config.kv_heads; ++g)
      if (*heads++) plan->heads[l].push_back(g);
  const auto before = std::exchange(cache.record, plan);
  std::vector<Recording> made(cache.layers.size());
  try {
    for (size_t l = 0; l < made.size(); ++l) {
      const Layer& layer = cache.layers[l];
      if (layer.seq_len == 0 || plan->heads[l].empty()) continue;
      if (layer.reading || !layer.waiting.empty()) fail(ZS_INVALID, "layer %zu is in the middle of a prompt", l);
      made[l].parts.push_back({held_block(cache, static_cast<int32_t>(l)), layer.seq_len});
    }
  } catch (...) {
    cache.record = before;
    throw;
  }
  for (size_t l = 0; l < made.size(); ++l) cache.layers[l].recording = std::move(made[l]);
}

}  // namespace

void Recording::forget(int64_t from) {
  next.reset();
  while (!parts.empty() && parts.back().block->from >= from) parts.pop_back();
  if (!parts.empty()) parts.back().rows = std::min(parts.back().rows, from - parts.back().block->from);
}

std::shared_ptr<RecordBlock> record_block(const zs_cache& cache, int32_t index, int64_t from, int64_t rows) {
  if (!cache.record || cache.record->heads[static_cast<size_t>(index)].empty()) return nullptr;
  const Layer& layer = cache.layers[static_cast<size_t>(index)];
  const bool prompt = layer.seq_len == 0 || layer.reading;
  const int64_t first = layer.reading ? cache.prompt : from + rows;  // of a prompt that comes at once, its end
  auto block = std::make_shared<RecordBlock>();
  block->from = from;
  block->rows = rows;
  block->queries = prompt ? rows_from(std::max<int64_t>(0, first - cache.record->query_rows), from, rows) : rows;
  block->outputs = prompt ? 0 : rows;
  block->data = Buffer(static_cast<int64_t>(cache.record->heads[static_cast<size_t>(index)].size()) *
                       block->head_floats(cache.group(), cache.config.head_dim));
  return block;
}

void record_rows(const zs_cache& cache, int32_t index, RecordBlock& block, int64_t at, int64_t count, zs_view q,
                 zs_view k, zs_view v, zs_view out) {
  const int64_t d = cache.config.head_dim, group = cache.group();
  const int32_t storage = cache.config.storage;
  float* to = block.data.data();
  // Rows whose queries, or outputs, are kept: the last `kept` of the block.
  const auto copy = [&](const zs_view& view, int32_t g, int64_t kept) {
    for (int64_t r = std::max<int64_t>(0, block.rows - kept - at); r < count; ++r)
      for (int64_t h = 0; h < group; ++h)
        std::copy_n(view.data + (g * group + h) * view.head_stride + r * view.row_stride, d,
                    to + ((at + r - (block.rows - kept)) * group + h) * d);
    to += kept * group * d;
  };
  for (const int32_t g : cache.record->heads[static_cast<size_t>(index)]) {
    for (const zs_view& view : {k, v}) {
      for (int64_t r = 0; r < count; ++r) {
        const float* row = view.data + g * view.head_stride + r * view.row_stride;
        std::transform(row, row + d, to + (at + r) * d, [&](float value) { return stored(storage, value); });
      }
      to += block.rows * d;
    }
    copy(q, g, block.queries);
    copy(out, g, block.outputs);
  }
}

}  // namespace zs

extern "C" {

zs_status zs_cache_record(zs_cache* cache, const uint8_t* heads, int64_t query_rows) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    if (!heads) zs::fail(ZS_INVALID, "heads is NULL: expected a byte for each layer and kv head");
    if (query_rows < 0)
      zs::fail(ZS_INVALID, "query_rows is %lld: expected 0 or more", static_cast<long long>(query_rows));
    const std::lock_guard<std::mutex> lock(cache->engine->busy);
    zs::begin(*cache, heads, query_rows);
  });
}

zs_status zs_cache_recorded(const zs_cache* cache, int32_t layer, int32_t kv_head, zs_recorded* out) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    if (!out) zs::fail(ZS_INVALID, "out is NULL: expected a place for the sizes");
    zs::place_of(*cache, layer, kv_head);
    const zs::Sizes sizes = zs::sizes_of(cache->layers[static_cast<size_t>(layer)].recording);
    *out = {sizes.tokens, sizes.queries, sizes.outputs};
  });
}

zs_status zs_cache_record_read(const zs_cache* cache, int32_t layer, int32_t kv_head, float* keys, float* values,
                               float* queries, float* outputs) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    const size_t place = zs::place_of(*cache, layer, kv_head);
    const int64_t d = cache->config.head_dim, group = cache->group();
    for (const zs::Recording::Part& part : cache->layers[static_cast<size_t>(layer)].recording.parts) {
      const zs::RecordBlock& block = *part.block;
      const float* from = block.data.data() + static_cast<int64_t>(place) * block.head_floats(group, d);
      const auto piece = [&](float*& to, int64_t rows, int64_t kept, int64_t width) {
        const int64_t count = std::max<int64_t>(0, kept - (block.rows - rows)) * width;
        if (to) to = std::copy_n(from, count, to);
        from += kept * width;
      };
      piece(keys, part.rows, block.rows, d);
      piece(values, part.rows, block.rows, d);
      piece(queries, part.rows, block.queries, group * d);
      piece(outputs, part.rows, block.outputs, group * d);
    }
  });
}

}  // extern "C"
