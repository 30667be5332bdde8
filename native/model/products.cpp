#include "model/products.h"

#include <algorithm>
#include <atomic>

#include "core/error.h"

namespace zs {
namespace {

constexpr int64_t kLibraryTiles = 16;  // most tiles of a library block
constexpr int64_t kLibraryRows = 128;  // most rows
constexpr int64_t kOwnBytes =
    int64_t{1} << 16;  // weights of one of our own blocks with few rows: microseconds of reading
constexpr int64_t kOwnTiles = 16;
constexpr int64_t kManyTiles = 8, kManyRows = 96;  // of one with many

int64_t parts_of(int64_t whole, int64_t part) { return (whole + part - 1) / part; }

// The rows' side of a block stays within the second-level cache.
int64_t library_rows(int64_t k) { return k <= 1024 ? kLibraryRows : k <= 2048 ? kLibraryRows / 2 : kLibraryRows / 4; }
// About equal ranges of an even number of tiles.
int64_t library_tiles(int64_t tiles) {
  const int64_t each = parts_of(tiles, parts_of(tiles, kLibraryTiles));
  return each + each % 2;
}

}  // namespace

Products::Products(zs_engine& engine, const Architecture& architecture, const std::vector<const Matrix*>& matrices,
                   bool rounds)
    : engine_(engine), linear_(*engine.linear), activation_(linear_.*architecture.activation) {
  if (rounds) library_ = make_library(engine);
  for (const Matrix* w : matrices) {
    const int64_t tiles = std::min(library_tiles(w->tiles), w->tiles);
    if (library_ && !library_->plan({library_rows(w->k), w->k, tiles})) library_.reset();
  }
  const int64_t floats = std::max(kLibraryRows * kLibraryTiles, kManyRows * kManyTiles) * kTile;
  int64_t weights = 0;
  for (const Matrix* w : matrices)
    if (!library_ && !w->is(Packing::kF32)) weights = std::max(weights, w->k * kTile * kManyTiles);
  scratch_.resize(static_cast<size_t>(engine.pool.threads()));
  for (Scratch& own : scratch_) {
    own.results.need(floats);
    own.weights.need(weights);
  }
}

std::string Products::many() const {
  if (library_) return std::string(library_name()) + ", rows rounded to bfloat16";
  return "own kernels, weights widened to float32 a block at a time";
}

int64_t Products::own_tiles(const Matrix& w, int64_t rows) const {
  if (rows > kFewRows) return kManyTiles;
  return std::max<int64_t>(2, std::min(kOwnTiles, kOwnBytes / (w.bytes() / w.tiles) / 2 * 2));
}

const float* Products::float_tiles(const Matrix& w, const Block& b, int thread) {
  const uint8_t* from = nullptr;
  w.each_run(b.tile, 1, [&](const Run& run, int64_t tile, int64_t) { from = run.at(tile, w.k); });
  if (w.is(Packing::kF32)) return reinterpret_cast<const float*>(from);
  Scratch& own = scratch_[static_cast<size_t>(thread)];
  if (own.held != from || own.held_tiles != b.tiles) {
    w.each_run(b.tile, b.tiles, [&](const Run& run, int64_t tile, int64_t tiles) {
      linear_.widen[static_cast<int>(run.packing)](run.at(tile, w.k), w.k, tiles,
                                                   own.weights.data() + (tile - b.tile) * w.k * kTile);
    });
    own.held = from;
    own.held_tiles = b.tiles;
  }
  return own.weights.data();
}

void Products::run(const Product& product, const zs_call* call) {
  if (product.rows <= kFewRows || product.exact || !library_) return own(product, call);
  by_library(product, call);
}

void Products::finish(const Product& p, const Block& b, const float* values, int64_t stride, bool bf16) const {
  const int64_t columns = b.tiles * kTile;
  for (int64_t r = 0; r < b.rows; ++r, values += stride) {
    const int64_t row = (b.row + r) * p.y_stride;
    if (p.then == Then::kStore) {
      std::copy_n(values, columns, static_cast<float*>(p.y) + row + b.tile * kTile);
    } else if (p.then == Then::kAdd) {
      linear_.add(static_cast<float*>(p.y) + row + b.tile * kTile, values, columns);
    } else if (bf16) {
      alignas(64) float active[kLibraryTiles * kTile / 2];
      activation_(values, b.tiles / 2, active);
      linear_.round_bf16(active, columns / 2, static_cast<uint16_t*>(p.y) + row + b.tile / 2 * kTile);
    } else {
      activation_(values, b.tiles / 2, static_cast<float*>(p.y) + row + b.tile / 2 * kTile);
    }
  }
}

void Products::own_block(const Product& p, const Block& b, int thread) {
  const Matrix& w = *p.w;
  const float* x = static_cast<const float*>(p.x) + b.row * w.k;
  const bool direct = p.then == Then::kStore;
  float* y = direct ? static_cast<float*>(p.y) + b.row * p.y_stride + b.tile * kTile
                    : scratch_[static_cast<size_t>(thread)].results.data();
  const int64_t y_stride = direct ? p.y_stride : b.tiles * kTile;
  if (p.rows <= kFewRows || p.exact) {
    w.each_run(b.tile, b.tiles, [&](const Run& run, int64_t tile, int64_t tiles) {
      const int packing = static_cast<int>(run.packing);
      const bool as_it_is = !linear_.prepare[packing];
      const int64_t stride = as_it_is ? w.k : prepared_row(w.k);
      linear_.multiply[packing]({run.at(tile, w.k), w.k, tiles,
                                 as_it_is ? x : prepared_[packing].data() + b.row * stride, stride, b.rows,
                                 y + (tile - b.tile) * kTile, y_stride});
    });
  } else {
    linear_.multiply[static_cast<int>(Packing::kF32)](
        {float_tiles(w, b, thread), w.k, b.tiles, x, w.k, b.rows, y, y_stride});
  }
  if (!direct) finish(p, b, y, y_stride, false);
}

// Once for all units.
void Products::prepare(const Product& p) {
  const Matrix& w = *p.w;
  bool done[kPackings] = {};
  for (const Run& run : w.runs) {
    const int packing = static_cast<int>(run.packing);
    if (!linear_.prepare[packing] || done[packing]) continue;
    done[packing] = true;
    prepared_[packing].need(p.rows * prepared_row(w.k));
    for (int64_t r = 0; r < p.rows; ++r)
      linear_.prepare[packing](static_cast<const float*>(p.x) + r * w.k, w.k,
                               prepared_[packing].data() + r * prepared_row(w.k));
  }
}

void Products::own(const Product& p, const zs_call* call) {
  if (p.rows <= kFewRows || p.exact) prepare(p);
  const int64_t rows = p.exact ? kFewRows : kManyRows;
  const int64_t tiles = own_tiles(*p.w, p.rows), row_blocks = parts_of(p.rows, rows);
  const bool whole = engine_.pool.run(row_blocks * parts_of(p.w->tiles, tiles), call, [&](int64_t unit, int thread) {
    Block b{};
    b.row = unit % row_blocks * rows, b.rows = std::min(rows, p.rows - b.row);
    b.tile = unit / row_blocks * tiles, b.tiles = std::min(tiles, p.w->tiles - b.tile);
    own_block(p, b, thread);
  });
  if (!whole) check_abort(call);
}

void Products::by_library(const Product& p, const zs_call* call) {
  const Matrix& w = *p.w;
  const int64_t rows = library_rows(w.k), tiles = library_tiles(w.tiles);
  const int64_t row_blocks = parts_of(p.rows, rows), columns = parts_of(w.tiles, tiles);
  const auto block_of = [&](int64_t row_block, int64_t column) {
    return Block{row_block * rows, std::min(rows, p.rows - row_block * rows), column * tiles,
                 std::min(tiles, w.tiles - column * tiles)};
  };
  // Only the last row block and the last column may differ in shape: at most four plans.
  const Library::Plan* plans[2][2];
  for (int last_row = 0; last_row < 2; ++last_row)
    for (int last_column = 0; last_column < 2; ++last_column) {
      const Block b = block_of(last_row ? row_blocks - 1 : 0, last_column ? columns - 1 : 0);
      const BlockShape shape{padded(b.rows), w.k, b.tiles};
      plans[last_row][last_column] = library_->plan(shape);
      if (!plans[last_row][last_column])
        fail(ZS_INTERNAL,
             "%s has no kernel for a product of %lld rows, %lld inputs and %lld outputs: build with `npm run build -- "
             "--portable`",
             library_name(), static_cast<long long>(shape.rows), static_cast<long long>(w.k),
             static_cast<long long>(b.tiles * kTile));
    }
  std::atomic<bool> failed{false};
  const bool whole = engine_.pool.run(row_blocks * columns, call, [&](int64_t unit, int thread) {
    const int64_t row_block = unit % row_blocks, column = unit / row_blocks;
    const Block b = block_of(row_block, column);
    const uint16_t* x = static_cast<const uint16_t*>(p.x) + b.row * w.k;
    float* y = scratch_[static_cast<size_t>(thread)].results.data();  // the library wants rows side by side
    if (!library_->run(*plans[row_block == row_blocks - 1][column == columns - 1], x, w.runs[0].at(b.tile, w.k), y,
                       thread))
      failed.store(true, std::memory_order_relaxed);
    else
      finish(p, b, y, b.tiles * kTile, true);
  });
  if (failed)
    fail(ZS_INTERNAL, "%s failed in a matrix product: build with `npm run build -- --portable`", library_name());
  if (!whole) check_abort(call);
}

}  // namespace zs
