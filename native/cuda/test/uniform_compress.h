// First compressions of prompts that are all alike, in device memory: of which bytes and sectors can be predicted. Who stays, and each run of
// who leaves, are whole tiles, one after another.
#ifndef ZSLAB_CUDA_TEST_UNIFORM_COMPRESS_H
#define ZSLAB_CUDA_TEST_UNIFORM_COMPRESS_H

#include <numeric>
#include <string>
#include <vector>

#include "cuda/compress.h"
#include "cuda/test/arrays.h"
#include "cuda/tuning.h"

namespace zs::cuda {

struct UniformCompressShape {
  int32_t storage;  // zs_storage
  int heads, d;
  int tokens, kept, merged;  // of a head; half of who stays is recent
  static constexpr int group = 1;

  int64_t element() const { return storage == ZS_F32 ? 4 : 2; }
  int64_t padded() const { return round_up(d, kLane); }
  int64_t rest() const { return tokens - kept; }
  // Who stays is read and written.
  int64_t keep_bytes() const { return heads * kept * 2 * (d + padded()) * element(); }
  // Who leaves is read once, its number and score once a block of dims; merged slots are written.
  int64_t run_bytes() const {
    const int64_t blocks = (d + kRunDims - 1) / kRunDims;
    return heads * (rest() * ((d + d) * element() + blocks * 8) + merged * 2 * d * 4);
  }
  // Of each token that joins its key and value, and of the slot that it joins both, read and written; also, by each warp, where these lie,
  // their scores and the slot's weight. Seeds are copied, and their keys come to shared memory once.
  int64_t alike_bytes() const {
    const int64_t joins = rest() - merged;
    return heads * (joins * (2 * d * element() + 2 * 2 * d * 4 + kCompressThreads / 32 * (4 * 8 + 4 * 4)) +
                    merged * (2 * d * element() + 2 * d * 4 + d * 4));
  }
  // A slot's key is spread over its tile, dim by dim or, in bfloat16, by pairs: as many sectors, not so few as its bytes could take.
  int64_t spread(int32_t of) const { return of == ZS_F32 ? d - d * 4 / 32 : (of == ZS_BF16 ? d / 2 : d) - d * 2 / 32; }
  int64_t run_more_sectors() const { return heads * merged * spread(ZS_F32); }
  int64_t alike_more_sectors() const {
    return heads * (rest() * spread(storage) + (2 * (rest() - merged) + merged) * spread(ZS_F32));
  }
  // In shared memory, too, 32 dims of a key lie in two banks: 16 passes, where one would do.
  int64_t alike_more_passes() const { return heads * (rest() - merged) * (d / 32) * 15; }
};

class UniformCompress {
 public:
  UniformCompress(const UniformCompressShape& shape, bool by_similarity) : shape_(shape) {
    how_.storage = shape.storage;
    how_.d = shape.d;
    how_.slots = shape.kept;
    how_.residual = shape.merged;
    how_.by_similarity = by_similarity;
    const int seeds = by_similarity ? shape.merged : 0, recent = shape.kept / 2;
    std::vector<CompressTask> tasks;
    for (int h = 0; h < shape.heads; ++h) {
      CompressTask task{};
      task.count = shape.tokens;
      task.recent = recent;
      task.context = shape.kept - recent;
      task.residual = shape.merged;
      task.rest_count = static_cast<int32_t>(shape.rest()) - seeds;
      task.tokens = chunks(shape.tokens, shape.storage);
      task.open = chunks(shape.kept, shape.storage);
      task.merged = chunks(shape.merged, ZS_F32);
      task.scores = reinterpret_cast<float*>(arrays_.filled(int64_t{shape.tokens} * 4));
      // The first tokens are chosen; those after them leave, the first of these as seeds.
      std::vector<int32_t> list(static_cast<size_t>(shape.tokens));
      std::iota(list.begin(), list.end(), 0);
      int32_t* const there = arrays_.list(list);
      task.best = there;
      task.rest = there + task.context + seeds;
      task.seeds = arrays_.list(std::vector<int32_t>(list.begin() + task.context, list.begin() + task.context + seeds));
      task.order = arrays_.room<int32_t>(seeds);
      task.weights = arrays_.room<float>(seeds);
      task.merged_scores = arrays_.room<float>(seeds);
      task.targets = arrays_.room<int32_t>(task.rest_count);
      task.similarities = arrays_.room<float>(task.rest_count);
      tasks.push_back(task);
    }
    tasks_ = arrays_.list(tasks);
  }

  std::string keep(gpu::Stream stream) const { return keep_tokens(tasks_, shape_.heads, how_, stream); }
  std::string runs(gpu::Stream stream) const { return merge_runs(tasks_, shape_.heads, how_, stream); }
  std::string alike(gpu::Stream stream) const {
    return merge_alike(tasks_, shape_.heads, how_, 0, static_cast<int32_t>(shape_.rest()), stream);
  }

 private:
  const KeyChunk* chunks(int slots, int32_t storage) {
    const int64_t element = storage == ZS_F32 ? 4 : 2;
    std::vector<KeyChunk> list;
    for (int from = 0; from < slots; from += kChunk)
      list.push_back({arrays_.filled(kChunk * shape_.d * element), arrays_.filled(kChunk * shape_.padded() * element),
                      nullptr, std::min(kChunk, slots - from), storage});
    return arrays_.list(list);
  }

  UniformCompressShape shape_;
  CompressShape how_{};
  Arrays arrays_;
  CompressTask* tasks_;
};

}  // namespace zs::cuda
#endif
