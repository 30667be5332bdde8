// What is watched of heads while a text is read (zs_head_watch).
#ifndef ZSLAB_MODEL_WATCH_H
#define ZSLAB_MODEL_WATCH_H

#include <vector>

#include "model/text_pass.h"

namespace zs {

class Watcher {
 public:
  // watch: nullptr = nothing. Throws a sentence where it does not fit the model or the text.
  Watcher(zs_model& model, const zs_head_watch* watch, int64_t tokens, zs_call* stop);

  // In a layer, in this order.
  void projected(int32_t layer, const TextPass& pass);
  TextAttention::Statistics statistics();
  void attended(int32_t layer, const TextPass& pass);

 private:
  void outputs(int64_t at, int32_t head, const TextPass& pass);
  void need_grams(int32_t layer);
  void norms(int64_t at, int32_t head, const TextPass& pass, int thread);
  void patterns(int64_t at, int32_t head, const TextPass& pass);
  void probabilities(int64_t at, int32_t head, const TextPass& pass, int thread);
  void complements(int64_t at, int64_t row, float* given);
  void distances(int64_t at, int64_t row, const float* given);

  zs_model& model_;
  const zs_head_watch* watch_;
  const int64_t tokens_;
  zs_call* stop_;
  std::vector<int64_t> number_;  // [layers * heads]: of the watched heads, -1 = not
  int64_t watched_ = 0;
  Buffer statistics_;          // [3][heads][tokens]
  Buffer grams_;               // [heads]
  std::vector<Buffer> block_;  // of each thread: rows under way
  bool dense_ = false;         // all of a head's probabilities are needed
};

}  // namespace zs
#endif
