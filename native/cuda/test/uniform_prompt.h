// Rows of a prompt or turn in caches that are all alike, in device memory: what benches time, and of which bytes can be predicted.
#ifndef ZSLAB_CUDA_TEST_UNIFORM_PROMPT_H
#define ZSLAB_CUDA_TEST_UNIFORM_PROMPT_H

#include <algorithm>
#include <string>
#include <vector>

#include "cuda/column_sums.h"
#include "cuda/prefill_attention.h"
#include "cuda/test/arrays.h"

namespace zs::cuda {

constexpr int kColumnsSlots = 64;  // of a block

struct UniformPromptShape {
  int32_t storage;  // zs_storage
  int heads;        // kv heads of all sequences
  int group, d;
  int before, tokens;  // slots in front, in whole chunks, and rows

  int64_t element() const { return storage == ZS_F32 ? 4 : 2; }
  int64_t slot_bytes() const { return (d + round_up(d, kLane)) * element(); }
  int64_t blocks() const {
    const int64_t most = prefill_rows(group, d);
    return (tokens + most - 1) / most;
  }
  // f(row, rows, slots that they see together) of each block of a kv head.
  template <class F>
  void each_block(F f) const {
    for (int row = 0; row < tokens; row += prefill_rows(group, d)) {
      const int rows = std::min(prefill_rows(group, d), tokens - row);
      f(row, rows, before + row + rows);
    }
  }
  // All that attention has to move: keys and values once a block of rows, queries in, outputs and statistics out.
  int64_t prefill_bytes() const {
    int64_t bytes = static_cast<int64_t>(group) * tokens * (2 * d + 2) * 4;
    each_block(
        [&](int, int, int64_t slots) { bytes += slots * slot_bytes() + static_cast<int64_t>(sizeof(RowsTask)); });
    return heads * bytes;
  }
  // All that column sums of all rows have to move: keys once, queries and statistics once for kColumnsSlots slots, sums in and out.
  int64_t columns_bytes() const {
    int64_t bytes = 0;
    for (int slot = 0; slot < before + tokens; slot += kColumnsSlots) {
      const int64_t slots = std::min(kColumnsSlots, before + tokens - slot);
      const int64_t rows = tokens - std::max(0, (slot - before) / kChunk * kChunk);
      bytes += slots * (d * element() + 8) + group * rows * (d + 2) * 4 + static_cast<int64_t>(sizeof(ColumnsTask));
    }
    return heads * bytes;
  }
  // Multiplications that are added, of logits and of values.
  int64_t prefill_products() const {
    const int64_t seen = static_cast<int64_t>(tokens) * before + static_cast<int64_t>(tokens) * (tokens + 1) / 2;
    return static_cast<int64_t>(heads) * group * seen * 2 * d;
  }
};

class UniformPrompt {
 public:
  explicit UniformPrompt(const UniformPromptShape& shape) : shape_(shape) {
    const int64_t group = shape.group, d = shape.d, tokens = shape.tokens, heads = shape.heads;
    const int64_t first = shape.before / kChunk, chunks = first + (tokens + kChunk - 1) / kChunk;
    const int64_t slots = chunks * kChunk, padded = round_up(d, kLane), element = shape.element();
    auto* const keys = arrays_.filled(heads * slots * d * element);
    auto* const values = arrays_.filled(heads * slots * padded * element);
    auto* const q = reinterpret_cast<float*>(arrays_.filled(heads * group * tokens * d * 4));
    auto* const out = out_ = arrays_.room<float>(heads * group * tokens * d);
    auto* const statistics = arrays_.room<float>(2 * heads * group * tokens);
    std::vector<KeyChunk> pages;
    for (int64_t c = 0; c < heads * chunks; ++c) {
      KeyChunk page{};
      page.keys = keys + c * kChunk * d * element;
      page.values = values + c * kChunk * padded * element;
      page.slots = static_cast<int32_t>(std::min<int64_t>(kChunk, shape.before + tokens - c % chunks * kChunk));
      page.storage = shape.storage;
      pages.push_back(page);
    }
    pages_ = arrays_.list(pages);
    std::vector<RowsTask> tasks;
    // The last rows see most: they go first.
    for (int64_t block = shape.blocks() - 1; block >= 0; --block)
      for (int64_t h = 0; h < heads; ++h) {
        RowsTask task{};
        task.chunks = pages_ + h * chunks;
        task.chunk_count = static_cast<int32_t>(chunks);
        task.first_causal = static_cast<int32_t>(first);
        task.row = block * prefill_rows(shape.group, shape.d);
        task.rows = static_cast<int32_t>(std::min<int64_t>(tokens - task.row, prefill_rows(shape.group, shape.d)));
        task.q_head = task.out_head = tokens * d;
        task.q_row = task.out_row = task.d = shape.d;
        task.q = q + (h * group * tokens + task.row) * d;
        task.out = out + (h * group * tokens + task.row) * d;
        task.group = shape.group;
        task.scale = 0.125f;
        task.stat_stride = tokens;
        task.highest = statistics + h * group * tokens + task.row;
        task.inverse = task.highest + heads * group * tokens;
        tasks.push_back(task);
      }
    count_ = static_cast<int32_t>(tasks.size());
    tasks_ = arrays_.list(tasks);

    auto* const sums = sums_ = reinterpret_cast<float*>(arrays_.filled(heads * slots * 4));
    std::vector<Fade> fades;
    for (int64_t c = 0; c < heads * chunks; ++c) fades.push_back({1, 0, sums + c * kChunk});
    const Fade* const fades_there = arrays_.list(fades);
    std::vector<ColumnsTask> columns;
    for (int64_t c = 0; c < heads * chunks; ++c) {
      const RowsTask& rows =
          tasks[static_cast<size_t>(heads * (shape.blocks() - 1) + c / chunks)];  // from the first on
      ColumnsTask task{};
      task.chunk = pages[static_cast<size_t>(c)];
      task.causal = c % chunks >= first;
      task.first = task.causal ? (c % chunks - first) * kChunk : 0;
      task.to = tokens;
      task.fades = fades_there + c;
      task.fade_count = 1;
      task.q = rows.q;
      task.q_head = rows.q_head;
      task.q_row = rows.q_row;
      task.group = shape.group;
      task.d = shape.d;
      task.scale = rows.scale;
      task.highest = rows.highest;
      task.inverse = rows.inverse;
      task.stat_stride = tokens;
      columns.push_back(task);
    }
    columns_count_ = static_cast<int32_t>(columns.size());
    columns_ = arrays_.list(columns);
  }

  // Whether there was room for all of it.
  bool there() const { return arrays_.there(); }
  std::string prefill(gpu::Stream stream) const {
    return cuda::prefill(tasks_, count_, {shape_.storage, false, shape_.group, shape_.d}, stream);
  }
  // After prefill().
  std::string columns(gpu::Stream stream) const {
    return cuda::columns(columns_, columns_count_, {shape_.storage, false, shape_.group, shape_.d, 1}, stream);
  }
  // In device memory: [heads][group][tokens][d], and a sum of each slot, chunk by chunk.
  const float* out() const { return out_; }
  const float* sums() const { return sums_; }

 private:
  UniformPromptShape shape_;
  Arrays arrays_;
  float *out_, *sums_;
  KeyChunk* pages_;
  RowsTask* tasks_;
  ColumnsTask* columns_;
  int32_t count_, columns_count_;
};

}  // namespace zs::cuda
#endif
