// What the core asks of a backend: attention over chunks of slots, column sums, and the upkeep of scores, as one table of functions.
// The core never sees an instruction set; native/cpu has one table per set, and all of them give the same bits.
//
// Chunks: at most kChunk slots of one kv head. Keys lie in tiles of 16 slots: float32 and float16 [slots/16][d][16], bfloat16
// [slots/16][d/2][16][2]; values in rows [slots][padded], padded = d rounded up to 16. The last tile may be partly filled, or of float32
// narrower: [d][last].
// Order of sums, on every backend: a logit is (even dims in one chain of fused multiply-adds + odd dims in another) * scale + bias;
// a chunk's probabilities are summed lane by lane, then as a fixed tree; values are added slot by slot; chunks are merged in order.
#ifndef ZSLAB_CORE_KERNELS_H
#define ZSLAB_CORE_KERNELS_H

#include <cstdint>
#include <string>
#include <vector>

#include "zslab/zslab.h"

namespace zs {

constexpr int kLane = 16;    // slots of a tile, dims of a vector
constexpr int kChunk = 256;  // slots of a page: the unit of work and of merging
constexpr int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

struct KeyChunk {
  const void* keys;
  const void* values;
  const float* bias;  // alpha ln w of each slot, padded to whole tiles; nullptr = none
  int32_t slots;
  int32_t storage;          // zs_storage
  bool float_keys = false;  // keys are float32 tiles, whatever the values' storage
  // Slots that the last tile has room for: as many as it holds, or kLane. Narrower tiles are float32 and have their values behind them, so
  // that kLane slots can be read from any of their rows.
  int32_t last = kLane;
};

// A chunk's keys, kept before rotation, turned to positions: pair i of a slot at position p by p * frequency i, whose cosine lies at
// cosines[i * stride + p]. (a, b) becomes (a cos - b sin, a sin + b cos), every product and sum rounded by itself.
struct TurnTask {
  KeyChunk chunk;            // whole tiles: merged keys are never kept before rotation
  const int32_t* positions;  // of each slot, whole tiles
  const float *cosines, *sines;
  int64_t stride;
  int32_t d, pairs;
  bool halves;  // pair i is dims i and i + pairs; else 2i and 2i + 1
  float* keys;  // out: float32 tiles
};

// One query row of each head of a group against one chunk.
struct DecodeTask {
  KeyChunk chunk;
  const float* q;  // head g at q + g * q_stride
  int64_t q_stride;
  int32_t group, d;
  float scale;
  float* e;  // out: exp(logit - highest), head g at e + g * e_stride, whole tiles (0 beyond the slots)
  int64_t e_stride;
  float *highest, *sum;  // out [group]
  float* out;            // out [group][padded]: sum of e * value
};

// Query rows of a prompt or turn: `rows` rows, the first of them number `row`, each over all chunks before first_causal and, of the chunks
// from there on (which hold the rows' own tokens, row 0 first), the tokens up to itself. Online softmax, chunk by chunk.
struct RowsTask {
  const KeyChunk* chunks;
  int32_t chunk_count, first_causal;
  int64_t row;
  int32_t rows;    // at most rows_per_unit(group)
  const float* q;  // head g, the r-th of the rows at q + g * q_head + r * q_row; so are out, highest and inverse
  int64_t q_head, q_row;
  int32_t group, d;
  float scale;
  float* out;
  int64_t out_head, out_row;
  float *highest,
      *inverse;  // out: of head g, the r-th row at [g * stat_stride + r]: highest logit, 1 / sum of exp; nullptr = not wanted
  int64_t stat_stride;
  float* moment;                  // like highest: sum of exp * (logit - highest); nullptr = not wanted
  float* scratch;                 // rows_scratch floats
  const volatile int32_t* abort;  // may be nullptr; seen between chunks, the output is then meaningless
};

// What rows of one head give to each token up to their own, from their statistics.
struct ProbabilitiesTask {
  const KeyChunk* chunks;  // of the rows' own tokens, row 0 first; float32
  int64_t row;             // number of the first of the rows
  int32_t rows, d;
  const float* q;
  int64_t q_row;
  float scale;
  const float *highest, *inverse;  // of the rows
  float* out;                      // row r at r * out_row, whole tiles: zeros beyond its own token
  int64_t out_row;
};

// Column sums under one decay: acc[slot] = decay * acc[slot] + sum over the group of p, for rows from `from` on, ascending.
struct Fade {
  float decay;
  int64_t from;
  float* acc;  // whole tiles
};

// Column sums of rows up to `to` under one decay or several at once. Rows before `first` (the chunk's first slot counted in rows; any number
// up to the least `from` where all slots are older) do not see the chunk.
struct ColumnsTask {
  KeyChunk chunk;
  int64_t first;
  bool causal;
  int64_t to;
  const Fade* fades;
  int32_t fade_count;
  const float* q;
  int64_t q_head, q_row;
  int32_t group, d;
  float scale;
  const float *highest, *inverse;  // of head g, row r at [g * stat_stride + r]
  int64_t stat_stride;
  float* scratch;  // columns_scratch floats
  const volatile int32_t* abort;
};

// Parts of what attention with nothing removed is measured by (core/local_rows.cpp), of kLane query rows at once: "lanes" are an array's
// innermost dimension, [kLane], a row each. A mask of rows has bit r for row r; keys and values are float32.
// out[j][g] = scale * sum over i of from[j][i * stride] * x[g][i], i < d.
struct ProductsTask {
  const float* const* from;  // [count rounded up to kBeside], all to be read
  int32_t stride;            // 1, or kLane: a column of a tile
  int32_t count;
  const float* x;  // lanes [group][d]
  int32_t group, d;
  float scale;
  float* out;  // lanes [count rounded up to kBeside][group]
};
constexpr int kBeside = 8;
// out[g][i] += sum over the slots of `list` of e * value, sum[g] = sum of e, each of the rows alone that `rows` has for the slot.
struct WeighTask {
  const float* values;  // [slots][padded]
  int64_t padded;
  const int32_t* list;
  int32_t count;
  const uint16_t* rows;  // [slots]
  const float* e;        // lanes [slots][group]
  int32_t group, d;
  float* out;  // lanes [group][padded]
  float* sum;  // lanes [group]
};
// What leaving single slots out changes, of each entry j: slot list[j] in rows[j]; p = e * factor. Sums over these rows and the group.
struct LeaveOutTask {
  const int32_t* list;
  const uint16_t* rows;
  int32_t count;
  const float *values, *squares;  // [slots][padded], and their squared lengths [slots]
  int64_t padded;
  const float *e, *factor;  // lanes [slots][group], [group]
  const float *out, *own;   // lanes: attention's output [group][d], and its squared length [group]
  const float* products;    // lanes [count][group]: of output and value
  int32_t group, d;
  float *p, *change;    // out [count]: of p; of p / (1 - p) |out - value| where p < 0.5
  float* most;          // out [count]: the largest p of a row, summed over the group,
  uint16_t* most_rows;  // and the rows that have it
  uint16_t* heavy;      // out [count]: rows with p >= 0.5 in a head
};

struct AttentionKernels {
  void (*decode)(const DecodeTask& task);
  // out[g] = sum over chunks of partial * exp(highest_c - highest) / l; factor[c * group + g] turns chunk c's e into probabilities.
  void (*merge)(const float* highest, const float* sum, const float* partial, int32_t chunks, int32_t group, int32_t d,
                float* factor, float* out, int64_t out_stride);
  // score = decay * score + sum over the group of e * factor.
  void (*scores)(const float* e, int64_t e_stride, const float* factor, int32_t group, int32_t slots, float decay,
                 float* score);
  // First index of the smallest value in [from, to); from where nothing is smaller than infinity.
  int64_t (*smallest)(const float* values, int64_t from, int64_t to);
  // The smallest value in [from, to) but for that at `but`; infinity where nothing is smaller.
  float (*least_but)(const float* values, int64_t from, int64_t to, int64_t but);
  // Similarity of `key` [d] to each of a chunk's float32 keys (zs_similarity; larger = more alike); out in whole tiles.
  void (*similarity)(int32_t kind, const KeyChunk& chunk, int32_t d, const float* key, float* out);
  void (*rows)(const RowsTask& task);
  void (*columns)(const ColumnsTask& task);
  void (*turn)(const TurnTask& task);
  // A chunk's keys as tiles and values as rows in float32: where they lie, or in `into`.
  const float* (*float_keys)(const KeyChunk& chunk, int32_t d, int32_t tiles, float* into);
  const float* (*float_values)(const KeyChunk& chunk, int64_t padded, int64_t slots, float* into);
  void (*products)(const ProductsTask& task);
  // e [slots][group] = exp(e - highest), `highest` [group] having become that of these too, of the rows that see the slot; factor [group] is
  // what turns into that what was told by the former one. Lanes all.
  void (*powers)(float* e, int32_t slots, int32_t group, const uint16_t* rows, float* highest, float* factor);
  void (*times)(float* values, int64_t count, const float* factor);  // lanes [count] by lanes
  void (*squares)(const float* values, int64_t padded, int32_t slots, float* out);
  void (*weigh)(const WeighTask& task);
  void (*leave_out)(const LeaveOutTask& task);
  void (*probabilities)(const ProbabilitiesTask& task);
};

// Rows of one unit of work: fewer for large groups, so that a unit stays short.
inline int32_t rows_per_unit(int32_t group) { return group >= 16 ? 4 : group >= 8 ? 8 : group >= 4 ? 16 : 32; }
inline int64_t rows_scratch(int32_t group, int32_t d) {
  const int64_t padded = round_up(d, kLane), rows = rows_per_unit(group);
  return kChunk * (d + padded) + rows * kChunk + group * rows * (padded + 3) + kLane;
}
inline int64_t columns_scratch(int32_t d) { return kChunk * static_cast<int64_t>(d) + 8 * kChunk; }

// Of native/cpu: the table of one instruction set (nullptr where this build has none), and what this CPU has.
const AttentionKernels* attention_kernels(zs_isa isa);
struct Cpu {
  bool avx2, avx512;
  bool quick_bf16;  // multiplies bfloat16 faster than float32 (docs/products.md); then it has avx512, too
  std::vector<std::string> features;  // names worth printing, in a fixed order
};
Cpu detect_cpu();

}  // namespace zs
#endif
