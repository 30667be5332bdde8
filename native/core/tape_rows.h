// Where a tape's rows are: a column each, every one in address space of its own, so that rows never move while somebody holds them. The
// oldest may lie in files, at the same addresses.
#ifndef ZSLAB_CORE_TAPE_ROWS_H
#define ZSLAB_CORE_TAPE_ROWS_H

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "zslab/tape.h"

namespace zs {

// Columns, and members of Event and zs_events: X(type, name).
#define ZS_TAPE_COLUMNS(X) \
  X(int32_t, step)         \
  X(uint16_t, layer)       \
  X(uint16_t, kv_head)     \
  X(uint8_t, action)       \
  X(uint8_t, reason)       \
  X(int32_t, position)     \
  X(int32_t, slot)         \
  X(int32_t, target)       \
  X(int32_t, rank)         \
  X(float, score)          \
  X(float, threshold)      \
  X(float, similarity)     \
  X(float, target_score)   \
  X(float, weight)         \
  X(float, target_weight)

constexpr int kTapeWidths[] = {
#define ZS_WIDTH(TYPE, NAME) sizeof(TYPE),
    ZS_TAPE_COLUMNS(ZS_WIDTH)
#undef ZS_WIDTH
};
constexpr int kTapeColumns = sizeof kTapeWidths / sizeof *kTapeWidths;
constexpr int64_t kRowBytes = [] {
  int64_t bytes = 0;
  for (int width : kTapeWidths) bytes += width;
  return bytes;
}();
// Rows that go to a file together: whole pages of every column, where pages have up to 64 KiB.
constexpr int64_t kTapeUnit = ZS_TAPE_UNIT;

// Rows [first, end) of a tape, a file for each column: without names, so that nothing is left of them after a crash either.
class TapeFiles {
 public:
  TapeFiles(const std::string& folder, int64_t first);
  ~TapeFiles();
  TapeFiles(const TapeFiles&) = delete;
  TapeFiles& operator=(const TapeFiles&) = delete;

  // Throws a sentence about what went wrong with `folder`; the rows are then not in the files.
  void write(int column, const char* from, int64_t at, int64_t rows);
  // Puts rows [from, to) at `place`. Throws std::bad_alloc.
  void map(int column, char* place, int64_t from, int64_t to) const;

  const int64_t first;
  int64_t end;  // who wants to write here must have just these rows before his own

 private:
  const std::string folder_;
  int files_[kTapeColumns];
};

class TapeRows {
 public:
  explicit TapeRows(int64_t capacity);
  // The first `rows` of `other`.
  TapeRows(const TapeRows& other, int64_t rows, int64_t capacity);
  ~TapeRows();
  TapeRows& operator=(const TapeRows&) = delete;

  // The oldest unit that is still in memory goes to files in `folder`. Throws; all rows are then where they were.
  void spill(const std::string& folder);

#define ZS_COLUMN(TYPE, NAME) TYPE* NAME;
  ZS_TAPE_COLUMNS(ZS_COLUMN)
#undef ZS_COLUMN
  const int64_t capacity;
  std::atomic<int64_t> end{0};      // rows written
  std::atomic<int64_t> spilled{0};  // of them in files

 private:
  struct Part {
    std::shared_ptr<TapeFiles> files;
    int64_t from, to;
  };
  void reserve();
  char* place(int column, int64_t row) const { return base_ + offsets_[column] + row * kTapeWidths[column]; }

  char* base_ = nullptr;
  int64_t offsets_[kTapeColumns];
  std::vector<Part> parts_;
};

}  // namespace zs
#endif
