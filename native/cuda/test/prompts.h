// Random prompts and turns of one or several sequences, and their attention by native/cpu: what tests of kernels of many rows start from.
#ifndef ZSLAB_CUDA_TEST_PROMPTS_H
#define ZSLAB_CUDA_TEST_PROMPTS_H

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cuda/test/twins.h"
#include "cuda/tuning.h"

namespace zs::twins {

struct Page {
  KeyChunk chunk;  // without pointers
  Bytes keys, values;
  std::vector<float> bias;

  int32_t key_storage() const { return chunk.float_keys ? static_cast<int32_t>(ZS_F32) : chunk.storage; }
  KeyChunk here() const {
    KeyChunk one = chunk;
    one.keys = keys.data();
    one.values = values.data();
    one.bias = bias.empty() ? nullptr : bias.data();
    return one;
  }
  KeyChunk there(Twins& twins) const {
    KeyChunk one = chunk;
    one.keys = twins.of(keys).device;
    one.values = twins.of(values).device;
    one.bias = bias.empty() ? nullptr : twins.of(bias).device;
    return one;
  }
};

// One kv head of one sequence.
struct Sequence {
  int32_t group, d, tokens, first_causal;
  std::vector<Page> pages;
  std::vector<float> q;  // [group][tokens][d]

  const float* query(int64_t g, int64_t row) const { return q.data() + (g * tokens + row) * d; }
  std::vector<KeyChunk> chunks_here() const {
    std::vector<KeyChunk> chunks;
    for (const Page& page : pages) chunks.push_back(page.here());
    return chunks;
  }
  std::vector<KeyChunk> chunks_there(Twins& twins) const {
    std::vector<KeyChunk> chunks;
    for (const Page& page : pages) chunks.push_back(page.there(twins));
    return chunks;
  }
  // f(page, slot) for all that a row sees.
  template <class F>
  void each_seen(int64_t row, F f) const {
    int64_t own = 0;
    for (size_t c = 0; c < pages.size(); ++c)
      for (int32_t slot = 0; slot < pages[c].chunk.slots; ++slot)
        if (static_cast<int32_t>(c) < first_causal || own++ <= row) f(pages[c], slot);
  }
  // As attend_rows of core/prefill.cpp does: out [group][tokens][d], highest and inverse [group][tokens].
  void attend(const AttentionKernels& cpu, float scale, float* out, float* highest, float* inverse) const {
    const std::vector<KeyChunk> chunks = chunks_here();
    std::vector<float> scratch(static_cast<size_t>(rows_scratch(group, d)));
    RowsTask task{};
    task.chunks = chunks.data();
    task.chunk_count = static_cast<int32_t>(chunks.size());
    task.first_causal = first_causal;
    task.q_head = task.out_head = static_cast<int64_t>(tokens) * d;
    task.q_row = task.out_row = task.d = d;
    task.group = group;
    task.scale = scale;
    task.stat_stride = tokens;
    task.scratch = scratch.data();
    for (int32_t row = 0; row < tokens; row += task.rows) {
      task.row = row;
      task.rows = std::min(tokens - row, rows_per_unit(group));
      task.q = query(0, row);
      task.out = out + static_cast<int64_t>(row) * d;
      task.highest = highest + row;
      task.inverse = inverse + row;
      cpu.rows(task);
    }
    const auto finite = [](float x) { return std::isfinite(x); };
    for (int64_t i = 0; i < static_cast<int64_t>(group) * tokens; ++i) {
      if (std::all_of(q.data() + i * d, q.data() + (i + 1) * d, finite)) continue;
      inverse[i] = std::numeric_limits<float>::quiet_NaN();
      std::fill_n(out + i * d, d, inverse[i]);
    }
  }
};

struct Prompts {
  int32_t storage, group, d;
  bool floats, wild;  // numbers that are none among the queries
  float scale;
  std::vector<Sequence> sequences;

  // Short ones: cases are many. `turns`: with what came before.
  Prompts(test::Random& random, bool turns) {
    constexpr int32_t kStorages[] = {ZS_F32, ZS_F16, ZS_BF16}, kDims[] = {64, 128, 80, 96, 256, 2, 18, 32};
    storage = random.of(kStorages);
    const bool float_keys = storage != ZS_F32 && random.one_in(4);
    group = random.upto(1, cuda::kMostGroup);
    d = random.one_in(2) ? random.of(kDims) : 16;
    scale = 1 / std::sqrt(static_cast<float>(d));
    wild = random.one_in(16);
    const bool merges = turns && random.one_in(4);
    floats = float_keys || merges;
    // Products of queries' and keys' numbers in a sequence: few are long.
    const int64_t most = (int64_t{1} << (random.one_in(16) ? 21 : 17)) / (d * group);
    sequences.resize(static_cast<size_t>(random.one_in(3) ? random.upto(2, 3) : 1));
    for (Sequence& one : sequences) {
      one.group = group;
      one.d = d;
      const int32_t before = turns && random.one_in(2) ? random.upto(1, 2) : 0;
      for (int32_t c = 0; c < before; ++c) {
        const bool merged = merges && c == 0;
        add(random, one, slots_of(random), merged ? static_cast<int32_t>(ZS_F32) : storage, float_keys && !merged,
            merged || random.one_in(4));
      }
      one.first_causal = before;
      constexpr int kEdges[] = {1, 2, 15, 16, 17, 63, 64, 65, 255, 256, 257, 511, 512};
      one.tokens = random.one_in(2) ? random.of(kEdges) : random.upto(1, 100);
      const int64_t seen = before * kChunk / 2;
      while (one.tokens > 1 && one.tokens * (one.tokens / 2 + seen) > most)
        one.tokens = one.tokens / 2 + one.tokens % 2;
      for (int32_t from = 0; from < one.tokens; from += kChunk)
        add(random, one, std::min(one.tokens - from, kChunk), storage, float_keys, random.one_in(16));
      one.q.resize(static_cast<size_t>(group) * one.tokens * d);
      for (float& x : one.q) x = 4 * random.element();
      if (wild) one.q[random.next() % one.q.size()] = random.one_in(2) ? NAN : INFINITY;
    }
  }

 private:
  void add(test::Random& random, Sequence& one, int32_t slots, int32_t of, bool float_keys, bool weighed) const {
    Page page{};
    page.chunk.slots = slots;
    page.chunk.storage = of;
    page.chunk.float_keys = float_keys;
    const int64_t whole = round_up(slots, kLane), padded = round_up(d, kLane);
    page.keys.resize(static_cast<size_t>(whole * d * (page.key_storage() == ZS_F32 ? 4 : 2)));
    page.values.resize(static_cast<size_t>(slots * padded * (of == ZS_F32 ? 4 : 2)));
    for (int64_t s = 0; s < whole; ++s)
      for (int64_t i = 0; i < d; ++i)
        put(page.keys, key_at(s, i, d, page.key_storage()), 4 * random.element(), page.key_storage());
    for (int64_t s = 0; s < slots; ++s)
      for (int64_t i = 0; i < padded; ++i) put(page.values, s * padded + i, i < d ? 4 * random.element() : 0, of);
    page.bias.resize(static_cast<size_t>(weighed ? whole : 0));
    for (float& x : page.bias) x = random.one_in(4) ? static_cast<float>(3 * random.unit()) : 0;
    one.pages.push_back(std::move(page));
  }
};

}  // namespace zs::twins
#endif
