// A prompt in one layer, read in order as its rows come, so that whoever makes them need not hold them all: scores are made as they come,
// of queries only those stay that forks may want, and keys and values go straight into the layer's pages.
#ifndef ZSLAB_CORE_PROMPT_H
#define ZSLAB_CORE_PROMPT_H

#include <memory>
#include <optional>

#include "core/turning.h"

namespace zs {

constexpr int64_t kPromptRows = 1024;  // rows at a time of those who stream
static_assert(kPromptRows % kChunk == 0, "rows come in whole chunks of slots");

// The caller holds engine->busy. Until `finish` is done the cache's layers are as they were; a prompt given up leaves it so.
class Prompt {
 public:
  Prompt(zs_cache& cache, int32_t layer, int64_t tokens, int64_t share_of, zs_call* call, bool report);

  // The next `count` rows, their number a multiple of kChunk but for the last: views of the first of them.
  void rows(zs_view q, zs_view k, zs_view v, int64_t count, zs_view out);
  // After the last row: scores and the first compression.
  void finish();

 private:
  void write(zs_view k, zs_view v, int64_t count);
  void keep(zs_view q, int64_t count, const RowStatistics& statistics);

  zs_cache& cache_;
  const int32_t index_;
  const int64_t tokens_, share_of_;
  zs_call* const call_;
  struct Undo {  // of the cache's needs, should the prompt be given up
    zs_cache& cache;
    const Needs before;
    bool armed = true;
    ~Undo() {
      if (armed) cache.needs = before;
    }
  } undo_;
  const Progress progress_;
  Layer made_;
  PageList list_;
  std::optional<TurnedRows> turned_;     // of keys that are kept before rotation
  std::vector<PromptSums> sums_;         // one, of the rows that came
  std::shared_ptr<KeptQueries> kept_;    // of the last rows, as many as the cache is asked to keep; filled as they come
  std::shared_ptr<RecordBlock> record_;  // of its rows, where they are recorded
  Buffer statistics_;                    // of the rows under way
  Buffer taken_;  // of each thread, a chunk's keys and values as the policy takes them; where it does
  int64_t read_ = 0;
  bool on_cpu_ = false;  // no device has taken its rows, so none is asked again
  BadQuery bad_;
};

}  // namespace zs
#endif
