// Upkeep of kv heads that are all alike, in device memory, each with a token more than it may keep: of which bytes and sectors can be predicted.
#ifndef ZSLAB_CUDA_TEST_UNIFORM_UPKEEP_H
#define ZSLAB_CUDA_TEST_UNIFORM_UPKEEP_H

#include <numeric>
#include <string>
#include <vector>

#include "cuda/test/arrays.h"
#include "cuda/upkeep.h"

namespace zs::cuda {

struct UniformUpkeepShape {
  int32_t storage;  // zs_storage
  int heads, group, d;
  int slots, merged;  // slots of a head, the newest token's with them; so many of them are merged

  int64_t element() const { return storage == ZS_F32 ? 4 : 2; }
  int64_t padded() const { return round_up(d, kLane); }
  int64_t merged_chunks() const { return (merged + kChunk - 1) / kChunk; }
  int64_t chunks() const { return merged_chunks() + (slots - merged + kChunk - 1) / kChunk; }
  // All that upkeep has to move, as src/roofline/bytes.ts has it: mergeBytes() and upkeepBytes() of a head whose newest token is one too many.
  int64_t bytes() const {
    const int64_t attention = (chunks() * group * (padded() + 2 + 1) + 2 * group * d) * 4;
    const int64_t scores = 4 * (group * slots + 2 * slots) + chunks() * static_cast<int64_t>(sizeof(UpkeepChunk)) +
                           static_cast<int64_t>(sizeof(UpkeepTask));
    const int64_t slot = (d + padded()) * element();
    const int64_t moved = 2 * (2 * (slot + 2 * 4) + 4);
    const int64_t joined = slot + merged * d * 4 + 2 * 4 * (d + padded() + 3);
    return heads * (attention + scores + moved + (merged ? joined : 0));
  }
  // A slot's key is spread over its tile, dim by dim or, in bfloat16, by pairs: as many sectors, not so few as its bytes could take. So are read
  // who leaves and the merged slot that it joins, and two slots that are moved; all but who leaves are written, too. → how many more those are.
  int64_t more_sectors() const {
    const int64_t spread = storage == ZS_BF16 ? d / 2 : d, key = spread - d * element() / 32;
    return heads * (4 * key + (merged ? key + 2 * (d - d * 4 / 32) : 0));
  }
};

class UniformUpkeep {
 public:
  explicit UniformUpkeep(const UniformUpkeepShape& shape) : shape_(shape) {
    const int64_t group = shape.group, d = shape.d, padded = shape.padded(), chunks = shape.chunks();
    std::vector<int32_t> positions(static_cast<size_t>(shape.slots));
    std::iota(positions.begin(), positions.end(), 0);
    std::vector<UpkeepTask> tasks;
    for (int h = 0; h < shape.heads; ++h) {
      UpkeepTask task{};
      const auto floats = [&](int64_t count) { return reinterpret_cast<float*>(arrays_.filled(count * 4)); };
      std::vector<UpkeepChunk> list;
      const auto segment = [&](int64_t slots, int32_t storage) {
        const int64_t element = storage == ZS_F32 ? 4 : 2;
        for (int64_t from = 0; from < slots; from += kChunk) {
          UpkeepChunk one{};
          one.chunk.keys = arrays_.filled(kChunk * d * element);
          one.chunk.values = arrays_.filled(kChunk * padded * element);
          one.chunk.slots = static_cast<int32_t>(std::min<int64_t>(kChunk, slots - from));
          one.chunk.storage = storage;
          one.e = floats(group * kChunk);
          one.e_stride = kChunk;
          one.score = floats(kChunk);
          list.push_back(one);
        }
      };
      segment(shape.merged, ZS_F32);
      segment(shape.slots - shape.merged, shape.storage);
      task.attention = {floats(chunks * group),
                        floats(chunks * group),
                        floats(chunks * group * padded),
                        static_cast<int32_t>(chunks),
                        arrays_.room<float>(chunks * group),
                        arrays_.room<float>(group * d),
                        d,
                        floats(group * d),
                        d};
      task.chunks = arrays_.list(list);
      task.merged = static_cast<int32_t>(shape.merged_chunks());
      // Of four open slots three may leave; the last are recent.
      const int32_t open = shape.slots - shape.merged, recent = open / 4;
      task.from = shape.merged;
      task.to = shape.slots - recent;
      task.ring_first = task.to;
      task.ring_end = shape.slots - 1;
      task.ring = arrays_.list(std::vector<int32_t>{task.to + recent / 2});
      task.weights = floats(shape.merged + 1);
      task.bias = floats(shape.merged + 1);
      task.positions = arrays_.list(positions);
      DecodeTask last{};
      last.chunk = list.back().chunk;
      task.last = arrays_.list(std::vector<DecodeTask>{last});
      task.found = arrays_.room<Found>(1);
      tasks.push_back(task);
    }
    tasks_ = arrays_.list(tasks);
  }

  std::string upkeep(gpu::Stream stream) const {
    UpkeepShape of{};
    of.storage = shape_.storage;
    of.group = shape_.group;
    of.d = shape_.d;
    of.decay = 0.9f;
    of.scores = true;
    of.told = true;
    of.alpha = 1;
    return cuda::upkeep(tasks_, shape_.heads, of, stream);
  }

 private:
  UniformUpkeepShape shape_;
  Arrays arrays_;
  UpkeepTask* tasks_;
};

}  // namespace zs::cuda
#endif
