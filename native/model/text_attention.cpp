#include "model/text_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace zs {
namespace {

bool all_finite(const float* x, int32_t n) {
  float zero = 0;
  for (int32_t i = 0; i < n; ++i) zero += x[i] * 0;
  return zero == 0;
}

}  // namespace

TextAttention::TextAttention(zs_engine& engine, const zs_model_config& config, int64_t texts, int64_t tokens)
    : engine_(engine),
      heads_(config.heads),
      kv_heads_(config.kv_heads),
      d_(config.head_dim),
      tokens_(tokens),
      chunk_count_(round_up(tokens, kChunk) / kChunk),
      scale_(static_cast<float>(1 / std::sqrt(static_cast<double>(config.head_dim)))) {
  const int64_t whole = round_up(tokens, kLane), lists = texts * kv_heads_;
  keys_ = Buffer(lists * whole * d_);
  values_ = Buffer(lists * whole * round_up(d_, kLane));
  for (int64_t list = 0; list < lists; ++list)
    for (int64_t c = 0; c < chunk_count_; ++c) {
      KeyChunk chunk{};
      chunk.keys = keys_.data() + (list * whole + c * kChunk) * d_;
      chunk.values = values_.data() + (list * whole + c * kChunk) * round_up(d_, kLane);
      chunk.slots = static_cast<int32_t>(std::min<int64_t>(kChunk, tokens - c * kChunk));
      chunk.storage = ZS_F32;
      chunks_.push_back(chunk);
    }
}

void TextAttention::pack(const float* qkv, int64_t stride, int64_t texts, zs_call* stop) {
  const int64_t padded = round_up(d_, kLane), lists = texts * kv_heads_;
  const bool all = engine_.pool.run(lists * chunk_count_, stop, [&](int64_t unit, int) {
    const KeyChunk& chunk = chunks_[static_cast<size_t>(unit)];
    const int64_t list = unit / chunk_count_, text = list / kv_heads_, head = list % kv_heads_;
    const int64_t first = text * tokens_ + unit % chunk_count_ * kChunk;
    float* const keys = static_cast<float*>(const_cast<void*>(chunk.keys));
    float* const values = static_cast<float*>(const_cast<void*>(chunk.values));
    for (int64_t t = 0; t < round_up(chunk.slots, kLane); ++t) {
      const bool there = t < chunk.slots;
      const float* const key = qkv + (first + t) * stride + (heads_ + head) * d_;
      float* const tile = keys + t / kLane * kLane * d_ + t % kLane;
      for (int64_t i = 0; i < d_; ++i) tile[i * kLane] = there ? key[i] : 0;
      float* const row = values + t * padded;
      for (int64_t i = 0; i < padded; ++i) row[i] = there && i < d_ ? key[kv_heads_ * d_ + i] : 0;
    }
  });
  if (!all) check_abort(stop);
}

void TextAttention::run(const float* qkv, int64_t stride, int64_t texts, int64_t from, float* out, int64_t out_stride,
                        const Statistics& statistics, zs_call* stop) {
  pack(qkv, stride, texts, stop);
  const int32_t group = heads_ / kv_heads_, unit_rows = rows_per_unit(group);
  const int64_t first_block = from / unit_rows, blocks = (tokens_ + unit_rows - 1) / unit_rows - first_block;
  const int64_t scratch = rows_scratch(group, d_), lists = texts * kv_heads_;
  engine_.work.threads.need(scratch * engine_.pool.threads());
  const bool all = engine_.pool.run(lists * blocks, stop, [&](int64_t unit, int thread) {
    // The last rows see most: they go first, so that no thread is left with a long one.
    const int64_t list = unit % lists, block = first_block + blocks - 1 - unit / lists;
    const int64_t text = list / kv_heads_, head = list % kv_heads_ * group;
    RowsTask task{};
    task.chunks = chunks_.data() + list * chunk_count_;
    task.row = std::max(from, block * unit_rows);
    task.rows = static_cast<int32_t>(std::min(tokens_, (block + 1) * unit_rows) - task.row);
    task.chunk_count = static_cast<int32_t>((task.row + task.rows - 1) / kChunk + 1);
    task.q = qkv + (text * tokens_ + task.row) * stride + head * d_;
    task.q_head = d_, task.q_row = stride;
    task.group = group, task.d = d_, task.scale = scale_;
    task.out = out + (text * tokens_ + task.row) * out_stride + head * d_;
    task.out_head = d_, task.out_row = out_stride;
    if (statistics.highest) {
      const int64_t at = head * tokens_ + task.row;
      task.highest = statistics.highest + at, task.inverse = statistics.inverse + at;
      task.moment = statistics.moment ? statistics.moment + at : nullptr;
      task.stat_stride = tokens_;
    }
    task.scratch = engine_.work.threads.data() + thread * scratch;
    task.abort = stop ? &stop->abort : nullptr;
    engine_.attention->rows(task);
    for (int32_t h = 0; h < group; ++h)
      for (int32_t r = 0; r < task.rows; ++r) {
        if (all_finite(task.q + h * d_ + r * stride, d_)) continue;
        const float none = std::numeric_limits<float>::quiet_NaN();
        std::fill_n(task.out + h * d_ + r * out_stride, d_, none);
        if (task.inverse) task.inverse[h * tokens_ + r] = none;
      }
  });
  if (!all) check_abort(stop);
  check_abort(stop);
}

}  // namespace zs
