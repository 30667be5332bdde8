// Decode attention on a GPU, as shares of what a copy of device memory reaches in the same run (bytes read and written): one JSON object a
// line. Keys and values are bfloat16 and uniform; exponentials are written, as scores need them. Predicted bytes are K and V, each once.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "cuda/decode_attention.h"

namespace {

using zs::round_up;

void must(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}
void must(const std::string& error) {
  if (error.empty()) return;
  std::fprintf(stderr, "%s\n", error.c_str());
  std::exit(1);
}

template <class T>
T* room(size_t count) {
  void* memory = nullptr;
  must(cudaMalloc(&memory, count * sizeof(T)), "device memory");
  return static_cast<T*>(memory);
}

// Halves in [-1, 1) by their place.
__global__ void fill(uint16_t* to, size_t count, uint32_t seed) {
  for (size_t i = blockIdx.x * size_t{blockDim.x} + threadIdx.x; i < count; i += size_t{gridDim.x} * blockDim.x) {
    uint32_t z = static_cast<uint32_t>(i) * 0x9e3779b9u + seed;
    z = (z ^ (z >> 16)) * 0x85ebca6bu;
    z = (z ^ (z >> 13)) * 0xc2b2ae35u;
    to[i] = static_cast<uint16_t>(__float_as_uint(static_cast<float>(static_cast<int32_t>(z)) * 0x1p-31f) >> 16);
  }
}

struct Shape {
  int sequences, kv_heads, group, d, slots;
  int64_t heads() const { return static_cast<int64_t>(sequences) * kv_heads; }
  int chunks() const { return (slots + zs::kChunk - 1) / zs::kChunk; }
  int64_t bytes() const { return heads() * slots * d * 2 * 2; }
};

// All that one launch reads and writes.
class Work {
 public:
  Work(const Shape& shape, uint32_t seed) : shape_(shape) {
    const int64_t group = shape.group, d = shape.d, padded = round_up(d, zs::kLane), chunks = shape.chunks();
    const int64_t slots = chunks * zs::kChunk, heads = shape.heads();
    keys_ = room<uint16_t>(heads * slots * d);
    values_ = room<uint16_t>(heads * slots * padded);
    q_ = room<float>(heads * group * d);
    e_ = room<float>(heads * group * slots);
    stats_ = room<float>(3 * heads * chunks * group);
    partial_ = room<float>(heads * chunks * group * padded);
    out_ = room<float>(heads * group * d);
    fill<<<1024, 256>>>(keys_, heads * slots * d, seed);
    fill<<<1024, 256>>>(values_, heads * slots * padded, seed + 1);
    std::vector<float> q(heads * group * d);
    for (size_t i = 0; i < q.size(); ++i) q[i] = static_cast<float>(i % 17) / 8 - 1;
    must(cudaMemcpy(q_, q.data(), q.size() * sizeof(float), cudaMemcpyHostToDevice), "queries");
    std::vector<zs::DecodeTask> tasks;
    std::vector<zs::cuda::MergeTask> merges;
    for (int64_t h = 0; h < heads; ++h) {
      float* const highest = stats_ + 3 * h * chunks * group;
      float* const sum = highest + chunks * group;
      float* const partial = partial_ + h * chunks * group * padded;
      for (int64_t c = 0; c < chunks; ++c) {
        zs::DecodeTask task{};
        task.chunk.keys = keys_ + (h * slots + c * zs::kChunk) * d;
        task.chunk.values = values_ + (h * slots + c * zs::kChunk) * padded;
        task.chunk.slots = static_cast<int32_t>(std::min<int64_t>(zs::kChunk, shape.slots - c * zs::kChunk));
        task.chunk.storage = ZS_BF16;
        task.q = q_ + h * group * d;
        task.q_stride = d;
        task.group = shape.group;
        task.d = shape.d;
        task.scale = 0.125f;
        task.e = e_ + h * group * slots + c * zs::kChunk;
        task.e_stride = slots;
        task.highest = highest + c * group;
        task.sum = sum + c * group;
        task.out = partial + c * group * padded;
        tasks.push_back(task);
      }
      merges.push_back(
          {highest, sum, partial, static_cast<int32_t>(chunks), sum + chunks * group, out_ + h * group * d, d});
    }
    count_ = static_cast<int32_t>(tasks.size());
    tasks_ = room<zs::DecodeTask>(tasks.size());
    merges_ = room<zs::cuda::MergeTask>(merges.size());
    must(cudaMemcpy(tasks_, tasks.data(), tasks.size() * sizeof tasks[0], cudaMemcpyHostToDevice), "work list");
    must(cudaMemcpy(merges_, merges.data(), merges.size() * sizeof merges[0], cudaMemcpyHostToDevice), "work list");
    must(cudaDeviceSynchronize(), "filling");
  }
  ~Work() {
    for (void* memory : {static_cast<void*>(keys_), static_cast<void*>(values_), static_cast<void*>(q_),
                         static_cast<void*>(e_), static_cast<void*>(stats_), static_cast<void*>(partial_),
                         static_cast<void*>(out_), static_cast<void*>(tasks_), static_cast<void*>(merges_)})
      cudaFree(memory);
  }
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  void launch(cudaStream_t stream) const {
    must(zs::cuda::decode(tasks_, count_, {ZS_BF16, false, shape_.group, shape_.d}, stream));
    must(zs::cuda::merge(merges_, static_cast<int32_t>(shape_.heads()), shape_.group, shape_.d, stream));
  }

 private:
  Shape shape_;
  uint16_t *keys_, *values_;
  float *q_, *e_, *stats_, *partial_, *out_;
  zs::DecodeTask* tasks_;
  zs::cuda::MergeTask* merges_;
  int32_t count_;
};

struct Spread {
  double low, median, high;
};
Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
  };
  return {at(0.1), at(0.5), at(0.9)};
}

class Clock {
 public:
  Clock() {
    must(cudaStreamCreate(&stream), "a stream");
    must(cudaEventCreate(&begin_), "an event");
    must(cudaEventCreate(&end_), "an event");
  }
  // Microseconds that f takes, in the stream.
  template <class F>
  double of(F f) {
    must(cudaEventRecord(begin_, stream), "an event");
    f();
    must(cudaEventRecord(end_, stream), "an event");
    must(cudaEventSynchronize(end_), "a launch");
    float ms = 0;
    must(cudaEventElapsedTime(&ms, begin_, end_), "a time");
    return static_cast<double>(ms) * 1e3;
  }
  cudaStream_t stream;

 private:
  cudaEvent_t begin_, end_;
};

// GB/s of the best of ten copies, read and written.
double copy_bandwidth(Clock& clock) {
  constexpr size_t kBytes = size_t{1} << 30;
  auto* from = room<unsigned char>(kBytes);
  auto* to = room<unsigned char>(kBytes);
  must(cudaMemset(from, 1, kBytes), "filling");
  double best = 0;
  for (int i = 0; i < 10; ++i)
    best = std::max(best, 2e-3 * static_cast<double>(kBytes) / clock.of([&] {
      must(cudaMemcpyAsync(to, from, kBytes, cudaMemcpyDeviceToDevice, clock.stream), "a copy");
    }));
  cudaFree(from);
  cudaFree(to);
  return best;
}

void large(Clock& clock, int group, int d) {
  // More than 256 MB a launch.
  Shape shape{16, 8, group, d, 0};
  shape.slots = static_cast<int>((size_t{320} << 20) / (shape.heads() * d * 4)) / zs::kChunk * zs::kChunk;
  const Work work(shape, 1);
  work.launch(clock.stream);
  std::vector<double> times, shares;
  for (int i = 0; i < 11; ++i) times.push_back(clock.of([&] { work.launch(clock.stream); }));
  const double copy = copy_bandwidth(clock);
  for (const double us : times) shares.push_back(static_cast<double>(shape.bytes()) * 1e-3 / us / copy);
  const Spread share = spread_of(shares), us = spread_of(times);
  std::printf(
      "{\"bench\":\"decode\",\"storage\":\"bfloat16\",\"group\":%d,\"headDim\":%d,\"slots\":%d,\"kvHeads\":%d,"
      "\"batch\":%d,\"bytes\":%lld,"
      "\"us\":[%.2f,%.2f,%.2f],\"copyGBs\":%.0f,\"share\":[%.3f,%.3f,%.3f]}\n",
      group, d, shape.slots, shape.kv_heads, shape.sequences, static_cast<long long>(shape.bytes()), us.low, us.median,
      us.high, copy, share.low, share.median, share.high);
}

// One sequence, 32 query heads on 4 kv heads: as a graph over sets of together more than any cache holds.
void single(Clock& clock, int slots) {
  const Shape shape{1, 4, 8, 128, slots};
  const int sets = static_cast<int>((size_t{400} << 20) / shape.bytes()) + 1;
  std::vector<Work*> works;
  for (int i = 0; i < sets; ++i) works.push_back(new Work(shape, static_cast<uint32_t>(2 * i)));
  works[0]->launch(clock.stream);  // what a first launch sets up is no part of a graph
  cudaGraph_t graph;
  cudaGraphExec_t ready;
  must(cudaStreamBeginCapture(clock.stream, cudaStreamCaptureModeThreadLocal), "a graph");
  for (const Work* work : works) work->launch(clock.stream);
  must(cudaStreamEndCapture(clock.stream, &graph), "a graph");
  must(cudaGraphInstantiate(&ready, graph, 0), "a graph");
  std::vector<double> times;
  for (int i = 0; i < 12; ++i) {
    const double us = clock.of([&] { must(cudaGraphLaunch(ready, clock.stream), "a graph"); }) / sets;
    if (i) times.push_back(us);
  }
  const Spread us = spread_of(times);
  std::printf(
      "{\"bench\":\"single\",\"storage\":\"bfloat16\",\"group\":8,\"headDim\":128,\"slots\":%d,\"bytes\":%lld,\"us\":[%"
      ".2f,%.2f,%.2f]}\n",
      slots, static_cast<long long>(shape.bytes()), us.low, us.median, us.high);
  cudaGraphExecDestroy(ready);
  cudaGraphDestroy(graph);
  for (const Work* work : works) delete work;
}

}  // namespace

int main() {
  Clock clock;
  for (const int d : {64, 128})
    for (const int group : {1, 3, 4, 8}) large(clock, group, d);
  for (const int slots : {1024, 4096}) single(clock, slots);
  return 0;
}
