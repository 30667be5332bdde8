// A kv head on both sides: as the CPU engine has it, and its twin in device memory, as upkeep wants it.
#ifndef ZSLAB_CUDA_TEST_TWIN_HEAD_H
#define ZSLAB_CUDA_TEST_TWIN_HEAD_H

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "core/work.h"
#include "cuda/append.h"
#include "cuda/test/twin_pages.h"
#include "cuda/upkeep.h"

namespace zs::twins {

struct TwinHead {
  Head head;
  cuda::UpkeepTask task{};
  std::vector<cuda::UpkeepChunk> chunks;  // with device memory
  std::vector<DecodeTask> decode;         // likewise
  cuda::UpkeepChunk* chunk_list;
  DecodeTask* decode_list;
  Twins::Twin<float> q, e, highest, sum, partial, factor, out, row;
  int32_t open_chunks;  // there is room for

  // The twin of `head` as it is, with room for `more` tokens.
  void mirror(Twins& twins, int32_t more, const cuda::UpkeepShape& shape) {
    const int64_t group = shape.group, d = shape.d, padded = round_up(d, kLane);
    const Segment& open = head.open();
    const Segment* const merged = head.segments.size() > 1 ? &head.segments[0] : nullptr;
    task.merged = merged ? merged->chunks() : 0;
    open_chunks = static_cast<int32_t>(round_up(open.slots() + more, kChunk) / kChunk);
    const int64_t all = task.merged + open_chunks;
    q = twins.blank_of<float>(static_cast<size_t>(group * d));
    e = twins.blank_of<float>(static_cast<size_t>(all * group * kChunk));
    highest = twins.blank_of<float>(static_cast<size_t>(all * group));
    sum = twins.blank_of<float>(static_cast<size_t>(all * group));
    factor = twins.blank_of<float>(static_cast<size_t>(all * group));
    partial = twins.blank_of<float>(static_cast<size_t>(all * group * padded));
    out = twins.blank_of<float>(static_cast<size_t>(group * d));
    row = twins.blank_of<float>(static_cast<size_t>(2 * d));
    if (merged) mirror_segment(twins, *merged, merged->slots());
    mirror_segment(twins, open, open.slots() + more);
    for (size_t c = 0; c < chunks.size(); ++c) {
      chunks[c].e = e.device + static_cast<int64_t>(c) * group * kChunk;
      chunks[c].e_stride = kChunk;
      decode.emplace_back();
      decode.back().chunk = chunks[c].chunk;
    }
    chunk_list = twins.of(chunks).device;
    decode_list = twins.of(decode).device;
    task.chunks = chunk_list;
    task.attention = {highest.device, sum.device, partial.device, 0, factor.device, out.device, d, q.device, d};
    std::vector<int32_t> positions(open.positions.begin(), open.positions.end());
    positions.resize(static_cast<size_t>(open.slots() + more), -1);
    task.positions = twins.of(positions).device;
    if (merged) {
      task.weights = twins.of(std::vector<float>(merged->weights.begin(), merged->weights.end())).device;
      task.bias = twins.of(std::vector<float>(merged->bias.begin(), merged->bias.end())).device;
    }
    if (head.ring >= 0) task.ring = twins.of(std::vector<int32_t>{head.ring}).device;
    task.pin_count = static_cast<int32_t>(head.pinned.size());
    if (task.pin_count) task.pins = twins.of(head.pinned).device;
  }

  // The newest token, on both sides.
  std::string append(Twins& twins, const float* key, const float* value, int32_t position,
                     const cuda::UpkeepShape& shape) {
    const int32_t slot = head.open().slots();
    head.reserve(1);
    head.append(key, value, position);
    const int32_t c = task.merged + slot / kChunk;
    to_device(&chunk_list[c].chunk.slots, slot % kChunk + 1);
    to_device(&decode_list[c].chunk.slots, slot % kChunk + 1);
    to_device(chunks[c].score + slot % kChunk, 0.0f);
    to_device(task.positions + slot, position);
    gpu::upload(row.device, key, sizeof(float) * static_cast<size_t>(shape.d));
    gpu::upload(row.device + shape.d, value, sizeof(float) * static_cast<size_t>(shape.d));
    const std::vector<cuda::AppendTask> one = {{row.device, row.device + shape.d,
                                                const_cast<void*>(chunks[c].chunk.keys),
                                                const_cast<void*>(chunks[c].chunk.values), slot % kChunk}};
    task.attention.chunks = c + 1;
    task.last = decode_list + c;
    return cuda::append(twins.of(one).device, 1, {shape.storage, shape.d}, {});
  }

  // Attention by the CPU up to what chunks give, which the twin gets, too.
  void attend(const AttentionKernels& cpu, const cuda::UpkeepShape& shape) {
    const int64_t group = shape.group, d = shape.d, padded = round_up(d, kLane);
    int64_t c = 0;
    for (const Segment& segment : head.segments)
      for (int32_t own = 0; own < segment.chunks(); ++own, ++c) {
        DecodeTask one{};
        one.chunk = segment.chunk(own);
        one.q = q.host.data();
        one.q_stride = d;
        one.group = shape.group;
        one.d = shape.d;
        one.scale = 1 / std::sqrt(static_cast<float>(d));
        one.e = e.host.data() + c * group * kChunk;
        one.e_stride = kChunk;
        one.highest = highest.host.data() + c * group;
        one.sum = sum.host.data() + c * group;
        one.out = partial.host.data() + c * group * padded;
        cpu.decode(one);
      }
    for (const auto* one : {&q, &e, &highest, &sum, &partial})
      gpu::upload(one->device, one->host.data(), one->host.size() * sizeof(float));
  }

  // And what core/step.cpp does with it, up to scores.
  void finish(const AttentionKernels& cpu, const cuda::UpkeepShape& shape) {
    const int32_t group = shape.group, d = shape.d, count = head.chunks();
    cpu.merge(highest.host.data(), sum.host.data(), partial.host.data(), count, group, d, factor.host.data(),
              out.host.data(), d);
    for (int32_t h = 0; h < group; ++h) {
      if (is_finite(q.host.data() + h * d, d)) continue;
      std::fill_n(out.host.data() + h * d, d, kNone);
      for (int32_t c = 0; c < count; ++c) factor.host[static_cast<size_t>(c * group + h)] = kNone;
    }
    if (!shape.scores) return;
    int64_t c = 0;
    for (Segment& segment : head.segments)
      for (int32_t own = 0; own < segment.chunks(); ++own, ++c)
        cpu.scores(e.host.data() + c * group * kChunk, kChunk, factor.host.data() + c * group, group,
                   segment.chunk_slots(own), shape.decay, segment.chunk_scores(own));
  }

  // What differs between the two; empty = nothing.
  std::string difference(const cuda::UpkeepShape& shape) const {
    const int64_t group = shape.group, d = shape.d;
    const auto floats = [](const float* device, const float* host, int64_t count) {
      return same_bits(of_device(device, count).data(), host, count);
    };
    if (!floats(out.device, out.host.data(), group * d)) return "outputs";
    if (!floats(factor.device, factor.host.data(), group * task.attention.chunks)) return "factors";
    int32_t first = 0;
    for (const Segment& segment : head.segments) {
      const std::string what = segment_difference(segment, first);
      if (!what.empty()) return (segment.merged ? "merged " : "open ") + what;
      first += task.merged;
    }
    const Segment& open = head.open();
    if (of_device(task.positions, open.slots()) != std::vector<int32_t>(open.positions.begin(), open.positions.end()))
      return "positions";
    if (task.ring && of_device(task.ring) != head.ring) return "ring";
    if (!task.merged) return "";
    const Segment& merged = head.segments[0];
    if (!floats(task.weights, merged.weights.data(), merged.slots())) return "weights";
    if (!floats(task.bias, merged.bias.data(), merged.slots())) return "bias";
    return "";
  }

 private:
  void mirror_segment(Twins& twins, const Segment& segment, int32_t room) {
    const size_t first = chunks.size();
    std::vector<float> scores(segment.scores.begin(), segment.scores.begin() + segment.slots());
    scores.resize(static_cast<size_t>(room));
    float* const score = twins.of(scores).device;
    for (const KeyChunk& there : mirror_pages(twins, segment, room)) {
      cuda::UpkeepChunk chunk{};
      chunk.chunk = there;
      chunk.score = score + (chunks.size() - first) * kChunk;
      chunks.push_back(chunk);
    }
  }

  std::string segment_difference(const Segment& segment, int32_t first) const {
    for (int32_t c = 0; c < segment.chunks(); ++c) {
      const cuda::UpkeepChunk& twin = chunks[static_cast<size_t>(first + c)];
      const int32_t slots = segment.chunk_slots(c);
      if (of_device(&chunk_list[first + c].chunk.slots) != slots) return "slots";
      if (of_device(&decode_list[first + c].chunk.slots) != slots) return "slots that attention reads";
      const auto scores = of_device(twin.score, slots);
      if (!same_bits(scores.data(), segment.scores.data() + c * kChunk, slots)) return "scores";
      if (const std::string what = page_difference(twin.chunk, segment, c); !what.empty()) return what;
    }
    // A chunk that nobody is in any more.
    const int32_t left = segment.chunks();
    if (!segment.merged && left < task.attention.chunks - first && of_device(&chunk_list[first + left].chunk.slots))
      return "slots of the last chunk";
    return "";
  }
};

}  // namespace zs::twins
#endif
