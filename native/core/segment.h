// Slots of one format and storage, with what is known of each: the piece that attention runs over and that policies build caches of.
#ifndef ZSLAB_CORE_SEGMENT_H
#define ZSLAB_CORE_SEGMENT_H

#include "core/memory.h"
#include "core/pages.h"

namespace zs {

// ln x for x >= 1, to the last bit but one; the same on every machine, which the C library's is not.
double natural_log(double x);

template <class T>
void grow(Column<T>& column, size_t size) {
  if (size > column.capacity()) column.reserve(size + size / 16 + 16);  // one step's room is asked for again and again
}

struct Segment {
  Pages pages;                  // keys and values
  Column<float> scores;         // whole tiles; zeros where none are kept
  bool merged = false;          // slots stand for several tokens each; else for one token, whose position is kept
  Column<float> weights;        // merged: tokens that a slot stands for; whole tiles
  Column<float> bias;           // merged: what is added to its logit, alpha ln of the weight; whole tiles
  Column<int32_t> first, last;  // merged: ends of a slot's chain of positions (Head::links)
  Column<int32_t> positions;    // single

  Segment() = default;
  explicit Segment(Geometry geometry) : pages(geometry) {}

  int32_t slots() const { return pages.slots(); }
  int32_t chunks() const { return pages.chunks(); }
  KeyChunk chunk(int32_t i) const {
    return pages.chunk(i, merged ? bias.data() + static_cast<int64_t>(i) * kChunk : nullptr);
  }
  float* chunk_scores(int32_t i) { return scores.data() + static_cast<int64_t>(i) * kChunk; }
  float weight(int32_t slot) const { return merged ? weights[static_cast<size_t>(slot)] : 1; }
  int32_t position(int32_t slot) const { return (merged ? first : positions)[static_cast<size_t>(slot)]; }

  // Memory for `slots` slots; throws std::bad_alloc, no content has then changed.
  void reserve(int32_t slots);
  // So many slots of one token, without content yet; needs reserve().
  void resize(int32_t slots);
  void set_weight(int32_t slot, double weight, float alpha);

  int64_t page_bytes() const { return pages.allocated() * pages.geometry().slot_bytes(); }
  int64_t bookkeeping_bytes() const;
  bool finite() const;  // no NaN or infinity in keys, values, weights, scores
};

}  // namespace zs
#endif
