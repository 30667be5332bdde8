#include "cuda/backend/pool.h"

#include "core/error.h"
#include "cuda/gpu.h"

namespace zs::cuda {
namespace {

constexpr int64_t kUnit = 512;

// Sizes are an eighth apart at most, so that few kinds of pieces are enough.
int64_t size_of(int64_t bytes) {
  int64_t step = kUnit;
  while (step * 16 < bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

double megabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

}  // namespace

Pool::~Pool() { forget_free(); }

void Pool::forget_free() {
  for (auto& [bytes, pieces] : free_)
    for (void* piece : pieces) gpu::release(piece);
  free_.clear();
  kept_ = 0;
}

void* Pool::find(int64_t bytes) {
  const auto found = free_.find(bytes);
  if (found != free_.end() && !found->second.empty()) {
    void* const piece = found->second.back();
    found->second.pop_back();
    kept_ -= bytes;
    return piece;
  }
  if (bytes > budget_ - taken_ - kept_) forget_free();
  void* piece = gpu::allocate(static_cast<size_t>(bytes));
  if (!piece) {  // pieces of other sizes may be in the way
    forget_free();
    piece = gpu::allocate(static_cast<size_t>(bytes));
  }
  return piece;
}

Memory Pool::take(int64_t asked) {
  const int64_t bytes = size_of(asked < 1 ? 1 : asked);
  void* piece = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (bytes > budget_ - taken_)
      fail(ZS_OUT_OF_MEMORY,
           "the device's memory is used up: %.1f MB of %.1f MB are taken, %.1f MB more were needed: dispose of "
           "sessions, "
           "take a smaller budget or a smaller storage, or give the device more memory",
           megabytes(taken_), megabytes(budget_), megabytes(bytes));
    piece = find(bytes);
    if (!piece)
      fail(ZS_OUT_OF_MEMORY,
           "the device has no %.1f MB left, though zslab has taken only %.1f MB of %.1f MB: others use it, too: give "
           "zslab less memory there, or end them",
           megabytes(bytes), megabytes(taken_), megabytes(budget_));
    taken_ += bytes;
  }
  // Where this throws it gives the piece back, which takes the mutex.
  return Memory(piece, [self = shared_from_this(), bytes](void* memory) { self->give_back(memory, bytes); });
}

void Pool::give_back(void* memory, int64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  taken_ -= bytes;
  if (gpu::kKeepsFreed) {
    try {
      free_[bytes].push_back(memory);
      kept_ += bytes;
      return;
    } catch (const std::bad_alloc&) {  // then it is not kept
    }
  }
  gpu::release(memory);
}

}  // namespace zs::cuda
