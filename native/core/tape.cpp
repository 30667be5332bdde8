#include "core/tape.h"

#include <algorithm>
#include <new>

#include "core/cache.h"
#include "core/error.h"

namespace zs {
namespace {

// Address space is cheap and moving rows is not: after the first unit there is room for 2^28 rows (13 GB of addresses).
constexpr int64_t kGrowth = 4096;

// Room for `wanted` rows and more, with the first `rows` of `other` (may be NULL).
std::shared_ptr<TapeRows> made(const TapeRows* other, int64_t rows, int64_t wanted) {
  int64_t capacity = other ? other->capacity : kTapeUnit;
  while (capacity < wanted) capacity *= kGrowth;
  const auto make = [&](int64_t room) {
    return other ? std::make_shared<TapeRows>(*other, rows, room) : std::make_shared<TapeRows>(room);
  };
  try {
    return make(capacity);
  } catch (const std::bad_alloc&) {  // where addresses are counted as memory
    return make((2 * wanted + kTapeUnit - 1) / kTapeUnit * kTapeUnit);
  }
}

}  // namespace

void Tape::reserve(int64_t more) {
  const int64_t wanted = count_ + more;
  if (!rows_) {
    rows_ = made(nullptr, 0, wanted);
  } else {
    const bool mine = rows_->end == count_ || rows_.use_count() == 1;
    if (!mine || wanted > rows_->capacity || rows_->spilled > count_) rows_ = made(rows_.get(), count_, wanted);
    rows_->end = count_;
  }
  while ((wanted - rows_->spilled) * kRowBytes > memory_ && count_ - rows_->spilled >= kTapeUnit)
    rows_->spill(*folder_);
}

// Column by column: each line of memory is written at once.
void Tape::append(const std::vector<std::vector<Event>>& events) {
  TapeRows& rows = *rows_;
  int64_t end = count_;
#define ZS_PUT(TYPE, NAME)                                        \
  {                                                               \
    TYPE* const column = rows.NAME;                               \
    end = count_;                                                 \
    for (const auto& some : events)                               \
      for (const Event& event : some) column[end++] = event.NAME; \
  }
  ZS_TAPE_COLUMNS(ZS_PUT)
#undef ZS_PUT
  count_ = end;
  rows.end.store(end, std::memory_order_relaxed);
}

void Tape::forget(int32_t from) {
  int64_t first = 0;
  while (first < count_ && rows_->position[first] < from) ++first;
  int64_t stay = 0;
  for (int64_t i = first; i < count_; ++i) stay += rows_->position[i] < from;
  if (stay == 0) return truncate(first);
  const auto others = made(rows_.get(), first, count_);
  int64_t kept = first;
  for (int64_t i = first; i < count_; ++i) {
    if (rows_->position[i] >= from) continue;
#define ZS_MOVE(TYPE, NAME) others->NAME[kept] = rows_->NAME[i];
    ZS_TAPE_COLUMNS(ZS_MOVE)
#undef ZS_MOVE
    ++kept;
  }
  others->end = count_ = kept;
  rows_ = others;
}

zs_events Tape::columns() const {
  zs_events events{};
  events.count = count_;
  if (!rows_) return events;
#define ZS_SHOW(TYPE, NAME) events.NAME = rows_->NAME;
  ZS_TAPE_COLUMNS(ZS_SHOW)
#undef ZS_SHOW
  return events;
}

void Tape::bound(int64_t bytes, const char* folder) {
  folder_ = std::make_shared<const std::string>(folder);
  memory_ = bytes;
}

Tape Tape::emptied() const {
  Tape made;
  made.memory_ = memory_;
  made.folder_ = folder_;
  return made;
}

zs_tape_bytes Tape::bytes() const {
  const int64_t spilled = rows_ ? std::min<int64_t>(rows_->spilled, count_) : 0;
  return {count_, (count_ - spilled) * kRowBytes, spilled * kRowBytes};
}

}  // namespace zs

struct zs_held_events {
  std::shared_ptr<const zs::TapeRows> rows;
};

extern "C" {

zs_status zs_cache_spill(zs_cache* cache, int64_t bytes, const char* folder) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    if (!folder) zs::fail(ZS_INVALID, "folder is NULL: expected the path of a folder");
    if (bytes < 0) zs::fail(ZS_INVALID, "bytes is %lld: expected 0 or more", static_cast<long long>(bytes));
    cache->tape.bound(bytes, folder);
  });
}

zs_status zs_cache_tape_bytes(const zs_cache* cache, zs_tape_bytes* out) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    if (!out) zs::fail(ZS_INVALID, "out is NULL: expected a place for the bytes");
    *out = cache->tape.bytes();
  });
}

zs_status zs_cache_hold_events(zs_cache* cache, zs_events* out, zs_held_events** hold) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    if (!out || !hold) zs::fail(ZS_INVALID, "out or hold is NULL: expected places for the events and their holder");
    *hold = new zs_held_events{cache->tape.rows()};
    *out = cache->tape.columns();
  });
}

void zs_held_events_release(zs_held_events* hold) { delete hold; }

}  // extern "C"
