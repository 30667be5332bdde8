// Keys that are kept before rotation, read (hook `positions`, Needs::rotates): copies turned to where the policy says that they stand,
// beside queries turned alike. Caches whose policy does not rotate never come here. Included only by core/*.cpp.
#ifndef ZSLAB_CORE_TURNING_H
#define ZSLAB_CORE_TURNING_H

#include "core/work.h"

namespace zs {

// ---- one token

// Room for one token more than the layer holds; throws std::bad_alloc.
void need_turning(const zs_cache& cache, const Layer& layer);
// Before the token stands in its heads: where it and every slot stand. Returns its queries, turned. Has room after need_turning.
zs_view turn_step(zs_cache& cache, int32_t index, Layer& layer, zs_view q);
// Chunk `c` of kv head `kv_head`, turned into the thread's scratch.
KeyChunk turned_chunk(const zs_cache& cache, int64_t kv_head, int32_t c, const KeyChunk& chunk, int thread);

// ---- rows of a prompt or turn

// Turned copies of a list's keys, which stand in the list instead of them while this lives.
class TurnedRows {
 public:
  // `layer`'s slots, and `tokens` rows after them, whose keys need not be there yet.
  TurnedRows(zs_cache& cache, int32_t index, Layer& layer, PageList& list, int64_t tokens);
  // Rows [from, from + count), whole chunks but for the last, have their keys; with the first all slots are turned, too. Returns views of
  // their queries, turned, row `from` first.
  zs_view rows(zs_view q, int64_t from, int64_t count, zs_call* call);

 private:
  zs_cache& cache_;
  const PageList& list_;
  const std::vector<KeyChunk> kept_;  // the list's own
  std::vector<int32_t> places_;       // [pages][kChunk]
  std::vector<int32_t> first_;        // of each kv head: where row 0 stands
  Buffer keys_, queries_;
};

}  // namespace zs
#endif
