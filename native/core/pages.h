// Keys and values of consecutive slots in pages of up to kChunk, in the layout that the kernels read (core/kernels.h). Values have memory
// slot by slot, keys tile by tile (slot by slot, too, where slots are fixed). Copies share pages; whoever writes a shared page gets one of
// its own first.
#ifndef ZSLAB_CORE_PAGES_H
#define ZSLAB_CORE_PAGES_H

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "core/kernels.h"
#include "core/twin.h"

namespace zs {

constexpr int32_t kMostDims = 512;  // of a head

struct Geometry {
  int32_t d = 0;
  int32_t storage = ZS_F32;
  int64_t padded() const { return round_up(d, kLane); }
  int64_t element() const { return storage == ZS_F32 ? 4 : 2; }
  int64_t slot_bytes() const { return (d + padded()) * element(); }
};

struct Page {
  std::shared_ptr<void> memory;  // pages made together lie in one piece, so that prefetches run on from page to page
  char *keys = nullptr, *values = nullptr;
  int32_t capacity = 0;           // slots
  int32_t last = kLane;           // slots that there is room for in the last tile of keys, if that is not whole
  std::shared_ptr<Twin> twin;     // the same on a device; nullptr = it is not there
  std::atomic<bool> away{false};  // only the twin holds what the page does
  int64_t key_slots() const { return capacity / kLane * kLane + (capacity % kLane ? last : 0); }
};

class Pages {
 public:
  Pages() = default;
  explicit Pages(Geometry geometry) : geometry_(geometry) {}

  int32_t slots() const { return slots_; }
  // Slots beyond the former count hold whatever was written there before: write them first.
  void resize(int32_t slots) { slots_ = slots; }
  const Geometry& geometry() const { return geometry_; }
  int32_t chunks() const { return static_cast<int32_t>(round_up(slots_, kChunk) / kChunk); }
  KeyChunk chunk(int32_t i, const float* bias) const;
  // Of one page, from the first slot of a tile on; `bias` of the first.
  KeyChunk part(int32_t first, int32_t count, const float* bias) const;
  // Slots (less `offset`; at most kChunk, any) copied to `scratch`, which has room for kChunk and their bias; `bias` of slot 0.
  KeyChunk gather(const int32_t* slots, int32_t offset, int32_t count, const float* bias, char* scratch) const;
  int64_t bytes() const { return bytes_; }  // of memory, for slots that there are and for those to come
  int64_t twin_bytes() const;               // about as many as its twins have, shared ones too

  // Memory for so many, and some ahead where there is memory already, up to `most`; throws std::bad_alloc, the pages are then as they were.
  void reserve(int32_t slots, int64_t most = INT32_MAX);
  void fix(int32_t slots) { begin(slots, true), resize(slots); }  // float32, where there were none; never more
  void own(int32_t page);                                         // the page may be written afterwards
  void own_all();
  void own_slot(int32_t slot) { own(slot / kChunk); }

  // What follows never throws where the pages it writes are owned already; shared ones it makes its own first.
  void write(int32_t slot, const float* key, const float* value);
  void read(int32_t slot, float* key, float* value) const;       // either may be nullptr
  void copy(const Pages& from, int32_t source, int32_t target);  // same geometry; may be *this
  // Rows [first, first + count) of a token array into slots [first, …); `count` within one page.
  void write_rows(const float* keys, int64_t key_stride, const float* values, int64_t value_stride, int32_t first,
                  int32_t count);
  bool finite() const;  // no NaN or infinity in any slot

  // Twins for pages before page `end` that have none, made by `make`, which may throw. `version` is another afterwards if any twin is.
  void go(const std::function<std::shared_ptr<Twin>(const Page&, const Geometry&)>& make, int32_t end = INT32_MAX);
  bool have_gone() const;  // all have twins
  void stay();             // without twins: of pages that nobody else has, and that are here
  // A chunk as its twin holds it.
  KeyChunk twin_chunk(int32_t i, const float* bias) const;
  // Twins from page `first` on are about to be written; the pages are owned.
  void leave(int32_t first);
  uint64_t version() const { return version_; }  // two lists of pages with one version have the same twins

 private:
  const Page& here(int32_t page) const;  // with its content, brought over if it is away
  Page& written(int32_t page);           // the same, about to be written: without a twin
  void changed();
  void write_key(Page& page, int32_t at, const float* key);
  void write_value(Page& page, int32_t at, const float* value);
  int64_t key_bytes(const Page& page) const { return page.key_slots() * geometry_.d * geometry_.element(); }
  int64_t value_bytes(const Page& page) const { return page.capacity * geometry_.padded() * geometry_.element(); }
  int64_t page_bytes(const Page& page) const { return key_bytes(page) + value_bytes(page); }
  // Pages of so many slots each, in one piece of zeros; narrow: their last tiles have no more room than slots.
  std::vector<std::shared_ptr<Page>> make(const std::vector<int32_t>& capacities, bool narrow) const;
  std::shared_ptr<Page> larger(const Page& page, int32_t capacity) const;  // with the same content, if there is more
  void begin(int32_t slots, bool narrow);                                  // the first memory

  Geometry geometry_;
  int32_t slots_ = 0;
  int64_t room_ = 0, bytes_ = 0;  // of all pages: slots that have memory, and how much
  uint64_t version_ = 0;
  std::vector<std::shared_ptr<Page>> pages_;
};

}  // namespace zs
#endif
