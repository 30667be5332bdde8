// What kv heads were given, with nothing removed: keys and values of every token, the prompt's last queries and all since, and what
// attention made of those. For inspection alone: no policy reads it, and a cache's bytes leave it out.
#ifndef ZSLAB_CORE_RECORD_H
#define ZSLAB_CORE_RECORD_H

#include <memory>
#include <vector>

#include "core/buffer.h"
#include "zslab/record.h"

namespace zs {

struct RecordPlan {
  std::vector<std::vector<int32_t>> heads;  // of each layer: the kv heads that are recorded
  int64_t query_rows = 0;                   // of the prompt
};

// The rows of one call in one layer. Of each recorded kv head, one after another: keys [rows][d], values [rows][d], queries
// [queries][group][d] and outputs [outputs][group][d] of the last rows.
struct RecordBlock {
  int64_t from = 0, rows = 0, queries = 0, outputs = 0;
  Buffer data;
  int64_t head_floats(int64_t group, int64_t d) const { return (2 * rows + group * (queries + outputs)) * d; }
};

// One layer's, in order; copies share blocks, which never change once they are in.
struct Recording {
  struct Part {
    std::shared_ptr<const RecordBlock> block;
    int64_t rows;  // that still count: some may have been taken back
  };
  std::vector<Part> parts;
  std::shared_ptr<RecordBlock> next;  // made beforehand, for a step that cannot fail

  // Room for one more part, so that adding it does not fail; throws std::bad_alloc.
  void reserve() {
    if (parts.size() == parts.capacity()) parts.reserve(2 * parts.size() + 16);
  }
  void forget(int64_t from);  // rows at positions from `from` on; never throws
};

// A block for `rows` rows from position `from` on of layer `layer`, still without content; nullptr where nothing of it is recorded.
std::shared_ptr<RecordBlock> record_block(const zs_cache& cache, int32_t layer, int64_t from, int64_t rows);
// Rows [at, at + count) of the block, which the views begin with.
void record_rows(const zs_cache& cache, int32_t layer, RecordBlock& block, int64_t at, int64_t count, zs_view q,
                 zs_view k, zs_view v, zs_view out);

}  // namespace zs
#endif
