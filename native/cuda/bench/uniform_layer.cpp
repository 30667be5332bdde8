#include "cuda/bench/uniform_layer.h"

#include <algorithm>
#include <utility>

namespace zs::bench {
namespace {

constexpr int64_t kAlign = 256;  // as cudaMalloc

int64_t bytes_of(int32_t storage) { return storage == ZS_F32 ? 4 : 2; }
int64_t chunks_of(int64_t slots) { return (slots + kChunk - 1) / kChunk; }

}  // namespace

// What a layer has on the device, as it is made. Merged slots are float32 whatever the rest is: their decode tasks are a launch of their own,
// before the others.
struct LayerLists {
  std::vector<cuda::AppendTask> appends;
  std::vector<DecodeTask> merged, open;
  std::vector<cuda::UpkeepTask> upkeep;
  std::vector<cuda::UpkeepChunk> chunks;
  std::vector<int32_t> positions, rings;
  std::vector<size_t> last;  // of each head: its last chunk's place among those of `open`
  // On the device: where these will be, and what is left of the slots' memory.
  cuda::UpkeepChunk* chunks_there;
  int32_t *positions_there, *rings_there;
  Found* found;
  float *e, *statistics, *partial;
  unsigned char* next;

  void* take(int64_t bytes) { return std::exchange(next, next + round_up(bytes, kAlign)); }
};

int64_t LayerShape::cache_bytes() const {
  const int64_t row = d + round_up(d, kLane);
  int64_t bytes = 0;
  for (int64_t head = 0; head < heads(); ++head)
    bytes += row * (int64_t{merged} * 4 + (slots_of(head) - merged) * bytes_of(storage));
  return bytes;
}

// Keys, values and scores of so many slots, in whole chunks.
int64_t LayerShape::segment_bytes(int32_t slots, int32_t of) const {
  const int64_t whole = chunks_of(slots) * kChunk;
  return round_up(whole * d * bytes_of(of), kAlign) + round_up(whole * round_up(d, kLane) * bytes_of(of), kAlign) +
         round_up(4 * whole, kAlign);
}

UniformLayer::UniformLayer(const LayerShape& shape, const LayerRows& rows) : shape_(shape) {
  const int64_t group = shape.group, heads = shape.heads();
  int64_t chunks = 0, open = 0, bytes = 0;
  for (int64_t head = 0; head < heads; ++head) {
    const int32_t own = shape.slots_of(head) - shape.merged;
    chunks += chunks_of(shape.merged) + chunks_of(own);
    open += own;
    bytes += shape.segment_bytes(shape.merged, ZS_F32) + shape.segment_bytes(own, shape.storage) +
             2 * round_up(4 * round_up(shape.merged, kLane), kAlign);
  }
  LayerLists lists{};
  lists.chunks_there = arrays_.room<cuda::UpkeepChunk>(chunks);
  lists.positions_there = arrays_.room<int32_t>(open);
  lists.rings_there = arrays_.room<int32_t>(heads);
  lists.found = arrays_.room<Found>(heads);
  lists.e = arrays_.room<float>(chunks * group * kChunk);
  lists.statistics = arrays_.room<float>(3 * chunks * group);
  lists.partial = arrays_.room<float>(chunks * group * round_up(shape.d, kLane));
  decode_ = arrays_.room<DecodeTask>(chunks);
  if (!there()) return;  // what is large comes last
  lists.next = arrays_.filled(bytes);
  if (!there()) return;
  for (int64_t head = 0; head < heads; ++head) add_head(head, rows, lists);

  std::vector<DecodeTask>& decode = lists.merged;
  const size_t merged = decode.size();
  apart_ = shape.storage == ZS_F32 ? 0 : static_cast<int32_t>(merged);
  decode.insert(decode.end(), lists.open.begin(), lists.open.end());
  count_ = static_cast<int32_t>(decode.size()) - apart_;
  for (size_t h = 0; h < lists.upkeep.size(); ++h) {
    DecodeTask* const last = decode_ + merged + lists.last[h];
    lists.upkeep[h].last = last;
    lists.appends[h].counts[0] = &last->chunk.slots;
  }
  const auto put = [](auto* there, const auto& list) {
    gpu::upload(there, list.data(), list.size() * sizeof(list[0]));
  };
  put(decode_, decode);
  put(lists.chunks_there, lists.chunks);
  put(lists.positions_there, lists.positions);
  put(lists.rings_there, lists.rings);
  appends_ = arrays_.list(lists.appends);
  upkeep_ = arrays_.list(lists.upkeep);
}

void UniformLayer::add_head(int64_t head, const LayerRows& rows, LayerLists& lists) {
  const int64_t group = shape_.group, d = shape_.d, padded = round_up(d, kLane);
  const int64_t sequence = head / shape_.kv_heads, own = head % shape_.kv_heads;
  const int32_t slots = shape_.slots_of(head), open = slots - shape_.merged;
  const auto first = static_cast<int64_t>(lists.chunks.size()), count = chunks_of(shape_.merged) + chunks_of(open);
  float* const q = rows.q + sequence * rows.stride + own * group * d;
  float *const highest = lists.statistics + 3 * first * group, *const sum = highest + count * group;
  const int64_t tiles = 4 * round_up(shape_.merged, kLane);
  auto *const weights = static_cast<float*>(lists.take(tiles)), *const bias = static_cast<float*>(lists.take(tiles));
  const auto segment = [&](int32_t of, int32_t storage, bool merged, std::vector<DecodeTask>& tasks) {
    const int64_t whole = chunks_of(of) * kChunk, element = bytes_of(storage);
    auto* const keys = static_cast<char*>(lists.take(whole * d * element));
    auto* const values = static_cast<char*>(lists.take(whole * padded * element));
    auto* const scores = static_cast<float*>(lists.take(4 * whole));
    for (int32_t from = 0; from < of; from += kChunk) {
      const auto at = static_cast<int64_t>(lists.chunks.size());
      DecodeTask task{};
      task.chunk.keys = keys + from * d * element;
      task.chunk.values = values + from * padded * element;
      task.chunk.slots = std::min<int32_t>(kChunk, of - from);
      task.chunk.storage = storage;
      task.chunk.bias = merged ? bias + from : nullptr;
      task.q = q;
      task.q_stride = d;
      task.group = shape_.group;
      task.d = shape_.d;
      task.scale = 0.125f;
      task.e = lists.e + at * group * kChunk;
      task.e_stride = kChunk;
      task.highest = highest + (at - first) * group;
      task.sum = sum + (at - first) * group;
      task.out = lists.partial + at * group * padded;
      tasks.push_back(task);
      lists.chunks.push_back({task.chunk, task.e, kChunk, scores + from});
    }
    return scores;
  };
  segment(shape_.merged, ZS_F32, true, lists.merged);
  float* const scores = segment(open, shape_.storage, false, lists.open);
  lists.last.push_back(lists.open.size() - 1);

  cuda::UpkeepTask task{};
  task.attention = {highest,
                    sum,
                    lists.partial + first * group * padded,
                    static_cast<int32_t>(count),
                    sum + count * group,
                    rows.out + sequence * rows.out_stride + own * group * d,
                    d,
                    q,
                    d};
  task.chunks = lists.chunks_there + first;
  task.merged = static_cast<int32_t>(chunks_of(shape_.merged));
  task.weights = weights;
  task.bias = bias;
  task.positions = lists.positions_there + lists.positions.size();
  for (int32_t slot = 0; slot < open; ++slot) lists.positions.push_back(slot);
  task.found = lists.found + head;
  task.from = task.to = shape_.merged;
  // Of four open slots one is recent.
  const int32_t recent = std::max(open / 4, 1);
  lists.rings.push_back(slots - recent);
  if (shape_.leaves) {
    task.to = slots - recent;
    task.ring_first = task.to;
    task.ring_end = slots - 1;
    if (recent > 1) task.ring = lists.rings_there + head;
  }
  lists.upkeep.push_back(task);

  cuda::AppendTask append{};
  append.key = rows.k + sequence * rows.stride + own * d;
  append.value = rows.v + sequence * rows.stride + own * d;
  const KeyChunk& last = lists.chunks.back().chunk;
  append.keys = const_cast<void*>(last.keys);
  append.values = const_cast<void*>(last.values);
  append.slot = last.slots - 1;
  append.score = scores + open - 1;
  append.position = task.positions + open - 1;
  append.counts[1] = &task.chunks[count - 1].chunk.slots;
  append.at = open - 1;
  lists.appends.push_back(append);
}

std::string UniformLayer::attention(gpu::Stream stream) const {
  std::string wrong = cuda::append(appends_, static_cast<int32_t>(shape_.heads()), {shape_.storage, shape_.d}, stream);
  if (wrong.empty() && apart_) wrong = cuda::decode(decode_, apart_, {ZS_F32, false, shape_.group, shape_.d}, stream);
  if (wrong.empty())
    wrong = cuda::decode(decode_ + apart_, count_, {shape_.storage, false, shape_.group, shape_.d}, stream);
  return wrong;
}

std::string UniformLayer::upkeep(bool all, gpu::Stream stream) const {
  cuda::UpkeepShape how{};
  // The rest of what follows attention needs its scores.
  how.part = all ? cuda::UpkeepPart::kAll : cuda::UpkeepPart::kScores;
  how.storage = shape_.storage;
  how.group = shape_.group;
  how.d = shape_.d;
  how.decay = 1;
  how.scores = all && shape_.scores;
  how.told = all && shape_.leaves;
  how.alpha = 1;
  return cuda::upkeep(upkeep_, static_cast<int32_t>(shape_.heads()), how, stream);
}

std::string UniformLayer::attend(gpu::Stream stream) const {
  const std::string wrong = attention(stream);
  return wrong.empty() ? upkeep(false, stream) : wrong;
}

std::string UniformLayer::step(gpu::Stream stream) const {
  const std::string wrong = attention(stream);
  return wrong.empty() ? upkeep(true, stream) : wrong;
}

}  // namespace zs::bench
