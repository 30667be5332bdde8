// Slots of one format, with what is known of each: the piece that attention runs over and that policies build caches of.
#ifndef ZSLAB_CORE_SEGMENT_H
#define ZSLAB_CORE_SEGMENT_H

#include <algorithm>
#include <memory>

#include "core/memory.h"
#include "core/natural_log.h"
#include "core/pages.h"

namespace zs {

template <class T>
void grow(Column<T>& column, size_t size) {
  if (size > column.capacity()) column.reserve(size + size / 16 + 16);  // one step's room is asked for again and again
}

// Slots kept in a form of a policy's own (codes, chosen channels, latents, directions): what attention reads is made of them as it is read.
// Copies of a head share it until one of them is about to change it.
struct SlotFormat {
  bool joint = false;  // held by a head and by that of the layer below, which change it together (hook `across`)
  virtual ~SlotFormat() = default;
  virtual std::shared_ptr<SlotFormat> copy() const = 0;
  virtual void reserve(int32_t slots) = 0;  // room for so many; throws std::bad_alloc
  virtual void resize(int32_t slots) = 0;   // the newest beyond so many are taken back; never throws
  // Of slots [first, first + count): keys [count][d], values [count], each value_stride floats after the one before. From any thread; never
  // throws.
  virtual void read(int32_t first, int32_t count, float* keys, float* values, int64_t value_stride) const = 0;
  // The same, a chunk at once and as kernels read it, in `scratch` what does not lie so already. Without (no keys): made of `read`.
  virtual KeyChunk chunk(int32_t, int32_t, char*) const { return {}; }
  virtual int64_t bytes() const = 0;  // one head's share: half of what is joint
  virtual bool finite() const = 0;    // no NaN or infinity
};

struct Segment {
  Pages pages;                         // keys and values, unless they are in a
  std::shared_ptr<SlotFormat> format;  // of the policy's
  Column<float> scores;                // whole tiles; zeros where none are kept
  bool scaled = false;                 // single: a slot's key and value are multiplied by these as they are read
  Column<float> key_scales, value_scales;
  bool merged = false;          // slots stand for several tokens each; else for one token, whose position is kept
  Column<float> weights;        // merged: tokens that a slot stands for; whole tiles
  Column<float> bias;           // merged: what is added to its logit, alpha ln of the weight; whole tiles
  Column<int32_t> first, last;  // merged: ends of a slot's chain of positions (Head::links)
  Column<int32_t> positions;    // single

  Segment() = default;
  explicit Segment(Geometry geometry) : pages(geometry) {}

  int32_t slots() const { return format ? static_cast<int32_t>(positions.size()) : pages.slots(); }
  int32_t chunks() const { return static_cast<int32_t>(round_up(slots(), kChunk) / kChunk); }
  bool plain() const {
    return !format && !scaled;
  }  // chunks lie as kernels read them; else they are made (core/reading.h)
  KeyChunk chunk(int32_t i) const {
    return pages.chunk(i, merged ? bias.data() + static_cast<int64_t>(i) * kChunk : nullptr);
  }
  int32_t chunk_slots(int32_t i) const { return std::min(kChunk, slots() - i * kChunk); }
  void read(int32_t slot, float* key, float* value) const;  // either may be nullptr
  // At most kLane slots from the first of a tile on, as kernels read them: keys [d][kLane], values [count][padded].
  void read_tile(int32_t first, int32_t count, float* keys, float* values) const;
  float* chunk_scores(int32_t i) { return scores.data() + static_cast<int64_t>(i) * kChunk; }
  float weight(int32_t slot) const { return merged ? weights[static_cast<size_t>(slot)] : 1; }
  int32_t position(int32_t slot) const { return (merged ? first : positions)[static_cast<size_t>(slot)]; }

  // Memory for `slots` slots, and some ahead, up to `most`; throws std::bad_alloc, no content has then changed.
  void reserve(int32_t slots, int64_t most = INT32_MAX);
  // So many slots of one token, without content yet; needs reserve(), and a format has written more than there were.
  void resize(int32_t slots);
  void set_weight(int32_t slot, double weight, float alpha);

  int64_t page_bytes() const { return format ? format->bytes() : pages.bytes(); }
  int64_t bookkeeping_bytes() const;
  bool finite() const;  // no NaN or infinity in keys, values, weights, scores
};

}  // namespace zs
#endif
