// Fetching ahead of a kernel that reads memory once and in order. One core gets most out of memory with many lines on their way at once,
// and how to have them differs by CPU: some follow a single stream best by themselves, others fetch a multiple when several pages are
// asked for side by side. Included only by native/cpu/kernels/*.cpp.
#ifndef ZSLAB_CPU_KERNELS_FETCH_H
#define ZSLAB_CPU_KERNELS_FETCH_H

#include <cstdint>

#include "cpu/lanes.h"

namespace zs {
namespace ZS_ISA {

constexpr int64_t kLine = 64;  // bytes of a cache line

// kOwn leaves it to the CPU; kStream goes line by line, kPages by four pages side by side, into the second-level cache; Near: into the first.
enum Fetch { kOwn, kStream, kStreamNear, kPages, kPagesNear, kFetchWays };

// Fetches `bytes` that lie `after` bytes behind p, into the second-level cache. Where several rows are computed from each line there is
// time for it: what comes next is fetched while the first rows read what is there.
ZS_INLINE void fetch_after(const void* p, int64_t after, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += kLine) prefetch(static_cast<const char*>(p) + after + at);
}
// The most that such lies behind.
constexpr int64_t kMostAfter = int64_t{1} << 16;

class Ahead {
 public:
  // `from`: where reading starts; `distance`: bytes that a stream goes ahead.
  Ahead(const void* from, int way, int64_t distance)
      : near_(way == kStreamNear || way == kPagesNear), any_(way != kOwn) {
    const bool stream = way == kStream || way == kStreamNear;
    at_ = static_cast<const char*>(from) + (stream ? distance : kAtOnce * kPage);
    apart_ = stream ? kLine : kPage;
    step_ = stream ? kAtOnce * kLine : kLine;
    jump_ = stream ? 0 : (kAtOnce - 1) * kPage;
  }
  // To be called once for every four lines read. All pages of one piece of work may lie anywhere: fetching never faults.
  ZS_INLINE void four() {
    if (near_) {
      for (int i = 0; i < kAtOnce; ++i) prefetch_near(at_ + i * apart_);
    } else if (any_) {
      for (int i = 0; i < kAtOnce; ++i) prefetch(at_ + i * apart_);
    }
    at_ += step_;
    if (--left_ == 0) {
      left_ = kPage / kLine;
      at_ += jump_;
    }
  }

 private:
  static constexpr int64_t kPage = 4096, kAtOnce = 4;
  const char* at_;
  int64_t apart_, step_, jump_;
  bool near_, any_;
  int32_t left_ = kPage / kLine;
};

}  // namespace ZS_ISA
}  // namespace zs
#endif
