#include "cuda/backend/twin.h"

#include <algorithm>
#include <vector>

#include "cuda/backend/mail.h"
#include "cuda/backend/must.h"

namespace zs::cuda {
namespace {

// A narrow tile of float32 keys, [d][last], beside a whole one.
template <class F>
void each_row(int32_t d, int32_t last, F f) {
  for (int32_t i = 0; i < d; ++i) f(i * kLane, i * last);
}

}  // namespace

void PageTwin::make(int32_t capacity) {
  context_->here();
  capacity_ = capacity;
  const int64_t values_at = round_up(key_bytes(), kAlign);
  memory_ = context_->pool->take(values_at + value_bytes());
  keys = as<char>(memory_);
  values = keys + values_at;
}

PageTwin::PageTwin(std::shared_ptr<Context> context, const Geometry& geometry, const Page& page)
    : context_(std::move(context)), geometry_(geometry) {
  make(page.capacity);
  const gpu::Stream stream = context_->stream;
  const int64_t narrow = page.last == kLane ? 0 : 1, whole = key_bytes() - narrow * tile_bytes();
  gpu::upload(keys, page.keys, static_cast<size_t>(whole), stream);
  gpu::upload(values, page.values, static_cast<size_t>(value_bytes()), stream);
  if (!narrow) return;
  std::vector<float> tile(static_cast<size_t>(kLane * geometry_.d));
  const auto* const from = reinterpret_cast<const float*>(page.keys + whole);
  each_row(geometry_.d, page.last, [&](int64_t to, int64_t at) { std::copy_n(from + at, page.last, &tile[to]); });
  gpu::upload(keys + whole, tile.data(), static_cast<size_t>(tile_bytes()), stream);
  must(gpu::wait(stream));  // the tile goes with this call
}

PageTwin::PageTwin(std::shared_ptr<Context> context, const Geometry& geometry, int32_t capacity)
    : context_(std::move(context)), geometry_(geometry) {
  make(capacity);
  gpu::clear(keys, static_cast<size_t>(key_bytes()), context_->stream);
  gpu::clear(values, static_cast<size_t>(value_bytes()), context_->stream);
}

PageTwin::PageTwin(const PageTwin& other, int32_t capacity) : context_(other.context_), geometry_(other.geometry_) {
  make(capacity);
  const gpu::Stream stream = context_->stream;
  const auto widen = [&](char* to, const char* from, int64_t held, int64_t all) {
    gpu::copy(to, from, static_cast<size_t>(held), stream);
    if (all > held) gpu::clear(to + held, static_cast<size_t>(all - held), stream);
  };
  widen(keys, other.keys, other.key_bytes(), key_bytes());
  widen(values, other.values, other.value_bytes(), value_bytes());
}

void PageTwin::read(Page& page) const {
  const std::lock_guard<std::mutex> lock(context_->recording);
  context_->here();
  const gpu::Stream stream = context_->stream;
  const int64_t narrow = page.last == kLane ? 0 : 1, whole = key_bytes() - narrow * tile_bytes();
  gpu::download(page.keys, keys, static_cast<size_t>(whole), stream);
  gpu::download(page.values, values, static_cast<size_t>(value_bytes()), stream);
  std::vector<float> tile(static_cast<size_t>(narrow * kLane * geometry_.d));
  if (narrow) gpu::download(tile.data(), keys + whole, static_cast<size_t>(tile_bytes()), stream);
  must(gpu::wait(stream));
  if (!narrow) return;
  auto* const to = reinterpret_cast<float*>(page.keys + whole);
  each_row(geometry_.d, page.last, [&](int64_t from, int64_t at) { std::copy_n(&tile[from], page.last, to + at); });
}

std::shared_ptr<Twin> PageTwin::copy(int32_t capacity) const { return std::make_shared<PageTwin>(*this, capacity); }

}  // namespace zs::cuda
