#include "core/pages.h"

#include <algorithm>
#include <cstring>

#include "core/half.h"
#include "core/memory.h"

namespace zs {
namespace {

// Index of dim i of a slot in its tile (slot counted within the tile).
inline int64_t key_at(const Geometry& g, int32_t slot, int32_t i) {
  const int64_t tile = static_cast<int64_t>(slot / kLane) * g.d * kLane, lane = slot % kLane;
  return g.storage == ZS_BF16 ? tile + (i / 2) * 2 * kLane + lane * 2 + i % 2
                              : tile + static_cast<int64_t>(i) * kLane + lane;
}

inline uint16_t halved(int32_t storage, float x) { return storage == ZS_BF16 ? bf16_of(x) : f16_of(x); }
inline float widened(int32_t storage, uint16_t x) { return storage == ZS_BF16 ? of_bf16(x) : of_f16(x); }

}  // namespace

KeyChunk Pages::chunk(int32_t i, const float* bias) const {
  const Page& page = *pages_[static_cast<size_t>(i)];
  return {page.keys, page.values, bias, std::min(kChunk, slots_ - i * kChunk), geometry_.storage};
}

std::shared_ptr<Page> Pages::make(int32_t capacity) const {
  const int64_t bytes = capacity * geometry_.slot_bytes();
  auto page = std::make_shared<Page>();
  page->memory = page_memory(bytes);
  page->keys = static_cast<char*>(page->memory.get());
  page->values = page->keys + static_cast<int64_t>(capacity) * geometry_.d * geometry_.element();
  page->capacity = capacity;
  std::memset(page->keys, 0, static_cast<size_t>(bytes));
  return page;
}

void Pages::reserve(int32_t slots) {
  if (slots <= allocated_) return;
  if (pages_.empty()) {  // all at once, in one piece
    const int64_t whole = round_up(slots, kLane), bytes = whole * geometry_.slot_bytes();
    const std::shared_ptr<void> memory = page_memory(bytes);
    std::memset(memory.get(), 0, static_cast<size_t>(bytes));
    std::vector<std::shared_ptr<Page>> pages;
    char* at = static_cast<char*>(memory.get());
    for (int64_t from = 0; from < whole; from += kChunk) {
      auto page = std::make_shared<Page>();
      page->memory = memory;
      page->capacity = static_cast<int32_t>(std::min<int64_t>(kChunk, whole - from));
      page->keys = at;
      page->values = at + static_cast<int64_t>(page->capacity) * geometry_.d * geometry_.element();
      at += page->capacity * geometry_.slot_bytes();
      pages.push_back(std::move(page));
    }
    pages_ = std::move(pages);
    allocated_ = whole;
    return;
  }
  if (Page& last = *pages_.back(); last.capacity < kChunk) {
    const int64_t first = static_cast<int64_t>(pages_.size() - 1) * kChunk;
    const int64_t wanted = std::max<int64_t>(round_up(slots - first, kLane), 2 * last.capacity);
    auto larger = make(static_cast<int32_t>(std::min<int64_t>(kChunk, wanted)));
    std::memcpy(larger->keys, last.keys, static_cast<size_t>(last.capacity * geometry_.d * geometry_.element()));
    std::memcpy(larger->values, last.values,
                static_cast<size_t>(last.capacity * geometry_.padded() * geometry_.element()));
    allocated_ += larger->capacity - last.capacity;
    pages_.back() = std::move(larger);
  }
  while (allocated_ < slots) {
    const int64_t rest = round_up(slots - static_cast<int64_t>(pages_.size()) * kChunk, kLane);
    pages_.push_back(make(static_cast<int32_t>(std::min<int64_t>(kChunk, std::max<int64_t>(rest, 64)))));
    allocated_ += pages_.back()->capacity;
  }
}

void Pages::own(int32_t page) {
  auto& held = pages_[static_cast<size_t>(page)];
  if (held.use_count() == 1) return;
  auto copy = make(held->capacity);
  std::memcpy(copy->keys, held->keys, static_cast<size_t>(held->capacity * geometry_.slot_bytes()));
  held = std::move(copy);
}

void Pages::own_all() {
  for (size_t i = 0; i < pages_.size(); ++i) own(static_cast<int32_t>(i));
}

namespace {

// A slot's key lies in one column of its tile: float32 and float16 dims 16 apart, bfloat16 pairs of dims 16 pairs apart. f(i, at): dim i, and
// its element's index.
template <class F>
inline void each_dim(const Geometry& g, int32_t slot, F f) {
  const int64_t start = key_at(g, slot, 0);
  if (g.storage == ZS_BF16)
    for (int32_t i = 0; i < g.d; i += 2) f(i, start + i * kLane), f(i + 1, start + i * kLane + 1);
  else
    for (int32_t i = 0; i < g.d; ++i) f(i, start + static_cast<int64_t>(i) * kLane);
}

template <class T>
inline void copy_column(const Geometry& g, const char* from, int32_t source, char* to, int32_t target) {
  const T* const a = reinterpret_cast<const T*>(from);
  T* const b = reinterpret_cast<T*>(to);
  const int64_t shift = key_at(g, target, 0) - key_at(g, source, 0);
  each_dim(g, source, [&](int32_t, int64_t at) { b[at + shift] = a[at]; });
}

}  // namespace

void Pages::write_key(Page& page, int32_t at, const float* key) {
  if (geometry_.storage == ZS_F32) {
    float* keys = reinterpret_cast<float*>(page.keys);
    each_dim(geometry_, at, [&](int32_t i, int64_t to) { keys[to] = key[i]; });
  } else {
    uint16_t* keys = reinterpret_cast<uint16_t*>(page.keys);
    each_dim(geometry_, at, [&](int32_t i, int64_t to) { keys[to] = halved(geometry_.storage, key[i]); });
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
  Page& page = *pages_[static_cast<size_t>(slot / kChunk)];
  write_key(page, slot % kChunk, key);
  write_value(page, slot % kChunk, value);
}

void Pages::write_rows(const float* keys, int64_t key_stride, const float* values, int64_t value_stride, int32_t first,
                       int32_t count) {
  Page& page = *pages_[static_cast<size_t>(first / kChunk)];
  for (int32_t t = 0; t < count; ++t) {
    write_key(page, first % kChunk + t, keys + t * key_stride);
    write_value(page, first % kChunk + t, values + t * value_stride);
  }
}

void Pages::read(int32_t slot, float* key, float* value) const {
  const Page& page = *pages_[static_cast<size_t>(slot / kChunk)];
  const int32_t at = slot % kChunk, storage = geometry_.storage;
  const int64_t row = at * geometry_.padded();
  if (storage == ZS_F32) {
    const float* const keys = reinterpret_cast<const float*>(page.keys);
    if (key) each_dim(geometry_, at, [&](int32_t i, int64_t from) { key[i] = keys[from]; });
    if (value)
      std::memcpy(value, reinterpret_cast<const float*>(page.values) + row,
                  sizeof(float) * static_cast<size_t>(geometry_.d));
    return;
  }
  const uint16_t* const keys = reinterpret_cast<const uint16_t*>(page.keys);
  const uint16_t* const values = reinterpret_cast<const uint16_t*>(page.values) + row;
  if (key) each_dim(geometry_, at, [&](int32_t i, int64_t from) { key[i] = widened(storage, keys[from]); });
  for (int32_t i = 0; value && i < geometry_.d; ++i) value[i] = widened(storage, values[i]);
}

void Pages::copy(const Pages& from, int32_t source, int32_t target) {
  own_slot(target);
  const Page& a = *from.pages_[static_cast<size_t>(source / kChunk)];
  Page& b = *pages_[static_cast<size_t>(target / kChunk)];
  const int32_t at = source % kChunk, to = target % kChunk;
  if (geometry_.storage == ZS_F32)
    copy_column<float>(geometry_, a.keys, at, b.keys, to);
  else
    copy_column<uint16_t>(geometry_, a.keys, at, b.keys, to);
  const int64_t row = geometry_.padded() * geometry_.element();
  std::memmove(b.values + to * row, a.values + at * row, static_cast<size_t>(row));
}

KeyChunk Pages::part(int32_t first, int32_t count, const float* bias) const {
  const Page& page = *pages_[static_cast<size_t>(first / kChunk)];
  const int64_t at = first % kChunk;
  return {page.keys + at * geometry_.d * geometry_.element(),
          page.values + at * geometry_.padded() * geometry_.element(), bias, count, geometry_.storage};
}

KeyChunk Pages::gather(const int32_t* slots, int32_t offset, int32_t count, const float* bias, char* scratch) const {
  const int64_t element = geometry_.element(), row = geometry_.padded() * element, tile = geometry_.d * kLane * element;
  char* const keys = scratch;
  char* const values = keys + kChunk * geometry_.d * element;
  float* const biases = reinterpret_cast<float*>(values + kChunk * row);
  for (int32_t i = 0; i < count;) {
    const int32_t slot = slots[i] - offset, at = slot % kChunk;
    const Page& page = *pages_[static_cast<size_t>(slot / kChunk)];
    int32_t run = 1;  // whole tiles lie as they are to lie
    if (at % kLane == 0 && i % kLane == 0 && count - i >= kLane && slots[i + kLane - 1] - slots[i] == kLane - 1) {
      run = kLane;
      std::memcpy(keys + i / kLane * tile, page.keys + at / kLane * tile, static_cast<size_t>(tile));
    } else if (geometry_.storage == ZS_F32) {
      copy_column<float>(geometry_, page.keys, at, keys, i);
    } else {
      copy_column<uint16_t>(geometry_, page.keys, at, keys, i);
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
    for (int32_t slot = whole; slot < part.slots; ++slot)
      for (int32_t i = 0; i < geometry_.d; ++i)
        if (bad(static_cast<const char*>(part.keys) + key_at(geometry_, slot, i) * geometry_.element(), 1))
          return false;
  }
  return true;
}

}  // namespace zs
