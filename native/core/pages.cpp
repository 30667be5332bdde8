#include "core/pages.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "core/error.h"
#include "core/half.h"
#include "core/memory.h"

namespace zs {
namespace {

// Where a slot's key lies: the index of dim 0, and how far it is from each dim to the next (bfloat16: half as far as from pair to pair).
struct Lane {
  int64_t start;
  int32_t step;
};
// `width`: slots that its tile has room for.
inline Lane lane_of(const Geometry& g, int32_t slot, int32_t width = kLane) {
  const int64_t tile = static_cast<int64_t>(slot / kLane) * g.d * kLane, lane = slot % kLane;
  return {g.storage == ZS_BF16 ? tile + 2 * lane : tile + lane, width};
}
inline Lane lane_of(const Geometry& g, const Page& page, int32_t slot) {
  return lane_of(g, slot, slot < page.capacity / kLane * kLane ? kLane : page.last);
}

inline uint16_t halved(int32_t storage, float x) { return storage == ZS_BF16 ? bf16_of(x) : f16_of(x); }
inline float widened(int32_t storage, uint16_t x) { return storage == ZS_BF16 ? of_bf16(x) : of_f16(x); }

std::mutex bringing;
std::atomic<uint64_t> versions{0};

}  // namespace

const Page& Pages::here(int32_t i) const {
  Page& page = *pages_[static_cast<size_t>(i)];
  if (!page.away.load(std::memory_order_acquire)) return page;
  const std::lock_guard<std::mutex> lock(bringing);
  if (page.away.load(std::memory_order_relaxed)) {
    page.twin->read(page);
    page.away.store(false, std::memory_order_release);
  }
  return page;
}

Page& Pages::written(int32_t i) {
  here(i);
  Page& page = *pages_[static_cast<size_t>(i)];
  if (page.twin) {
    page.twin.reset();
    changed();
  }
  return page;
}

void Pages::changed() { version_ = versions.fetch_add(1, std::memory_order_relaxed) + 1; }

KeyChunk Pages::twin_chunk(int32_t i, const float* bias) const {
  const Twin& twin = *pages_[static_cast<size_t>(i)]->twin;
  return {twin.keys, twin.values, bias, std::min(kChunk, slots_ - i * kChunk), geometry_.storage};
}

void Pages::go(const std::function<std::shared_ptr<Twin>(const Page&, const Geometry&)>& make, int32_t end) {
  const size_t count = std::min(pages_.size(), static_cast<size_t>(end));
  for (size_t i = 0; i < count; ++i) {
    Page& page = *pages_[i];
    if (page.twin) continue;
    page.twin = make(page, geometry_);
    changed();
  }
}

bool Pages::have_gone() const {
  return std::all_of(pages_.begin(), pages_.end(), [](const auto& page) { return page->twin != nullptr; });
}

void Pages::stay() {
  for (auto& page : pages_) {
    if (!page->twin) continue;
    page->twin.reset();
    changed();
  }
}

int64_t Pages::twin_bytes() const {
  int64_t slots = 0;
  for (const auto& page : pages_) slots += page->twin ? round_up(page->capacity, kLane) : 0;
  return slots * geometry_.slot_bytes();
}

void Pages::leave(int32_t first) {
  for (size_t i = static_cast<size_t>(first); i < pages_.size(); ++i)
    pages_[i]->away.store(true, std::memory_order_release);
}

KeyChunk Pages::chunk(int32_t i, const float* bias) const {
  const Page& page = here(i);
  return {page.keys, page.values, bias, std::min(kChunk, slots_ - i * kChunk), geometry_.storage, false, page.last};
}

std::vector<std::shared_ptr<Page>> Pages::make(const std::vector<int32_t>& capacities, bool narrow) const {
  std::vector<std::shared_ptr<Page>> pages;
  int64_t bytes = 0;
  for (int32_t capacity : capacities) {
    auto page = std::make_shared<Page>();
    page->capacity = capacity;
    if (narrow && capacity % kLane) page->last = capacity % kLane;
    bytes += page_bytes(*page);
    pages.push_back(std::move(page));
  }
  const std::shared_ptr<void> memory = page_memory(bytes);
  std::memset(memory.get(), 0, static_cast<size_t>(bytes));
  char* at = static_cast<char*>(memory.get());
  for (auto& page : pages) {
    page->memory = memory;
    page->keys = at;
    page->values = at + key_bytes(*page);
    at += page_bytes(*page);
  }
  return pages;
}

void Pages::begin(int32_t slots, bool narrow) {
  std::vector<int32_t> capacities;
  for (int32_t from = 0; from < slots; from += kChunk) capacities.push_back(std::min(kChunk, slots - from));
  pages_ = make(capacities, narrow);
  room_ = slots;
  for (const auto& page : pages_) bytes_ += page_bytes(*page);
}

void Pages::reserve(int32_t slots, int64_t most) {
  if (slots <= room_) return;
  if (pages_.empty()) return begin(slots, false);
  if (slots > most) most = INT32_MAX;
  // Of a page of which slot `first` is the first.
  const auto capacity = [&](int64_t first, int64_t ahead) {
    const int64_t whole = round_up(std::max(slots - first, ahead), kLane);
    return static_cast<int32_t>(std::min<int64_t>({kChunk, whole, most - first}));
  };
  if (Page& last = *pages_.back(); last.capacity < kChunk) {
    const int64_t first = static_cast<int64_t>(pages_.size() - 1) * kChunk;
    auto made = larger(last, capacity(first, 2 * last.capacity));
    room_ += made->capacity - last.capacity;
    bytes_ += page_bytes(*made) - page_bytes(last);
    pages_.back() = std::move(made);
    changed();
  }
  while (room_ < slots) {
    pages_.push_back(make({capacity(static_cast<int64_t>(pages_.size()) * kChunk, 64)}, false).front());
    room_ += pages_.back()->capacity;
    bytes_ += page_bytes(*pages_.back());
    changed();
  }
}

std::shared_ptr<Page> Pages::larger(const Page& page, int32_t capacity) const {
  auto made = make({capacity}, page.last != kLane).front();
  try {
    if (page.twin) made->twin = page.twin->copy(capacity);
  } catch (const Error& e) {
    if (e.status != ZS_OUT_OF_MEMORY || page.away)
      throw;  // else the page is here, and goes there again when there is room
  }
  if (page.away) {
    made->away = true;
  } else {
    std::memcpy(made->keys, page.keys, static_cast<size_t>(key_bytes(page)));
    std::memcpy(made->values, page.values, static_cast<size_t>(value_bytes(page)));
  }
  return made;
}

void Pages::own(int32_t page) {
  auto& held = pages_[static_cast<size_t>(page)];
  if (held.use_count() == 1) return;
  held = larger(*held, held->capacity);
  changed();
}

void Pages::own_all() {
  for (size_t i = 0; i < pages_.size(); ++i) own(static_cast<int32_t>(i));
}

namespace {

// f(i, at): dim i of a slot's key, and its element's index.
template <class F>
inline void each_dim(const Geometry& g, Lane lane, F f) {
  const int64_t start = lane.start, step = lane.step;
  if (g.storage == ZS_BF16)
    for (int32_t i = 0; i < g.d; i += 2) f(i, start + i * step), f(i + 1, start + i * step + 1);
  else
    for (int32_t i = 0; i < g.d; ++i) f(i, start + i * step);
}

template <class T>
inline void copy_key(const Geometry& g, const char* from, Lane source, char* to, Lane target) {
  const T* a = reinterpret_cast<const T*>(from) + source.start;
  T* b = reinterpret_cast<T*>(to) + target.start;
  if (g.storage == ZS_BF16)
    for (int32_t i = 0; i < g.d; i += 2, a += 2 * source.step, b += 2 * target.step) b[0] = a[0], b[1] = a[1];
  else
    for (int32_t i = 0; i < g.d; ++i, a += source.step, b += target.step) *b = *a;
}
inline void copy_key(const Geometry& g, const char* from, Lane source, char* to, Lane target) {
  if (g.storage == ZS_F32)
    copy_key<float>(g, from, source, to, target);
  else
    copy_key<uint16_t>(g, from, source, to, target);
}

}  // namespace

void Pages::write_key(Page& page, int32_t at, const float* key) {
  const Lane lane = lane_of(geometry_, page, at);
  if (geometry_.storage == ZS_F32) {
    float* keys = reinterpret_cast<float*>(page.keys);
    each_dim(geometry_, lane, [&](int32_t i, int64_t to) { keys[to] = key[i]; });
  } else {
    uint16_t* keys = reinterpret_cast<uint16_t*>(page.keys);
    each_dim(geometry_, lane, [&](int32_t i, int64_t to) { keys[to] = halved(geometry_.storage, key[i]); });
  }
}

void Pages::write_value(Page& page, int32_t at, const float* value) {
  const int64_t row = at * geometry_.padded();
  if (geometry_.storage == ZS_F32) {
    std::memcpy(reinterpret_cast<float*>(page.values) + row, value, sizeof(float) * static_cast<size_t>(geometry_.d));
  } else {
    uint16_t* values = reinterpret_cast<uint16_t*>(page.values) + row;
    for (int32_t i = 0; i < geometry_.d; ++i) values[i] = halved(geometry_.storage, value[i]);
  }
}

void Pages::write(int32_t slot, const float* key, const float* value) {
  own_slot(slot);
  Page& page = written(slot / kChunk);
  write_key(page, slot % kChunk, key);
  write_value(page, slot % kChunk, value);
}

void Pages::write_rows(const float* keys, int64_t key_stride, const float* values, int64_t value_stride, int32_t first,
                       int32_t count) {
  Page& page = written(first / kChunk);
  for (int32_t t = 0; t < count; ++t) {
    write_key(page, first % kChunk + t, keys + t * key_stride);
    write_value(page, first % kChunk + t, values + t * value_stride);
  }
}

void Pages::read(int32_t slot, float* key, float* value) const {
  const Page& page = here(slot / kChunk);
  const int32_t at = slot % kChunk, storage = geometry_.storage;
  const int64_t row = at * geometry_.padded();
  const Lane lane = lane_of(geometry_, page, at);
  if (storage == ZS_F32) {
    const float* const keys = reinterpret_cast<const float*>(page.keys);
    if (key) each_dim(geometry_, lane, [&](int32_t i, int64_t from) { key[i] = keys[from]; });
    if (value)
      std::memcpy(value, reinterpret_cast<const float*>(page.values) + row,
                  sizeof(float) * static_cast<size_t>(geometry_.d));
    return;
  }
  const uint16_t* const keys = reinterpret_cast<const uint16_t*>(page.keys);
  const uint16_t* const values = reinterpret_cast<const uint16_t*>(page.values) + row;
  if (key) each_dim(geometry_, lane, [&](int32_t i, int64_t from) { key[i] = widened(storage, keys[from]); });
  for (int32_t i = 0; value && i < geometry_.d; ++i) value[i] = widened(storage, values[i]);
}

void Pages::copy(const Pages& from, int32_t source, int32_t target) {
  own_slot(target);
  const Page& a = from.here(source / kChunk);
  Page& b = written(target / kChunk);
  const int32_t at = source % kChunk, to = target % kChunk;
  copy_key(geometry_, a.keys, lane_of(geometry_, a, at), b.keys, lane_of(geometry_, b, to));
  const int64_t row = geometry_.padded() * geometry_.element();
  std::memmove(b.values + to * row, a.values + at * row, static_cast<size_t>(row));
}

KeyChunk Pages::part(int32_t first, int32_t count, const float* bias) const {
  const Page& page = here(first / kChunk);
  const int64_t at = first % kChunk;
  return {page.keys + at * geometry_.d * geometry_.element(),
          page.values + at * geometry_.padded() * geometry_.element(),
          bias,
          count,
          geometry_.storage,
          false,
          at + count > page.capacity / kLane * kLane ? page.last : kLane};
}

KeyChunk Pages::gather(const int32_t* slots, int32_t offset, int32_t count, const float* bias, char* scratch) const {
  const int64_t element = geometry_.element(), row = geometry_.padded() * element, tile = geometry_.d * kLane * element;
  char* const keys = scratch;
  char* const values = keys + kChunk * geometry_.d * element;
  float* const biases = reinterpret_cast<float*>(values + kChunk * row);
  for (int32_t i = 0; i < count;) {
    const int32_t slot = slots[i] - offset, at = slot % kChunk;
    const Page& page = here(slot / kChunk);
    int32_t run = 1;  // whole tiles lie as they are to lie
    if (at % kLane == 0 && i % kLane == 0 && count - i >= kLane && slots[i + kLane - 1] - slots[i] == kLane - 1) {
      run = kLane;
      std::memcpy(keys + i / kLane * tile, page.keys + at / kLane * tile, static_cast<size_t>(tile));
    } else {
      copy_key(geometry_, page.keys, lane_of(geometry_, page, at), keys, lane_of(geometry_, i));
    }
    std::memcpy(values + i * row, page.values + at * row, static_cast<size_t>(run * row));
    if (bias) std::copy_n(bias + slot, run, biases + i);
    i += run;
  }
  return {keys, values, bias ? biases : nullptr, count, geometry_.storage};
}

bool Pages::finite() const {
  const auto bad = [&](const char* from, int64_t count) {
    uint32_t found = 0;
    if (geometry_.storage == ZS_F32) {
      const uint32_t* x = reinterpret_cast<const uint32_t*>(from);
      for (int64_t i = 0; i < count; ++i) found |= (x[i] & 0x7f800000u) == 0x7f800000u;
    } else {
      const uint16_t* x = reinterpret_cast<const uint16_t*>(from);
      const uint16_t all = geometry_.storage == ZS_BF16 ? 0x7f80u : 0x7c00u;
      for (int64_t i = 0; i < count; ++i) found |= (x[i] & all) == all;
    }
    return found != 0;
  };
  for (int32_t c = 0; c < chunks(); ++c) {
    const KeyChunk part = chunk(c, nullptr);
    const int32_t whole = part.slots / kLane * kLane;
    if (bad(static_cast<const char*>(part.keys), static_cast<int64_t>(whole) * geometry_.d)) return false;
    if (bad(static_cast<const char*>(part.values), part.slots * geometry_.padded())) return false;
    for (int32_t slot = whole; slot < part.slots; ++slot) {
      bool all = true;
      each_dim(geometry_, lane_of(geometry_, slot, part.last), [&](int32_t, int64_t at) {
        all = all && !bad(static_cast<const char*>(part.keys) + at * geometry_.element(), 1);
      });
      if (!all) return false;
    }
  }
  return true;
}

}  // namespace zs
