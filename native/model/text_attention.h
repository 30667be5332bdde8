// Causal attention of texts that are read whole, one layer at a time and without a cache: keys and values packed as kernels read them.
#ifndef ZSLAB_MODEL_TEXT_ATTENTION_H
#define ZSLAB_MODEL_TEXT_ATTENTION_H

#include <vector>

#include "core/buffer.h"
#include "core/engine.h"
#include "core/kernels.h"
#include "zslab/model.h"

namespace zs {

class TextAttention {
 public:
  // For at most `texts` texts of `tokens` each.
  TextAttention(zs_engine& engine, const zs_model_config& config, int64_t texts, int64_t tokens);

  // Of each row of the first text, [heads][tokens]: what RowsTask says. nullptr = not wanted.
  struct Statistics {
    float *highest = nullptr, *inverse = nullptr, *moment = nullptr;
  };

  // Rows [from, tokens) of each of `texts` texts: qkv [texts * tokens][stride], rotated; out [texts * tokens][out_stride].
  void run(const float* qkv, int64_t stride, int64_t texts, int64_t from, float* out, int64_t out_stride,
           const Statistics& statistics, zs_call* stop);

  // Of the last run's first text: keys and values of a kv head, in chunks of kChunk tokens.
  const KeyChunk* chunks(int64_t kv_head) const { return chunks_.data() + kv_head * chunk_count_; }
  float scale() const { return scale_; }

 private:
  void pack(const float* qkv, int64_t stride, int64_t texts, zs_call* stop);

  zs_engine& engine_;
  const int32_t heads_, kv_heads_, d_;
  const int64_t tokens_, chunk_count_;
  const float scale_;
  Buffer keys_, values_;          // [texts][kv_heads][chunks of kChunk tokens]
  std::vector<KeyChunk> chunks_;  // [texts][kv_heads][chunk_count_]
};

}  // namespace zs
#endif
