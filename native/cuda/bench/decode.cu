// Decode attention on a GPU, as shares of what a copy of device memory reaches in the same run (bytes read and written): one JSON object a
// line. Keys and values are bfloat16 and uniform; exponentials are written, as scores need them. Predicted bytes are K and V, each once.
#include <algorithm>
#include <cstdio>
#include <vector>

#include "cuda/bench/clock.h"
#include "cuda/test/uniform.h"

namespace {

using namespace zs::bench;
using zs::cuda::Uniform;
using zs::cuda::UniformShape;

// GB/s of the best of ten copies, read and written.
double copy_bandwidth(Clock& clock) {
  constexpr size_t kBytes = size_t{1} << 30;
  void* const from = zs::gpu::allocate(kBytes);
  void* const to = zs::gpu::allocate(kBytes);
  if (!from || !to) must(cudaErrorMemoryAllocation, "a copy");
  must(cudaMemset(from, 1, kBytes), "filling");
  double best = 0;
  for (int i = 0; i < 10; ++i)
    best = std::max(best, 2e-3 * static_cast<double>(kBytes) / clock.of([&] {
      must(cudaMemcpyAsync(to, from, kBytes, cudaMemcpyDeviceToDevice, clock.stream), "a copy");
    }));
  zs::gpu::release(from);
  zs::gpu::release(to);
  return best;
}

void step(const Uniform& work, cudaStream_t stream) {
  must(work.decode(stream));
  must(work.merge(stream));
}

Uniform* made(const UniformShape& shape) {
  auto* const work = new Uniform(shape);
  if (!work->there()) must(cudaErrorMemoryAllocation, "a cache");
  return work;
}

// More than 256 MB a launch.
void large(Clock& clock, int group, int d) {
  UniformShape shape{ZS_BF16, 16, 8, group, d, 0};
  shape.slots = static_cast<int>((int64_t{320} << 20) / (shape.heads() * d * 4)) / zs::kChunk * zs::kChunk;
  const Uniform* const work = made(shape);
  step(*work, clock.stream);
  std::vector<double> times, shares;
  for (int i = 0; i < 11; ++i) times.push_back(clock.of([&] { step(*work, clock.stream); }));
  delete work;
  const double copy = copy_bandwidth(clock);
  for (const double us : times) shares.push_back(static_cast<double>(shape.cache_bytes()) * 1e-3 / us / copy);
  const Spread share = spread_of(shares), us = spread_of(times);
  std::printf(
      "{\"bench\":\"decode\",\"storage\":\"bfloat16\",\"group\":%d,\"headDim\":%d,\"slots\":%d,\"kvHeads\":%d,"
      "\"batch\":%d,"
      "\"bytes\":%lld,\"us\":[%.2f,%.2f,%.2f],\"copyGBs\":%.0f,\"share\":[%.3f,%.3f,%.3f]}\n",
      group, d, shape.slots, shape.kv_heads, shape.sequences, static_cast<long long>(shape.cache_bytes()), us.low,
      us.median, us.high, copy, share.low, share.median, share.high);
}

// One sequence, 32 query heads on 4 kv heads: as a graph over sets of together more than any cache holds.
void single(Clock& clock, int slots) {
  const UniformShape shape{ZS_BF16, 1, 4, 8, 128, slots};
  const int sets = static_cast<int>((int64_t{400} << 20) / shape.cache_bytes()) + 1;
  std::vector<Uniform*> works;
  for (int i = 0; i < sets; ++i) works.push_back(made(shape));
  step(*works[0], clock.stream);  // what a first launch sets up is no part of a graph
  cudaGraph_t graph;
  cudaGraphExec_t ready;
  must(cudaStreamBeginCapture(clock.stream, cudaStreamCaptureModeThreadLocal), "a graph");
  for (const Uniform* work : works) step(*work, clock.stream);
  must(cudaStreamEndCapture(clock.stream, &graph), "a graph");
  must(cudaGraphInstantiate(&ready, graph, 0), "a graph");
  std::vector<double> times;
  for (int i = 0; i < 12; ++i) {
    const double us = clock.of([&] { must(cudaGraphLaunch(ready, clock.stream), "a graph"); }) / sets;
    if (i) times.push_back(us);
  }
  const Spread us = spread_of(times);
  std::printf(
      "{\"bench\":\"single\",\"storage\":\"bfloat16\",\"group\":8,\"headDim\":128,\"slots\":%d,\"bytes\":%lld,"
      "\"us\":[%.2f,%.2f,%.2f]}\n",
      slots, static_cast<long long>(shape.cache_bytes()), us.low, us.median, us.high);
  cudaGraphExecDestroy(ready);
  cudaGraphDestroy(graph);
  for (const Uniform* work : works) delete work;
}

}  // namespace

int main() {
  Clock clock;
  for (const int d : {64, 128})
    for (const int group : {1, 3, 4, 8}) large(clock, group, d);
  for (const int slots : {1024, 4096}) single(clock, slots);
  prompts(clock);
  return 0;
}
