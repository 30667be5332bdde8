#include "core/tape_rows.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "core/error.h"

namespace zs {
namespace {

[[noreturn]] void unwritten(const std::string& folder) {
  const int error = errno;
  fail(ZS_IO,
       "the oldest events cannot go to a file in %s: %s; make room there, or give the trace another folder or more "
       "memory",
       folder.c_str(), std::strerror(error));
}

}  // namespace

// ---- files

TapeFiles::TapeFiles(const std::string& folder, int64_t first_row) : first(first_row), end(first_row), folder_(folder) {
  for (int i = 0; i < kTapeColumns; ++i) {
    std::string name = folder + "/.zslab-tape-XXXXXX";
    files_[i] = mkostemp(name.data(), O_CLOEXEC);
    if (files_[i] >= 0) {
      unlink(name.c_str());
      continue;
    }
    const int error = errno;
    while (i > 0) close(files_[--i]);
    errno = error;
    unwritten(folder);
  }
}

TapeFiles::~TapeFiles() {
  for (int file : files_) close(file);
}

void TapeFiles::write(int column, const char* from, int64_t at, int64_t rows) {
  const int64_t width = kTapeWidths[column];
  int64_t place = (at - first) * width, left = rows * width;
  while (left > 0) {
    const ssize_t done = pwrite(files_[column], from, static_cast<size_t>(left), static_cast<off_t>(place));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) unwritten(folder_);
    from += done, place += done, left -= done;
  }
}

void TapeFiles::map(int column, char* place, int64_t from, int64_t to) const {
  const int64_t width = kTapeWidths[column];
  // Private and writable: what readers do to their arrays harms nobody's file, and never crashes.
  void* const got = mmap(place, static_cast<size_t>((to - from) * width), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_FIXED, files_[column], static_cast<off_t>((from - first) * width));
  if (got == MAP_FAILED) throw std::bad_alloc();
}

// ---- rows

TapeRows::TapeRows(int64_t rows) : capacity(rows) { reserve(); }

TapeRows::TapeRows(const TapeRows& other, int64_t rows, int64_t wanted) : capacity(wanted) {
  reserve();
  try {
    for (const Part& part : other.parts_) {
      const int64_t to = std::min(part.to, rows / kTapeUnit * kTapeUnit);
      if (part.from >= to) break;
      for (int i = 0; i < kTapeColumns; ++i) part.files->map(i, place(i, part.from), part.from, to);
      parts_.push_back({part.files, part.from, to});
      spilled = to;
    }
  } catch (...) {
    munmap(base_, static_cast<size_t>(capacity * kRowBytes));
    throw;
  }
  for (int i = 0; i < kTapeColumns; ++i)
    std::memcpy(place(i, spilled), other.place(i, spilled), static_cast<size_t>((rows - spilled) * kTapeWidths[i]));
  end = rows;
}

TapeRows::~TapeRows() { munmap(base_, static_cast<size_t>(capacity * kRowBytes)); }

// Address space for all; what is never touched is never resident.
void TapeRows::reserve() {
  void* const got = mmap(nullptr, static_cast<size_t>(capacity * kRowBytes), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) throw std::bad_alloc();
  base_ = static_cast<char*>(got);
  int64_t at = 0;
  for (int i = 0; i < kTapeColumns; ++i) offsets_[i] = at, at += capacity * kTapeWidths[i];
  int column = 0;
#define ZS_PLACE(TYPE, NAME) NAME = reinterpret_cast<TYPE*>(base_ + offsets_[column++]);
  ZS_TAPE_COLUMNS(ZS_PLACE)
#undef ZS_PLACE
}

void TapeRows::spill(const std::string& folder) {
  const int64_t from = spilled, to = from + kTapeUnit;
  if (parts_.empty() || parts_.back().to != parts_.back().files->end) {
    parts_.reserve(parts_.size() + 1);
    parts_.push_back({std::make_shared<TapeFiles>(folder, from), from, from});
  }
  Part& part = parts_.back();
  for (int i = 0; i < kTapeColumns; ++i) part.files->write(i, place(i, from), from, kTapeUnit);
  for (int i = 0; i < kTapeColumns; ++i) part.files->map(i, place(i, from), from, to);
  part.files->end = part.to = to;
  spilled = to;
}

}  // namespace zs
