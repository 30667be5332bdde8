// Every constant that speed depends on and results do not.
#ifndef ZSLAB_CUDA_TUNING_H
#define ZSLAB_CUDA_TUNING_H

#include <cstdint>

namespace zs::cuda {

// What kernels are made for; more is refused.
constexpr int kMostGroup = 8, kMostDim = 256, kMostNormed = 32768;

// Decode attention. On an H200 four stages in flight were slower than two (601 against 417 us), docs/cuda.md.
constexpr int kDecodeThreads = 128;
constexpr int kDecodeStage = 64;  // slots that are copied to shared memory at once
constexpr int kDecodeStages = 2;
constexpr int kMostDecodeBlocks = 7;  // of a multiprocessor, where groups are large: more would leave too few registers

// Attention of many rows: queries of a block, all heads of a group together, and slots whose keys or values are in shared memory at once. Each
// thread has four queries and four slots. Above 128 dims there is room for half the queries.
constexpr int kRowsStage = 64;
constexpr int rows_queries(int d) { return d <= 128 ? 64 : 32; }
constexpr int rows_threads(int queries) { return queries / 4 * (kRowsStage / 4); }
// Floats from one dim of all queries to the next in shared memory: 8 dims of 4 queries, which a warp writes at once, lie in different banks.
constexpr int rows_pitch(int queries) { return queries + 4; }

// Column sums: queries of a block at once. Decays of one chunk share the probabilities; each takes shared memory.
constexpr int kColumnsQueries = 64, kMostFades = 8;

// Selection: a warp for each value of four bits.
constexpr int kSelectThreads = 512;
constexpr int kSelectKept = 16384;   // scores that are kept in shared memory, so that they are read once
constexpr int kSelectSorted = 4096;  // those taken that are sorted there at once; a power of two

// Bytes of shared memory that a block can have on every architecture (sm_80 has the fewest).
constexpr int kMostShared = 163 << 10;
constexpr int kSharedOfAll = 227 << 10;  // of a multiprocessor, from sm_90 on

constexpr int kMergeThreads = 128;

// Merging: half of the threads have one merged slot each, whose keys are in shared memory.
constexpr int kMergingThreads = 128, kMergingStage = 64;

constexpr int kUpkeepThreads = kMergingThreads;
constexpr int kUpkeepBlocks =
    6;  // a multiprocessor: shared memory has room for no more, and registers for six without a spill

// A prompt's first compression: tokens whose keys are in shared memory at once, and dims of a block that makes a merged slot of a run of
// them; half of the threads add up keys, half values.
constexpr int kCompressThreads = kMergingThreads, kRunStage = 64, kRunDims = 64;
constexpr int kRunBlocks = 8, kAlikeBlocks = 6;  // of a multiprocessor: registers for more would be spilled
// By similarity tokens join one after another, so that one launch is of so many stages of merged slots' keys: nothing stops it.
constexpr int kAlikeStages = 4096;

constexpr int kAppendThreads = 128;  // a warp a token of a kv head

// Rows of a model: a block a row where its sum is needed.
constexpr int kNormThreads = 256;
constexpr int kRowThreads = 128;
constexpr int kLogitsThreads = 512;

// Products of few rows: what is under way of each output is (stages - 1) * bytes. 32 outputs a block spread a small matrix over more
// multiprocessors; of a large one 64 read the rows' inputs half as often.
constexpr int kProductBytes = 256;  // of an output's weights in a stage
constexpr int kProductStages = 4;
constexpr int kManyOutputs = 16384;

// A token's whole step in one launch: a block a multiprocessor, since all of them meet at each barrier. Inputs of a product lie in shared memory
// as a whole.
constexpr int kStepThreads = 128, kStepBlocks = 1, kStepDim = 128, kStepInputs = 16384;
// Whether it is taken, by estimates that no GPU has confirmed yet: eleven launches of a graph are each 0.5 us and what multiprocessors idle at
// their ends, some 16 us a layer; six barriers of about 1 us are 6 us, and weights are fetched across them. What that saves, 10 us, is the time
// of 40 MB. Of larger layers, and of attention over more chunks than there are blocks, launches of their own keep more bytes under way.
constexpr bool steps_at_once(int64_t layer_bytes, int64_t chunks, int32_t blocks) {
  return layer_bytes <= int64_t{32} << 20 && chunks <= blocks;
}

// Bytes between key tiles in shared memory, so that two of them, which a warp reads at once, lie in different banks.
constexpr int kTileGap = 64;

}  // namespace zs::cuda
#endif
