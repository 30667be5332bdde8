// A small model and a cache of full heads in device memory, whose tokens go through it in one launch or in one after another: what a test compares
// and a bench times. Numbers are drawn, and finite.
#ifndef ZSLAB_CUDA_TEST_STEP_MODEL_H
#define ZSLAB_CUDA_TEST_STEP_MODEL_H

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "cuda/test/twins.h"
#include "cuda/token_step.h"

namespace zs::cuda {

struct StepSizes {
  int32_t layers, kv_heads, group, d, pairs, hidden, inner, vocabulary;  // inner in multiples of 16
  int32_t weights, storage;                                              // zs_storage
  int32_t slots, merged;  // of a head: slots of its open segment, the token's own the last, and merged ones
  bool leaves;            // somebody does
};

class StepModel {
 public:
  StepModel(const StepSizes& sizes, const UpkeepShape& rule, uint64_t seed)
      : sizes_(sizes), rule_(rule), random_(seed) {
    const StepSizes& s = sizes;
    const int64_t heads = int64_t{s.kv_heads} * s.group, rows = (heads + 2 * s.kv_heads) * s.d;
    hidden_ = round_up(s.hidden, 32);
    rule_.storage = s.storage, rule_.group = s.group, rule_.d = s.d;
    id_ = changing(std::vector<int32_t>{random_.upto(0, s.vocabulary - 1)});
    position_ = changing(std::vector<int32_t>{0});
    angles_ = changing(numbers(2 * s.pairs, 1));
    residual_ = changing(std::vector<float>(static_cast<size_t>(hidden_)));
    only_apart_ = changing_.size();
    input_ = changing(std::vector<float>(static_cast<size_t>(hidden_)));
    active_ = changing(std::vector<float>(static_cast<size_t>(round_up(s.inner, 32))));
    embedding_ = matrix(round_up(s.vocabulary, kLane), s.hidden);
    logits_ = changing(std::vector<float>(static_cast<size_t>(embedding_.outputs)));
    norm_ = changing(numbers(s.hidden, 1));
    for (int32_t l = 0; l < s.layers; ++l) {
      Layer layer{};
      layer.norms[0] = changing(numbers(s.hidden, 1));
      layer.norms[1] = changing(numbers(s.hidden, 1));
      layer.qkv = matrix(round_up(rows, kLane), s.hidden);
      layer.out = matrix(round_up(s.hidden, kLane), heads * s.d);
      layer.gate_up = matrix(int64_t{2} * s.inner, s.hidden);
      layer.down = matrix(round_up(s.hidden, kLane), s.inner);
      layer.rows = changing(std::vector<float>(static_cast<size_t>(layer.qkv.outputs)));
      layer.attended = changing(std::vector<float>(static_cast<size_t>(layer.out.k)));
      make_cache(layer);
      layers_.push_back(layer);
    }
    const std::vector<Stage> all = stages();
    count_ = static_cast<int32_t>(all.size());
    stages_ = changing(all);
    restore();
  }
  ~StepModel() {
    for (void* memory : memory_) gpu::release(memory);
  }
  StepModel(const StepModel&) = delete;
  StepModel& operator=(const StepModel&) = delete;

  // As it was made.
  void restore() const {
    for (const Piece& piece : changing_) gpu::upload(piece.device, piece.begin.data(), piece.begin.size());
  }
  // All that a token changes, one piece after another.
  std::vector<twins::Bytes> state() const {
    std::vector<twins::Bytes> all;
    for (const Piece& piece : changing_) {
      all.emplace_back(piece.begin.size());
      gpu::download(all.back().data(), piece.device, piece.begin.size());
    }
    return all;
  }
  // Which of them nobody needs in one launch: the normalised row.
  size_t only_apart() const { return only_apart_; }
  StepShape shape() const {
    int64_t k = std::max(hidden_, layers_[0].out.k);
    return {sizes_.storage, sizes_.group, sizes_.d, std::max(k, layers_[0].down.k)};
  }
  int32_t stage_count() const { return count_; }
  // Bytes that a token has to read: weights, keys and values.
  int64_t bytes() const {
    const Layer& one = layers_[0];
    const int64_t slot = sizes_.d + round_up(sizes_.d, kLane), element = sizes_.storage == ZS_F32 ? 4 : 2;
    return embedding_.bytes() +
           sizes_.layers * (one.qkv.bytes() + one.out.bytes() + one.gate_up.bytes() + one.down.bytes() +
                            sizes_.kv_heads * slot * (sizes_.slots * element + sizes_.merged * int64_t{4}));
  }

  std::string at_once(int32_t blocks, gpu::Stream stream) const {
    return token_step(stages_, count_, shape(), blocks, stream);
  }
  std::string apart(gpu::Stream stream) const {
    const StepSizes& s = sizes_;
    const int32_t heads = s.kv_heads * s.group;
    std::string wrong = embed(embedding(), 1, stream);
    const auto then = [&](auto launch) {
      if (wrong.empty()) wrong = launch();
    };
    const auto norm = [&](const float* weights) {
      then([&] { return rms_norm({residual_, hidden_, weights, s.hidden, kEps, ZS_F32, input_, hidden_}, 1, stream); });
    };
    const auto multiply = [&](const Matrix& w, const float* x, Then what, float* y) {
      then([&] { return products_.multiply({w, x, 1, what, y, w.outputs}, stream); });
    };
    for (const Layer& layer : layers_) {
      norm(layer.norms[0]);
      multiply(layer.qkv, input_, Then::kStore, layer.rows);
      then([&] {
        return rotate({layer.rows, layer.qkv.outputs, heads + s.kv_heads, s.d, s.pairs, angles_, position_}, 1, stream);
      });
      then([&] { return append(layer.appends, s.kv_heads, {s.storage, s.d}, stream); });
      if (layer.decode.floats)
        then([&] { return decode(layer.decode.tasks, layer.decode.floats, {ZS_F32, false, s.group, s.d}, stream); });
      then([&] {
        return decode(layer.decode.tasks + layer.decode.floats, layer.decode.count - layer.decode.floats,
                      {s.storage, false, s.group, s.d}, stream);
      });
      then([&] { return upkeep(layer.upkeep.tasks, s.kv_heads, rule_, stream); });
      multiply(layer.out, layer.attended, Then::kAdd, residual_);
      norm(layer.norms[1]);
      multiply(layer.gate_up, input_, Then::kActivate, active_);
      multiply(layer.down, active_, Then::kAdd, residual_);
    }
    norm(norm_);
    multiply(embedding_, input_, Then::kStore, logits_);
    return wrong;
  }

 private:
  static constexpr float kEps = 1e-5f;
  struct Layer {
    float* norms[2];
    Matrix qkv, out, gate_up, down;
    float *rows, *attended;
    AppendTask* appends;
    DecodeStage decode;
    UpkeepStage upkeep;
  };
  struct Piece {
    void* device;
    twins::Bytes begin;
  };

  void* room(int64_t bytes) {
    memory_.push_back(gpu::allocate(static_cast<size_t>(bytes)));
    return memory_.back();
  }
  template <class T>
  T* changing(const std::vector<T>& values) {
    auto* const memory = static_cast<T*>(room(static_cast<int64_t>(values.size() * sizeof(T))));
    begin(memory, values);
    return memory;
  }
  template <class T>
  void begin(T* device, const std::vector<T>& values) {
    const auto* const from = reinterpret_cast<const unsigned char*>(values.data());
    changing_.push_back({device, twins::Bytes(from, from + values.size() * sizeof(T))});
  }
  std::vector<float> numbers(int64_t count, float size) {
    std::vector<float> all(static_cast<size_t>(count));
    for (float& x : all) x = size * random_.element();
    return all;
  }
  twins::Bytes numbers(int64_t count, float size, int32_t storage) {
    twins::Bytes all(static_cast<size_t>(count * (storage == ZS_F32 ? 4 : 2)));
    for (int64_t i = 0; i < count; ++i) twins::put(all, i, size * random_.element(), storage);
    return all;
  }
  Matrix matrix(int64_t outputs, int64_t n) {
    const int64_t k = round_up(n, 32);
    const float size = 1 / std::sqrt(static_cast<float>(n));
    twins::Bytes all(static_cast<size_t>(outputs * k * (sizes_.weights == ZS_F32 ? 4 : 2)));
    for (int64_t i = 0; i < outputs * k; ++i)
      if (i % k < n) twins::put(all, i, size * random_.element(), sizes_.weights);
    void* const memory = room(static_cast<int64_t>(all.size()));
    gpu::upload(memory, all.data(), all.size());
    return {memory, sizes_.weights, outputs, k};
  }
  Embed embedding() const {
    return {id_, embedding_.data, embedding_.k, sizes_.weights, sizes_.hidden, residual_, hidden_};
  }

  void make_cache(Layer& layer) {
    const StepSizes& s = sizes_;
    const int64_t group = s.group, padded = round_up(s.d, kLane);
    const int32_t merged = static_cast<int32_t>(round_up(s.merged, kChunk) / kChunk),
                  open = static_cast<int32_t>(round_up(s.slots, kChunk) / kChunk), chunks = merged + open;
    layer.decode.count = s.kv_heads * chunks;
    layer.decode.floats = s.storage == ZS_F32 ? 0 : s.kv_heads * merged;
    auto* const decode = static_cast<DecodeTask*>(room(layer.decode.count * static_cast<int64_t>(sizeof(DecodeTask))));
    auto* const lists = static_cast<UpkeepChunk*>(room(layer.decode.count * static_cast<int64_t>(sizeof(UpkeepChunk))));
    std::vector<DecodeTask> tasks(static_cast<size_t>(layer.decode.count));
    std::vector<UpkeepChunk> list(tasks.size());
    std::vector<UpkeepTask> keeps;
    std::vector<AppendTask> appends;
    for (int32_t g = 0; g < s.kv_heads; ++g) {
      float *const highest = changing(numbers(chunks * group, 1)), *const sum = changing(numbers(chunks * group, 1)),
                   *const partial = changing(numbers(chunks * group * padded, 1)),
                   *const bias = changing(numbers(round_up(s.merged, kChunk) + 1, 1)),
                   *const scores = changing(numbers(round_up(s.slots, kChunk), 1));
      const float* const q = layer.rows + g * group * s.d;
      std::vector<int32_t> positions(static_cast<size_t>(round_up(s.slots, kChunk)));
      std::iota(positions.begin(), positions.end(), 0);
      int32_t* const at = changing(positions);
      size_t last = 0;
      for (int32_t c = 0; c < chunks; ++c) {
        const bool old = c < merged;
        const int32_t own = old ? c : c - merged, storage = old ? static_cast<int32_t>(ZS_F32) : s.storage;
        KeyChunk chunk{};
        chunk.keys = changing(numbers(kChunk * s.d, 1, storage));
        chunk.values = changing(numbers(kChunk * padded, 1, storage));
        chunk.slots = std::min<int32_t>(kChunk, (old ? s.merged : s.slots) - own * kChunk);
        chunk.storage = storage;
        if (old) chunk.bias = bias + own * kChunk;
        last = static_cast<size_t>(layer.decode.floats ? old ? g * merged + c : s.kv_heads * merged + g * open + own
                                                       : g * chunks + c);
        float* const e = changing(numbers(group * kChunk, 1));
        tasks[last] = {chunk,
                       q,
                       s.d,
                       s.group,
                       s.d,
                       1 / std::sqrt(static_cast<float>(s.d)),
                       e,
                       kChunk,
                       highest + c * group,
                       sum + c * group,
                       partial + c * group * padded};
        list[static_cast<size_t>(g * chunks + c)] = {chunk, e, kChunk,
                                                     old ? changing(numbers(kChunk, 1)) : scores + own * kChunk};
      }
      UpkeepTask task{};
      task.attention = {
          highest, sum, partial, chunks, changing(numbers(chunks * group, 1)), layer.attended + g * group * s.d,
          s.d,     q,   s.d};
      task.chunks = lists + g * chunks;
      task.merged = merged;
      task.weights = changing(std::vector<float>(static_cast<size_t>(s.merged + 1), 2));
      task.bias = bias;
      task.positions = at;
      if (s.leaves) {
        const int32_t recent = s.slots / 4;
        task.from = s.merged;
        task.to = s.merged + s.slots - recent;
        if (recent > 1) {
          task.ring_first = task.to, task.ring_end = s.merged + s.slots - 1;
          task.ring = changing(std::vector<int32_t>{task.to + recent / 2 - 1});
        }
      }
      task.last = decode + last;
      task.found = changing(std::vector<Found>(1));
      keeps.push_back(task);
      const UpkeepChunk& end = list[static_cast<size_t>((g + 1) * chunks - 1)];
      AppendTask made{};
      made.key = layer.rows + (s.kv_heads * group + g) * s.d;
      made.value = made.key + int64_t{s.kv_heads} * s.d;
      made.keys = const_cast<void*>(end.chunk.keys), made.values = const_cast<void*>(end.chunk.values);
      made.slot = (s.slots - 1) % kChunk;
      made.score = scores + s.slots - 1, made.position = at + s.slots - 1;
      made.counts[0] = &decode[last].chunk.slots;
      made.counts[1] = &lists[(g + 1) * chunks - 1].chunk.slots;
      made.at = 100000 + g;
      appends.push_back(made);
    }
    begin(decode, tasks);
    begin(lists, list);
    layer.decode.tasks = decode;
    layer.upkeep = {changing(keeps), s.kv_heads, rule_};
    layer.appends = changing(appends);
  }

  std::vector<Stage> stages() const {
    const StepSizes& s = sizes_;
    Stages all;
    all.add(embedding());
    const auto product = [&](const Matrix& w, const float* x, const float* norm, Then then, float* y) {
      return ProductStage{w, x, norm, s.hidden, kEps, then, y, nullptr, 0, 0, 0, 0, nullptr};
    };
    for (const Layer& layer : layers_) {
      ProductStage rows = product(layer.qkv, residual_, layer.norms[0], Then::kStore, layer.rows);
      rows.appends = layer.appends, rows.heads = s.kv_heads * s.group, rows.kv_heads = s.kv_heads;
      rows.d = s.d, rows.pairs = s.pairs, rows.angles = angles_;
      all.add(rows);
      all.add(layer.decode);
      all.add(layer.upkeep);
      all.add(product(layer.out, layer.attended, nullptr, Then::kAdd, residual_));
      all.add(product(layer.gate_up, residual_, layer.norms[1], Then::kActivate, active_));
      all.add(product(layer.down, active_, nullptr, Then::kAdd, residual_));
    }
    all.add(product(embedding_, residual_, norm_, Then::kStore, logits_));
    return all.all();
  }

  const StepSizes sizes_;
  UpkeepShape rule_;
  test::Random random_;
  std::vector<void*> memory_;
  std::vector<Piece> changing_;
  int64_t hidden_;
  size_t only_apart_ = 0;
  int32_t *id_, *position_;
  float *angles_, *residual_, *input_, *active_, *logits_, *norm_;
  Matrix embedding_{};
  std::vector<Layer> layers_;
  Stage* stages_ = nullptr;
  int32_t count_ = 0;
  mutable Products products_;
};

}  // namespace zs::cuda
#endif
