// Kernels for test/words.cpp: every word of gpu.h once, in the shapes that kernels use.
#ifndef ZSLAB_CUDA_TEST_WORDS_H
#define ZSLAB_CUDA_TEST_WORDS_H

#include <string>

#include "cuda/gpu.h"

namespace zs::words {

constexpr int kThreads = 64;

// out [8][64]: of each thread t what __shfl_sync brings of lane 5; __shfl_xor_sync of t ^ 3; __shfl_down_sync by 4 in groups of 16; bits of
// __ballot_sync of t % 3 == 0; blockIdx.x + gridDim.x * blockDim.x; a number that went through shared memory; the same after __syncwarp;
// __popc of t << 20.
std::string exchanges(int* out, gpu::Stream stream);
// out [64][4] = in [64][4], by asynchronous copies in two groups.
std::string copies(const float* in, float* out, gpu::Stream stream);
// The same by accesses of 8 and 16 bytes.
std::string wides(const float* in, float* out, gpu::Stream stream);
// Blocks that can be alive at once. out, numbers [blocks][64]: thread t of a block begins with its place in them; in a round it takes one more
// than what thread 63 - t of the block before it had.
std::string most_passed_on(int& blocks);
std::string passed_on(int blocks, int rounds, int* numbers, int* out, gpu::Stream stream);
// out [65536]: every float16, widened.
std::string halves(float* out, gpu::Stream stream);
// out [count]: exp_of the floats whose bits are first, first + step, …
std::string exponentials(uint32_t first, uint32_t step, int count, float* out, gpu::Stream stream);

}  // namespace zs::words
#endif
