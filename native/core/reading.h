// Who reads what in one step, and slots copied for the occasion: where a policy chose them (hook `select`; their segments are plain), or
// where they do not lie as kernels read them.
#ifndef ZSLAB_CORE_READING_H
#define ZSLAB_CORE_READING_H

#include <vector>

#include "core/head.h"

namespace zs {

// Query heads [first, first + count) of a kv head's group, which read the same slots of it.
struct Reader {
  int32_t kv_head, first, count;
  const std::vector<int32_t>* list;  // nullptr = all slots
  int64_t stat;                      // where its statistics begin: `count` of each unit
};

// A list is read in pieces of at most kChunk slots of one segment.
int32_t piece_count(const Head& head, const std::vector<int32_t>& list);

struct Piece {
  const Segment* segment;
  const int32_t* slots;   // numbers as of Head
  int32_t count, offset;  // offset: number of the segment's first slot
};
Piece piece_of(const Head& head, const std::vector<int32_t>& list, int32_t index);

// The piece as kernels read it: where it lies, if its slots are whole tiles side by side, else copied to `scratch`.
KeyChunk gather(const Piece& piece, char* scratch);
// Chunk `i` of a segment, which may be made in `scratch`.
KeyChunk chunk_of(const Segment& segment, int32_t i, char* scratch);
int64_t scratch_bytes(const Geometry& widest);  // of either

}  // namespace zs
#endif
