// A block of rows of all query heads of a kv head: chunk by chunk, each chunk's keys and then its values through shared memory, in stages
// that are copied while the one before is used. Included by prefill_*.cu, one for each storage.
//
// A thread has four queries and four slots of the logits, four queries and four, eight or sixteen dims of the sums of values; both in order
// of dims and of slots. What a chunk's logits come to is told lane by lane, then by the tree of native/cpu/lanes.h.
#ifndef ZSLAB_CUDA_PREFILL_ATTENTION_CUH
#define ZSLAB_CUDA_PREFILL_ATTENTION_CUH

#include "cuda/prefill_attention.h"
#include "cuda/query_rows.cuh"

namespace zs::cuda {

template <int queries>
struct PrefillLayout {
  float *q, *e, *parts, *highest, *rescale;
  unsigned char* stages;
  size_t stage_bytes;
  template <class Shared>
  __host__ __device__ PrefillLayout(Shared& shared, int d, int count, int element) {
    q = shared.template take<float>(d * rows_pitch(queries));
    e = shared.template take<float>(kChunk * queries);  // [slot][query]; at the end the outputs [query][padded]
    parts = shared.template take<float>(kLane * queries);
    highest = shared.template take<float>(queries);
    rescale = shared.template take<float>(queries);
    stage_bytes = static_cast<size_t>(kRowsStage) * round_up(d, kLane) * element;
    stages = shared.template take<unsigned char>(count * stage_bytes);
  }
};

// A chunk as the block's rows see it: its last row sees `seen` slots, none where the walk is at its end.
struct SeenChunk {
  const RowsTask& task;
  int64_t start = 0;  // of the rows' own tokens, the first in this chunk
  int number = 0, seen = 0;

  __device__ explicit SeenChunk(const RowsTask& of) : task(of) { look(); }
  __device__ bool causal() const { return number >= task.first_causal; }
  __device__ void next() {
    if (causal()) start += task.chunks[number].slots;
    ++number;
    look();
  }
  __device__ int seen_by(int64_t row) const {
    const int slots = task.chunks[number].slots;
    const int64_t sees = causal() ? row - start + 1 : slots;
    return sees < 0 ? 0 : sees < slots ? static_cast<int>(sees) : slots;
  }

 private:
  __device__ void look() {
    for (seen = 0; number < task.chunk_count; ++number) {
      const int64_t last = task.row + task.rows - 1;
      seen = seen_by(last);
      if (seen || (causal() && start > last)) return;
    }
  }
};

// Copies of stages in their order: of each chunk the keys, then the values.
template <class Storage, int queries>
struct PrefillStages {
  SeenChunk chunk;
  int from = 0, number = 0;
  bool values = false;
  const PrefillLayout<queries>& at;
  const int count, d;

  __device__ PrefillStages(const RowsTask& task, const PrefillLayout<queries>& layout, int stages, int dims)
      : chunk(task), at(layout), count(stages), d(dims) {}
  __device__ __forceinline__ unsigned char* stage(int s) const { return at.stages + s % count * at.stage_bytes; }

  // Begins to copy the next one, if there is one.
  __device__ void fetch() {
    if (chunk.seen) {
      const KeyChunk& of = chunk.task.chunks[chunk.number];
      const int element = (values ? float_values<Storage>(of) : float_keys<Storage>(of)) ? 4 : 2;
      const int row = element * static_cast<int>(values ? round_up(d, kLane) : d);
      const int last = values ? chunk.seen : static_cast<int>(round_up(chunk.seen, kLane));
      const auto* source = static_cast<const unsigned char*>(values ? of.values : of.keys);
      copy_rows<rows_threads(queries)>(stage(number), source + static_cast<int64_t>(from) * row,
                                       min(last - from, kRowsStage) * row);
      from += kRowsStage;
      if (from >= chunk.seen) {
        from = 0;
        values = !values;
        if (!values) chunk.next();
      }
    }
    ++number;
    gpu::cp_async_commit();
  }
  // The stage that is to be used is there; one more is on its way where there are two places.
  __device__ __forceinline__ void arrive() {
    fetch();
    if (count == 2)
      gpu::cp_async_wait<1>();
    else
      gpu::cp_async_wait<0>();
    __syncthreads();
  }
};

// sums[c][i][j] += exponentials of query i * dim j of quad c, slot by slot.
template <class Values, int queries, int kQuads>
__device__ __forceinline__ void add_values(float (&sums)[kQuads][4][4], const float* e, const void* rows, int slots,
                                           int padded, int quad) {
  const auto* row = static_cast<const typename Values::Element*>(rows);
  for (int n = 0; n < slots; ++n, row += padded) {
    const Four p = four(e + n * queries);
    ZS_UNROLL for (int c = 0; c < kQuads; ++c) {
      const int dim = 4 * (quad + kLane * c);
      if (dim >= padded) continue;
      const Four x = Values::values(row, dim);
      ZS_UNROLL for (int i = 0; i < 4; ++i) ZS_UNROLL for (int j = 0; j < 4; ++j) sums[c][i][j] =
          fmaf(p.x[i], x.x[j], sums[c][i][j]);
    }
  }
}

// The tree of native/cpu/lanes.h over 16 values, `step` apart.
template <int step, class Join>
__device__ __forceinline__ float tree_of_16(const float* from, Join join) {
  float x[kLane];
  ZS_UNROLL for (int i = 0; i < kLane; ++i) x[i] = from[i * step];
  ZS_UNROLL for (int half = kLane / 2; half; half /= 2) ZS_UNROLL for (int i = 0; i < kLane / 2; ++i) if (i < half)
      x[i] = join(x[i], x[i + half]);
  return x[0];
}

template <class Storage, int Most>
__global__ void __launch_bounds__(rows_threads(rows_queries(Most)), Most <= 64 ? 2 : 1)
    prefill_attention(const RowsTask* tasks, int stages, int element) {
  constexpr int queries = rows_queries(Most), threads = rows_threads(queries), kQuads = Most / 64;
  constexpr int kLanes = kLane * queries / threads;  // that a thread has in a query's exponentials
  const RowsTask& task = tasks[blockIdx.x];          // few of its words are needed in the loops: not all in registers
  const int t = static_cast<int>(threadIdx.x), d = task.d, padded = static_cast<int>(round_up(d, kLane));
  const int count = task.rows * task.group, whole = static_cast<int>(round_up(count, 4));
  gpu::Shared shared;
  const PrefillLayout<queries> at(shared, d, stages, element);
  PrefillStages<Storage, queries> copies(task, at, stages, d);

  if (stages == 2) copies.fetch();
  fetch_queries<queries>(at.q, task.q, task.q_head, task.q_row, task.group, count, d);

  const int first = t % (queries / 4) * 4, slot = t / (queries / 4) * 4;  // of the logits
  const int quad = t % kLane, mine = t / kLane * 4;                       // of the values
  const int v = t % queries, lane = t / queries * kLanes;                 // of the exponentials
  const float scale = task.scale;
  float highest = minus_infinity(), total = 0;  // of query v, where lane = 0
  float sums[kQuads][4][4];                     // query, dim
  ZS_UNROLL for (int c = 0; c < kQuads; ++c) ZS_UNROLL for (int i = 0; i < 4; ++i) ZS_UNROLL for (int j = 0; j < 4; ++j)
      sums[c][i][j] = 0;

  int s = 0;
  for (SeenChunk chunk(task); chunk.seen; chunk.next()) {
    const KeyChunk& of = task.chunks[chunk.number];
    const float* const bias = of.bias;
    const bool keys_are_floats = float_keys<Storage>(of), values_are_floats = float_values<Storage>(of);
    const int tiles = (chunk.seen + kLane - 1) / kLane;

    // ---- logits
    int visible[4];
    ZS_UNROLL for (int i = 0; i < 4; ++i) visible[i] = chunk.seen_by(task.row + (first + i) / task.group);
    for (int from = 0; from < chunk.seen; from += kRowsStage, ++s) {
      copies.arrive();
      if (first < whole && from + slot < tiles * kLane) {
        const float* const q = at.q + first;
        const Products x = keys_are_floats ? products_of<F32, queries>(q, copies.stage(s), slot, d)
                                           : products_of<Storage, queries>(q, copies.stage(s), slot, d);
        ZS_UNROLL for (int j = 0; j < 4; ++j) {
          Four e;
          ZS_UNROLL for (int i = 0; i < 4; ++i) e.x[i] = logit_of(x.x[i][j], scale, bias, from + slot + j, visible[i]);
          put_four(at.e + (from + slot + j) * queries + first, e);
        }
      }
      __syncthreads();
    }

    // ---- exponentials
    const bool sees = v < whole && chunk.seen_by(task.row + v / task.group) > 0;
    if (v < whole) ZS_UNROLL for (int l = 0; l < kLanes; ++l) {
        float top = minus_infinity();
        for (int tile = 0; tile < tiles; ++tile) top = greater_of(top, at.e[(tile * kLane + lane + l) * queries + v]);
        at.parts[(lane + l) * queries + v] = top;
      }
    __syncthreads();
    if (lane == 0 && v < whole) {
      float rescale = 1;
      if (sees) {
        const float higher =
            greater_of(highest, tree_of_16<queries>(at.parts + v, [](float a, float b) { return greater_of(a, b); }));
        rescale = exp_of(highest - higher);
        total = total * rescale;
        highest = higher;
      }
      at.rescale[v] = rescale;
      at.highest[v] = highest;
    }
    __syncthreads();
    if (v < whole) {
      const float top = at.highest[v];
      ZS_UNROLL for (int l = 0; l < kLanes; ++l) {
        float part = 0;
        for (int tile = 0; tile < tiles; ++tile) {
          float* const e = at.e + (tile * kLane + lane + l) * queries + v;
          const float x = exp_of(*e - top);
          *e = x;
          part = part + x;
        }
        at.parts[(lane + l) * queries + v] = part;
      }
    }
    __syncthreads();
    if (lane == 0 && sees) total = total + tree_of_16<queries>(at.parts + v, [](float a, float b) { return a + b; });

    // ---- values
    if (mine < whole) {
      const Four rescale = four(at.rescale + mine);
      ZS_UNROLL for (int c = 0; c < kQuads; ++c) ZS_UNROLL for (int i = 0; i < 4; ++i)
          ZS_UNROLL for (int j = 0; j < 4; ++j) sums[c][i][j] = sums[c][i][j] * rescale.x[i];
    }
    for (int from = 0; from < chunk.seen; from += kRowsStage, ++s) {
      copies.arrive();
      const int slots = mine < whole ? min(chunk.seen - from, kRowsStage) : 0;
      const float* const e = at.e + from * queries + mine;
      if (values_are_floats)
        add_values<F32, queries>(sums, e, copies.stage(s), slots, padded, quad);
      else
        add_values<Storage, queries>(sums, e, copies.stage(s), slots, padded, quad);
      __syncthreads();
    }
  }
  gpu::cp_async_wait<0>();

  // ---- outputs, by way of shared memory, so that they are written row by row
  if (lane == 0 && v < count) {
    bool finite = true;
    for (int dim = 0; dim < d; ++dim)
      finite = finite && (gpu::bits_of(at.q[dim * rows_pitch(queries) + v]) & 0x7f800000u) != 0x7f800000u;
    const float inverse = finite ? 1.0f / total : gpu::float_of(0x7fc00000u);
    at.rescale[v] = inverse;
    if (task.highest) {
      const int64_t place = v % task.group * task.stat_stride + v / task.group;
      task.highest[place] = highest;
      task.inverse[place] = inverse;
    }
  }
  if (mine < whole) ZS_UNROLL for (int c = 0; c < kQuads; ++c) {
      const int dim = 4 * (quad + kLane * c);
      if (dim < padded)
        ZS_UNROLL for (int i = 0; i < 4; ++i)
            put_four(at.e + (mine + i) * padded + dim, {{sums[c][i][0], sums[c][i][1], sums[c][i][2], sums[c][i][3]}});
    }
  __syncthreads();
  for (int one = t / 32; one < count; one += threads / 32) {
    float* const out = task.out + one % task.group * task.out_head + one / task.group * task.out_row;
    for (int dim = t % 32; dim < d; dim += 32) out[dim] = at.e[one * padded + dim] * at.rescale[one];
  }
}

template <class Storage, int Most>
std::string prefill_most(const RowsTask* tasks, int32_t count, const PrefillShape& shape, gpu::Stream stream) {
  constexpr int queries = rows_queries(Most);
  const int element = shape.floats ? 4 : static_cast<int>(sizeof(typename Storage::Element));
  const auto bytes = [&](int stages) {
    gpu::Shared shared = gpu::Shared::counting();
    const PrefillLayout<queries> layout(shared, shape.d, stages, element);
    (void)layout;
    return shared.bytes();
  };
  const int stages = bytes(2) <= kMostShared ? 2 : 1;
  return gpu::launch(prefill_attention<Storage, Most>, gpu::Grid{static_cast<unsigned>(count), 1, 1},
                     rows_threads(queries), bytes(stages), stream, tasks, stages, element);
}

template <class Storage>
std::string prefill_of(const RowsTask* tasks, int32_t count, const PrefillShape& shape, gpu::Stream stream) {
  if (shape.d <= 64) return prefill_most<Storage, 64>(tasks, count, shape, stream);
  if (shape.d <= 128) return prefill_most<Storage, 128>(tasks, count, shape, stream);
  return prefill_most<Storage, 256>(tasks, count, shape, stream);
}

}  // namespace zs::cuda
#endif
