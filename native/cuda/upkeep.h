// What follows the chunks of a decode step's attention, in one launch a layer: what they gave is put together, scores, who leaves, into which
// merged slot, merging, the ring and the new token's place. Bits and decisions are the CPU engine's: core/step.cpp, policies/regions.h
// (victim, why_of, place) and policies/zsmerge.h (target_of, merge_token).
#ifndef ZSLAB_CUDA_UPKEEP_H
#define ZSLAB_CUDA_UPKEEP_H

#include <string>

#include "core/found.h"
#include "core/kernels.h"
#include "cuda/decode_attention.h"
#include "cuda/gpu.h"
#include "cuda/merging.h"

namespace zs::cuda {

struct UpkeepChunk {
  KeyChunk chunk;  // may be written
  const float* e;  // of decode: head g at e + g * e_stride
  int64_t e_stride;
  float* score;  // [slots]
};

// Of one kv head, whose newest token is the last slot. All that it points at lies in device memory; tiles of keys are whole (KeyChunk::last =
// kLane).
struct UpkeepTask {
  MergeTask attention;  // its chunks are all of the head
  // [attention.chunks]: merged slots, float32, are the first `merged`, those of the open segment the others; of each, all but the last are full.
  UpkeepChunk* chunks;
  int32_t merged;
  int32_t from, to;  // slots that may leave, counted over all chunks; nobody does where from = to
  // Below: what is read and written where somebody leaves.
  float *weights, *bias;  // of merged slots, side by side
  int32_t* positions;     // of the open segment's slots, side by side
  // The slot, counted over all chunks, that the next leaver comes from: it takes the place of who left, and the newest token its own. Then
  // the next of [ring_first, ring_end). nullptr: the newest takes the place of who left.
  int32_t* ring;
  int32_t ring_first, ring_end;
  const int32_t* pins;  // positions, ascending, that are never chosen; at least one of [from, to) is none of them
  int32_t pin_count;
  const float* choice;  // of each slot of the open segment, what choices go by; nullptr = the head's own scores
  DecodeTask*
      last;      // of the last chunk: where somebody leaves, both its slots and those of chunks' last go down by one
  Found* found;  // nullptr = nobody wants to know
};

// Heads that choose together go through it twice, with sum_scores between: up to their scores, and from who leaves on.
enum class UpkeepPart : int32_t { kAll, kScores, kLeaving };

struct UpkeepShape {
  UpkeepPart part;
  int32_t storage;  // zs_storage of the open segment
  int32_t group, d;
  float decay;
  bool scores;  // slots' scores are kept up from attention; else they stay
  bool by_age;  // the least position leaves, not the least score
  bool told;    // Found::threshold is wanted
  MergeShape merging;
  float alpha;  // a merged slot's bias is alpha ln weight
};

// One launch for all heads of `tasks`, in device memory. → what was wrong; empty = launched.
std::string upkeep(const UpkeepTask* tasks, int32_t count, const UpkeepShape& shape, gpu::Stream stream);

// Heads that choose together: in their order, as core/prefill.cpp sums them. Their open segments hold the same positions.
struct ChoiceTask {
  const UpkeepTask* heads;
  int32_t count;
  float* choice;  // out: of each slot of the open segment; what the heads' UpkeepTask::choice points at
};
// `chunks`: the most that an open segment of these heads has.
std::string sum_scores(const ChoiceTask* tasks, int32_t count, int32_t chunks, gpu::Stream stream);

}  // namespace zs::cuda
#endif
