// Decode attention over caches that are all alike, in device memory: what benches time, and of which bytes can be predicted.
#ifndef ZSLAB_CUDA_TEST_UNIFORM_H
#define ZSLAB_CUDA_TEST_UNIFORM_H

#include <algorithm>
#include <string>
#include <vector>

#include "cuda/decode_attention.h"
#include "cuda/test/arrays.h"

namespace zs::cuda {

struct UniformShape {
  int32_t storage;  // zs_storage
  int sequences, kv_heads, group, d, slots;

  int64_t heads() const { return static_cast<int64_t>(sequences) * kv_heads; }
  int64_t chunks() const { return (slots + kChunk - 1) / kChunk; }
  int64_t element() const { return storage == ZS_F32 ? 4 : 2; }
  // Keys and values.
  int64_t cache_bytes() const { return heads() * slots * (d + round_up(d, kLane)) * element(); }
  // All that a decode step has to move: keys, values and queries in, exponentials, what the chunks give and their statistics out.
  int64_t decode_bytes() const {
    const int64_t chunk = group * (round_up(d, kLane) + 2 + d) * 4 + static_cast<int64_t>(sizeof(DecodeTask));
    return cache_bytes() + heads() * group * slots * 4 + heads() * chunks() * chunk;
  }
};

class Uniform {
 public:
  explicit Uniform(const UniformShape& shape) : shape_(shape) {
    const int64_t group = shape.group, d = shape.d, padded = round_up(d, kLane), chunks = shape.chunks();
    const int64_t slots = chunks * kChunk, heads = shape.heads();
    auto* const keys = arrays_.filled(heads * slots * d * shape.element());
    auto* const values = arrays_.filled(heads * slots * padded * shape.element());
    auto* const q = reinterpret_cast<float*>(arrays_.filled(heads * group * d * 4));
    auto* const e = arrays_.room<float>(heads * group * slots);
    auto* const statistics = arrays_.room<float>(3 * heads * chunks * group);
    auto* const partial = arrays_.room<float>(heads * chunks * group * padded);
    auto* const out = arrays_.room<float>(heads * group * d);
    std::vector<DecodeTask> tasks;
    std::vector<MergeTask> merges;
    for (int64_t h = 0; h < heads; ++h) {
      float* const highest = statistics + 3 * h * chunks * group;
      float* const sum = highest + chunks * group;
      float* const partials = partial + h * chunks * group * padded;
      for (int64_t c = 0; c < chunks; ++c) {
        DecodeTask task{};
        task.chunk.keys = keys + (h * slots + c * kChunk) * d * shape.element();
        task.chunk.values = values + (h * slots + c * kChunk) * padded * shape.element();
        task.chunk.slots = static_cast<int32_t>(std::min<int64_t>(kChunk, shape.slots - c * kChunk));
        task.chunk.storage = shape.storage;
        task.q = q + h * group * d;
        task.q_stride = d;
        task.group = shape.group;
        task.d = shape.d;
        task.scale = 0.125f;
        task.e = e + h * group * slots + c * kChunk;
        task.e_stride = slots;
        task.highest = highest + c * group;
        task.sum = sum + c * group;
        task.out = partials + c * group * padded;
        tasks.push_back(task);
      }
      merges.push_back({highest, sum, partials, static_cast<int32_t>(chunks), sum + chunks * group, out + h * group * d,
                        d, q + h * group * d, d});
    }
    count_ = static_cast<int32_t>(tasks.size());
    tasks_ = arrays_.list(tasks);
    merges_ = arrays_.list(merges);
  }

  // Whether there was room for all of it.
  bool there() const { return arrays_.there(); }
  std::string decode(gpu::Stream stream) const {
    return cuda::decode(tasks_, count_, {shape_.storage, false, shape_.group, shape_.d}, stream);
  }
  std::string merge(gpu::Stream stream) const {
    return cuda::merge(merges_, static_cast<int32_t>(shape_.heads()), shape_.group, shape_.d, stream);
  }

 private:
  UniformShape shape_;
  Arrays arrays_;
  DecodeTask* tasks_;
  MergeTask* merges_;
  int32_t count_;
};

}  // namespace zs::cuda
#endif
