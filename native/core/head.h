// What one kv head holds: slots in two segments (residual, always float32; and the rest: sink, context, recent, in the cache's
// storage), with weights, scores and origins beside them. A slot's number counts through both: residual first.
#ifndef ZSLAB_CORE_HEAD_H
#define ZSLAB_CORE_HEAD_H

#include <cstdint>
#include <vector>

#include "core/buffer.h"
#include "core/segment.h"

namespace zs {

// ln x for x >= 1, to the last bit but one; the same on every machine, which the C library's is not.
double natural_log(double x);

struct Counters {
  int64_t admitted = 0, left = 0, merged = 0, dropped = 0;
};

constexpr int32_t kLinkEnd = -1, kLinkDropped = -2;

struct Head {
  Segment residual, rest;
  std::vector<float> residual_scores, rest_scores;  // whole tiles; zeros without history
  std::vector<float> weights, bias;  // of residual slots: tokens they stand for, alpha ln of it; whole tiles
  std::vector<int32_t> first, last;  // of residual slots: ends of the chain of positions in `links`
  std::vector<int32_t> positions;    // of the rest
  std::vector<int32_t> links;  // by position: the next position of the same residual slot, kLinkEnd or kLinkDropped
  Counters counters;

  Head() = default;
  explicit Head(Geometry geometry) : residual({geometry.d, ZS_F32}), rest(geometry) {}

  int32_t slots() const { return residual.slots() + rest.slots(); }
  int32_t chunks() const { return residual.chunks() + rest.chunks(); }
  KeyChunk chunk(int32_t i) const;
  float* chunk_scores(int32_t i);

  // Memory for `slots` slots of the rest; throws std::bad_alloc, no content has then changed.
  void make_room(int32_t slots);
  // Room for `more` tokens after those in `rest`; throws as make_room.
  void reserve(int32_t more);
  // The token at `position` becomes the last slot of the rest; needs reserve() and an owned last page.
  void append(const float* key, const float* value, int32_t position);
  // Room for `count` residual slots, each still without content.
  void make_residual(int32_t count);
  // Residual slot `slot` starts as a token of weight 1.
  void seed(int32_t slot, const float* key, const float* value, float score, int32_t position);
  void set_weight(int32_t slot, double weight, float alpha);
  void chain(int32_t slot, int32_t position);  // appends a position to a residual slot's origins

  int64_t bookkeeping_bytes() const;
};

}  // namespace zs
#endif
