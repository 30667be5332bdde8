// Every constant that speed depends on and results do not.
#ifndef ZSLAB_CUDA_TUNING_H
#define ZSLAB_CUDA_TUNING_H

namespace zs::cuda {

// Decode attention. On an H200 four stages in flight were slower than two (601 against 417 us), docs/cuda.md.
constexpr int kDecodeThreads = 128;
constexpr int kDecodeStage = 64;  // slots that are copied to shared memory at once
constexpr int kDecodeStages = 2;

constexpr int kMergeThreads = 128;

}  // namespace zs::cuda
#endif
