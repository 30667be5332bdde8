#include "core/head.h"

#include <utility>

namespace zs {

Head Head::emptied() const {
  Head made(open().pages.geometry(), origins);
  made.links = links;
  made.sizes = sizes;
  made.ring = ring;
  made.pinned = pinned;
  made.compressed = compressed;
  made.over_step = over_step;
  made.counters = counters;
  return made;
}

int32_t Head::slots() const {
  int32_t count = 0;
  for (const Segment& segment : segments) count += segment.slots();
  return count;
}

int32_t Head::residual() const {
  int32_t count = 0;
  for (const Segment& segment : segments) count += segment.merged ? segment.slots() : 0;
  return count;
}

int32_t Head::chunks() const {
  int32_t count = 0;
  for (const Segment& segment : segments) count += segment.chunks();
  return count;
}

int32_t Head::chunks_with_one_more() const { return chunks() + (open().slots() % kChunk == 0 ? 1 : 0); }

const Segment& Head::segment_of(int32_t& chunk) const {
  for (const Segment& segment : segments) {
    if (chunk < segment.chunks()) return segment;
    chunk -= segment.chunks();
  }
  return open();
}

float* Head::chunk_scores(int32_t i) {
  for (Segment& segment : segments) {
    if (i < segment.chunks()) return segment.chunk_scores(i);
    i -= segment.chunks();
  }
  return nullptr;
}

bool Head::plain() const {
  for (const Segment& segment : segments)
    if (!segment.plain()) return false;
  return true;
}

void Head::reserve(int32_t more) {
  // A head that has a budget holds no more, and the newest token; beyond it grows as if there were none.
  open().reserve(open().slots() + more, sizes.budget ? int64_t{sizes.budget} + 1 : INT32_MAX);
  if (origins) grow(links, links.size() + static_cast<size_t>(more));
  own_index();
  if (index) index->reserve(open().slots() + more);
}

void Head::reserve_moves(int32_t more, Head* other) {
  for (Segment& segment : segments) {
    if (segment.merged || &segment == &open()) continue;
    if (segment.format) {
      Segment* joint = nullptr;
      if (other && segment.format->joint)
        for (Segment& held : other->segments)
          if (held.format == segment.format) joint = &held;
      if (segment.format->joint && !joint) continue;  // changed with another head
      if (segment.format.use_count() > (joint ? 2 : 1)) {
        segment.format = segment.format->copy();
        if (joint) joint->format = segment.format;
      }
    }
    segment.reserve(segment.slots() + more);
    if (!segment.format)
      for (int32_t t = 0; t < more; ++t) segment.pages.own_slot(segment.slots() + t);
  }
}

void Head::own_index() {
  if (index && index.use_count() > 1) index = index->copy();
}

void Head::own(bool anywhere) {
  if (anywhere)
    for (Segment& segment : segments) segment.pages.own_all();
  else
    open().pages.own_slot(open().slots());
}

void Head::append(const float* key, const float* value, int32_t position) {
  append_books(position);
  open().pages.write(open().slots() - 1, key, value);
}

void Head::append_books(int32_t position) {
  Segment& to = open();
  const int32_t slot = to.slots();
  to.resize(slot + 1);
  to.scores[static_cast<size_t>(slot)] = 0;
  to.positions[static_cast<size_t>(slot)] = position;
  if (origins) links.push_back(kLinkEnd);
}

void Head::remove_last(bool unseen) {
  Segment& from = open();
  const int32_t last = from.slots() - 1;
  from.scores[static_cast<size_t>(last)] = 0;
  from.resize(last);
  if (unseen && origins) links.pop_back();
}

bool Head::newest_stand(int32_t from, int32_t to) const {
  int64_t found = 0;  // positions rise within a segment's newest
  for (const Segment& segment : segments)
    for (int32_t slot = segment.slots() - 1, next = to; !segment.merged && slot >= 0; --slot) {
      const int32_t position = segment.positions[static_cast<size_t>(slot)];
      if (position < from || position >= next) break;
      ++found, next = position;
    }
  return found == to - from;
}

void Head::forget(int32_t position) {
  if (origins) links.pop_back();
  for (Segment& segment : segments) {
    const int32_t last = segment.slots() - 1;
    if (segment.merged || last < 0 || segment.positions[static_cast<size_t>(last)] != position) continue;
    segment.scores[static_cast<size_t>(last)] = 0;
    segment.resize(last);
  }
}

Segment& Head::add_segment(std::shared_ptr<SlotFormat> format, bool scaled) {
  Segment made(open().pages.geometry());
  made.format = std::move(format);
  made.scaled = scaled;
  return *segments.insert(segments.end() - 1, std::move(made));
}

void Head::place(Segment& segment, int32_t position, float score, float key_scale, float value_scale) {
  const size_t slot = static_cast<size_t>(segment.slots());
  segment.resize(static_cast<int32_t>(slot) + 1);
  segment.positions[slot] = position;
  segment.scores[slot] = score;
  if (segment.scaled) segment.key_scales[slot] = key_scale, segment.value_scales[slot] = value_scale;
}

void Head::move_out(int32_t from, int32_t count) {
  Segment& held = open();
  const int32_t left = held.slots() - count;
  for (int32_t slot = from; slot < left; ++slot) {
    const size_t to = static_cast<size_t>(slot), source = static_cast<size_t>(slot + count);
    held.pages.copy(held.pages, slot + count, slot);
    held.scores[to] = held.scores[source];
    held.positions[to] = held.positions[source];
  }
  for (int32_t slot = left; slot < held.slots(); ++slot) held.scores[static_cast<size_t>(slot)] = 0;
  held.resize(left);
}

void Head::move_last(int32_t slot, float* key, float* value) {
  Segment& held = open();
  const int32_t last = held.slots() - 1;
  held.pages.read(last, key, value);
  for (int32_t i = last; i > slot; --i) held.pages.copy(held.pages, i - 1, i);
  held.pages.write(slot, key, value);
  std::rotate(held.scores.begin() + slot, held.scores.begin() + last, held.scores.begin() + last + 1);
  std::rotate(held.positions.begin() + slot, held.positions.begin() + last, held.positions.begin() + last + 1);
}

Segment& Head::add_merged(int32_t count) {
  Segment made({open().pages.geometry().d, ZS_F32});
  const size_t whole = static_cast<size_t>(round_up(count, kLane));
  made.merged = true;
  made.pages.fix(count);
  made.scores.assign(whole, 0.0f);
  made.weights.assign(whole, 0.0f);
  made.bias.assign(whole, 0.0f);
  made.first.assign(static_cast<size_t>(count), kLinkEnd);
  if (origins) made.last.assign(static_cast<size_t>(count), kLinkEnd);
  return *segments.insert(segments.end() - 1, std::move(made));
}

void Head::seed(Segment& segment, int32_t slot, const float* key, const float* value, float score, int32_t position) {
  segment.pages.write(slot, key, value);
  seed_books(segment, slot, score, position);
}

void Head::seed_books(Segment& segment, int32_t slot, float score, int32_t position) {
  const size_t i = static_cast<size_t>(slot);
  segment.scores[i] = score;
  segment.weights[i] = 1;
  segment.bias[i] = 0;
  segment.first[i] = position;
  if (!origins) return;
  segment.last[i] = position;
  links[static_cast<size_t>(position)] = kLinkEnd;
}

void Head::chain(Segment& segment, int32_t slot, int32_t position) {
  if (!origins) return;
  const size_t i = static_cast<size_t>(slot);
  links[static_cast<size_t>(segment.last[i])] = position;
  links[static_cast<size_t>(position)] = kLinkEnd;
  segment.last[i] = position;
}

int64_t Head::page_bytes() const {
  int64_t bytes = 0;
  for (const Segment& segment : segments) bytes += segment.page_bytes();
  return bytes;
}

int64_t Head::bookkeeping_bytes() const {
  int64_t bytes = static_cast<int64_t>(4 * links.capacity()) + (index ? index->bytes() : 0);
  for (const Segment& segment : segments) bytes += segment.bookkeeping_bytes();
  return bytes;
}

}  // namespace zs
