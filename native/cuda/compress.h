// The first compression of a prompt, once it is known who is kept (cuda/select.h): who stays comes to the slots of the open segment, and who
// leaves into merged slots. Bits and decisions are those of policies/regions.h (compress) and policies/zsmerge.h (seed_group, merge_rest).
#ifndef ZSLAB_CUDA_COMPRESS_H
#define ZSLAB_CUDA_COMPRESS_H

#include <string>

#include "core/kernels.h"
#include "cuda/gpu.h"
#include "cuda/merging.h"

namespace zs::cuda {

// Of one kv head. All that it points at lies in device memory, nothing of what is written in what is read; tiles of keys are whole
// (KeyChunk::last = kLane), and all chunks but the last of a list are full.
struct CompressTask {
  const KeyChunk* tokens;  // of the prompt, in order
  int32_t count;           // tokens
  // Who stays, in the order of slots: tokens [0, sink), best[0, context), the last `recent`.
  int32_t sink, context, recent;
  const int32_t* best;
  const int32_t* rest;  // [rest_count]: who leaves, ascending; by similarity without the seeds
  int32_t rest_count;
  const KeyChunk *open, *merged;  // out: slots of the open segment; merged ones, float32
  int32_t residual;               // merged slots; 0 = who leaves is dropped
  const float* scores;            // [count], the head's own
  // By similarity. Tokens [residual] that seed merged slots, in any order: they are put in order of position.
  int32_t* seeds;
  float *weights, *merged_scores;  // out: [residual]
  int32_t* targets;                // out: [rest_count]: the merged slot that each joins
  float* similarities;             // out: likewise, how much they are alike
  int32_t* order;                  // scratch, [residual]
};

struct CompressShape {
  int32_t storage, d;          // zs_storage of the prompt
  int32_t slots, residual;     // the most of a task: who stays, merged slots
  bool by_similarity, by_age;  // by_age: scores mean nothing
  MergeShape merging;
};

// Who stays: one launch for all of `tasks`, in device memory. → what was wrong; empty = launched. So do the others.
std::string keep_tokens(const CompressTask* tasks, int32_t count, const CompressShape& shape, gpu::Stream stream);
// Merged slots from runs of who leaves, as equal as can be: one launch.
std::string merge_runs(const CompressTask* tasks, int32_t count, const CompressShape& shape, gpu::Stream stream);
// Merged slots by similarity: those of rest [begin, end) join; with begin = 0 the seeds come first. One launch, one after another.
std::string merge_alike(const CompressTask* tasks, int32_t count, const CompressShape& shape, int32_t begin,
                        int32_t end, gpu::Stream stream);

}  // namespace zs::cuda
#endif
