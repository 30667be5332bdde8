// A block has a quarter of a chunk, whose keys stay in shared memory while rows go by: logits and their exponentials by all threads, four
// queries and four slots each; then the sums over the group; then what fades, row after row, a thread a slot. Nobody adds to what another
// adds to, so that the order is that of one thread that does all.
#include "cuda/column_sums.h"
#include "cuda/query_rows.cuh"

namespace zs::cuda {
namespace {

constexpr int kQueries = kColumnsQueries, kThreads = rows_threads(kQueries);

struct ColumnsLayout {
  float *q, *e, *acc, *highest, *inverse;
  unsigned char* keys;
  template <class Shared>
  __host__ __device__ ColumnsLayout(Shared& shared, int d, int fades, int element) {
    q = shared.template take<float>(d * rows_pitch(kQueries));
    e = shared.template take<float>(kQueries * kRowsStage);
    acc = shared.template take<float>(fades * kRowsStage);
    highest = shared.template take<float>(kQueries);
    inverse = shared.template take<float>(kQueries);
    keys = shared.template take<unsigned char>(kRowsStage * d * element);
  }
  // Of query v and a slot: rows of slots, whose fours change places from four queries to the next, so that neither fours of eight queries nor
  // neighbouring slots of one meet in a bank.
  __device__ __forceinline__ float* at(int v, int slot) const {
    return e + v * kRowsStage + ((slot / 4) ^ (v / 4)) * 4 + slot % 4;
  }
};

// The first of the rows that any fade takes, and that sees the chunk.
__device__ int64_t first_row(const ColumnsTask& task) {
  int64_t from = task.to;
  for (int f = 0; f < task.fade_count; ++f) from = task.fades[f].from < from ? task.fades[f].from : from;
  return task.causal && task.first > from ? task.first : from;
}

template <class Storage>
__global__ void __launch_bounds__(kThreads, 2) column_sums(const ColumnsTask* tasks, int fades, int element) {
  const ColumnsTask& task = tasks[blockIdx.x];
  const int t = static_cast<int>(threadIdx.x), d = task.d, group = task.group, slots = task.chunk.slots;
  const int begin = static_cast<int>(blockIdx.y) * kRowsStage;
  const int count = min(static_cast<int>(round_up(slots, kLane)) - begin, kRowsStage);
  if (count <= 0) return;
  gpu::Shared shared;
  const ColumnsLayout at(shared, d, fades, element);
  const bool floats = float_keys<Storage>(task.chunk);
  const int row_bytes = d * (floats ? 4 : static_cast<int>(sizeof(typename Storage::Element)));
  copy_rows<kThreads>(at.keys, static_cast<const unsigned char*>(task.chunk.keys) + begin * row_bytes,
                      count * row_bytes);
  gpu::cp_async_commit();

  const int own = t % kRowsStage, fade = t / kRowsStage;  // a slot, and rows or fades from here on
  constexpr int kFadesBeside = kThreads / kRowsStage;
  if (own < count)
    for (int f = fade; f < task.fade_count; f += kFadesBeside)
      at.acc[f * kRowsStage + own] = task.fades[f].acc[begin + own];

  const float* const bias = task.chunk.bias ? task.chunk.bias + begin : nullptr;
  const float scale = task.scale;
  const bool causal = task.causal;
  const int first = t % (kQueries / 4) * 4, slot = t / (kQueries / 4) * 4, most = kQueries / group;
  const int64_t to = task.to;
  for (int64_t row = first_row(task); row < to; row += most) {
    const int rows = to - row < most ? static_cast<int>(to - row) : most, queries = rows * group;
    // Slots of the block that the row which is `n` after this one sees.
    const auto seen_by = [&](int n) {
      const int64_t seen = causal ? row + n - task.first + 1 : slots;
      return (seen < slots ? static_cast<int>(seen) : slots) - begin;
    };
    fetch_queries<kQueries>(at.q, task.q + row * task.q_row, task.q_head, task.q_row, group, queries, d);
    for (int v = t; v < round_up(queries, 4); v += kThreads) {
      const int64_t place = v % group * task.stat_stride + row + v / group;
      at.highest[v] = v < queries ? task.highest[place] : 0.0f;
      at.inverse[v] = v < queries ? task.inverse[place] : 0.0f;
    }
    gpu::cp_async_wait<0>();
    __syncthreads();

    if (first < queries && slot < count) {
      Products x = {};
      if (slot < seen_by(rows - 1))
        x = floats ? products_of<F32, kQueries>(at.q + first, at.keys, slot, d)
                   : products_of<Storage, kQueries>(at.q + first, at.keys, slot, d);
      ZS_UNROLL for (int i = 0; i < 4; ++i) {
        const int visible = seen_by((first + i) / group);
        const float highest = at.highest[first + i];
        Four e;
        ZS_UNROLL for (int j = 0; j < 4; ++j) e.x[j] =
            exp_of(logit_of(x.x[i][j], scale, bias, slot + j, visible) - highest);
        put_four(at.at(first + i, slot), e);
      }
    }
    __syncthreads();

    // What the group gives takes the place of its first head.
    if (own < count)
      for (int r = fade; r < rows; r += kFadesBeside) {
        float total = 0;
        for (int v = r * group; v < (r + 1) * group; ++v) total = fmaf(*at.at(v, own), at.inverse[v], total);
        *at.at(r * group, own) = total;
      }
    __syncthreads();

    if (own < count)
      for (int f = fade; f < task.fade_count; f += kFadesBeside) {
        const float decay = task.fades[f].decay;
        const int64_t from = task.fades[f].from;
        float acc = at.acc[f * kRowsStage + own];
        for (int r = from - row > 0 ? static_cast<int>(from - row < rows ? from - row : rows) : 0; r < rows; ++r)
          acc = fmaf(decay, acc, *at.at(r * group, own));
        at.acc[f * kRowsStage + own] = acc;
      }
  }
  gpu::cp_async_wait<0>();
  if (own < count)
    for (int f = fade; f < task.fade_count; f += kFadesBeside)
      task.fades[f].acc[begin + own] = at.acc[f * kRowsStage + own];
}

}  // namespace

std::string columns(const ColumnsTask* tasks, int32_t count, const ColumnsShape& shape, gpu::Stream stream) {
  if (shape.group < 1 || shape.group > kMostGroup)
    return "column sums on the GPU take 1 to " + std::to_string(kMostGroup) + " query heads a kv head, not " +
           std::to_string(shape.group);
  if (shape.d < 2 || shape.d > kMostDim || shape.d % 2)
    return "column sums on the GPU take an even headDim of at most " + std::to_string(kMostDim) + ", not " +
           std::to_string(shape.d);
  if (shape.fades < 1 || shape.fades > kMostFades)
    return "column sums on the GPU take 1 to " + std::to_string(kMostFades) + " decays at once, not " +
           std::to_string(shape.fades);
  const int element = shape.floats || shape.storage == ZS_F32 ? 4 : 2;
  gpu::Shared shared = gpu::Shared::counting();
  const ColumnsLayout layout(shared, shape.d, shape.fades, element);
  (void)layout;
  const auto run = [&](auto kernel) {
    return gpu::launch(kernel, gpu::Grid{static_cast<unsigned>(count), kChunk / kRowsStage, 1}, kThreads,
                       shared.bytes(), stream, tasks, shape.fades, element);
  };
  switch (shape.storage) {
    case ZS_F32:
      return run(column_sums<F32>);
    case ZS_F16:
      return run(column_sums<F16>);
    case ZS_BF16:
      return run(column_sums<BF16>);
  }
  return "column sums on the GPU do not know storage " + std::to_string(shape.storage);
}

}  // namespace zs::cuda
