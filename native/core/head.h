// What one kv head holds: a list of segments, and where each token went. A slot's number counts through the segments in order; the last
// one is open: new tokens are appended to it. Policies may put segments before it.
#ifndef ZSLAB_CORE_HEAD_H
#define ZSLAB_CORE_HEAD_H

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/segment.h"

namespace zs {

struct Counters {
  int64_t admitted = 0, left = 0, merged = 0, dropped = 0;
  int64_t returned = 0;  // of the dropped
};

struct Range {
  int32_t from, to;  // slots [from, to)
};

constexpr int32_t kLinkEnd = -1, kLinkDropped = -2;

// What a policy keeps of a head beside its slots. Copies of a head share it until one of them is about to change it.
struct HeadIndex {
  virtual ~HeadIndex() = default;
  virtual std::shared_ptr<HeadIndex> copy() const = 0;
  virtual void reserve(int32_t slots) = 0;  // room for so many; throws std::bad_alloc
  virtual int64_t bytes() const = 0;
};

struct Head {
  std::vector<Segment> segments;     // never empty
  std::shared_ptr<HeadIndex> index;  // the policy's; nullptr = none
  // By position: the next position of the same merged slot, kLinkEnd or kLinkDropped. Empty where origins are not wanted.
  Column<int32_t> links;
  bool origins = true;
  zs_resolved sizes{};
  int32_t read = 0;     // slots that the newest token read, of one query head the most; 0 = all
  int32_t ring = -1;    // slot that the next leaver comes from
  int32_t missing = 0;  // recent slots that are free since tokens were asked to leave: the next tokens take them
  std::vector<int32_t> pinned;  // positions that are never chosen to leave, ascending
  bool compressed = false;      // the policy has acted
  int64_t over_step = -1;       // the first that it held more than it may at, 0 = the prompt; -1: it never did
  Counters counters;

  Head() = default;
  Head(Geometry geometry, bool origins) : segments(1, Segment(geometry)), origins(origins) {}
  // The same head with nothing in it but one open segment: what a policy fills when it compresses.
  Head emptied() const;

  Segment& open() { return segments.back(); }
  const Segment& open() const { return segments.back(); }
  int32_t slots() const;
  int32_t first_open() const { return slots() - open().slots(); }  // number of the open segment's first slot
  int32_t residual() const;                                        // merged slots
  int32_t chunks() const;
  int32_t chunks_with_one_more() const;             // once the next token stands in it
  const Segment& segment_of(int32_t& chunk) const;  // `chunk` becomes its number there
  float* chunk_scores(int32_t i);
  bool plain() const;  // all segments are

  // Room for `more` tokens; throws std::bad_alloc, no content has then changed.
  void reserve(int32_t more);
  // The same in the segments before the open one, where tokens may move (hooks `settled`, `across`); what is there becomes the head's own,
  // a joint format the head's and `other`'s.
  void reserve_moves(int32_t more, Head* other = nullptr);
  void own_index();  // shared with no other head; throws std::bad_alloc
  // Pages of its own for one more token (`anywhere`: for any slot).
  void own(bool anywhere);
  // The token at `position` becomes the last slot; needs reserve() and an owned last page.
  void append(const float* key, const float* value, int32_t position);
  void append_books(int32_t position);  // its content comes otherwise
  void remove_last(bool unseen);        // unseen: as if the token had never come
  // The newest tokens, down to position `from`, are the last of their segments; forget() takes the newest of all back.
  bool newest_stand(int32_t from, int32_t to) const;
  void forget(int32_t position);

  // An empty segment of single tokens before the open one, in `format` (nullptr: pages, as the open one's).
  Segment& add_segment(std::shared_ptr<SlotFormat> format, bool scaled);
  // Books for one more slot of it: its content is in the format already, or to be written to its page. Needs reserve().
  static void place(Segment& segment, int32_t position, float score, float key_scale = 1, float value_scale = 1);
  // Slots [from, from + count) of the open segment have gone elsewhere; those after them move up.
  void move_out(int32_t from, int32_t count);
  // A segment of `count` merged slots in float32 before the open one, each still without content.
  Segment& add_merged(int32_t count);
  // Merged slot `slot` starts as a token of weight 1.
  void seed(Segment& segment, int32_t slot, const float* key, const float* value, float score, int32_t position);
  void seed_books(Segment& segment, int32_t slot, float score, int32_t position);  // its content comes otherwise
  void chain(Segment& segment, int32_t slot, int32_t position);  // appends a position to a merged slot's origins
  bool is_pinned(int32_t position) const { return std::binary_search(pinned.begin(), pinned.end(), position); }
  // The last slot of the open segment goes to `slot`, those from there on move down by one.
  void move_last(int32_t slot, float* key, float* value);  // scratch [d] each
  void dropped(int32_t position) {
    if (origins) links[static_cast<size_t>(position)] = kLinkDropped;
  }

  // `held` slots or readers at `step`, of which at most `may` are.
  void hold(int64_t held, int64_t may, int64_t step) {
    if (held > may && over_step < 0) over_step = step;
  }

  int64_t page_bytes() const;
  int64_t bookkeeping_bytes() const;
};

}  // namespace zs
#endif
