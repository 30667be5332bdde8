// Events: what happened to which token, in typed columns. Forks, and whoever looks at them, share rows; who goes on otherwise than the
// others takes a copy of those that are in memory.
#ifndef ZSLAB_CORE_TAPE_H
#define ZSLAB_CORE_TAPE_H

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/tape_rows.h"
#include "zslab/tape.h"
#include "zslab/zslab.h"

namespace zs {

// False in the build that bench/tape compares with, and nowhere else: a cache then keeps no events, whatever it is asked.
#ifdef ZS_NO_TAPE
constexpr bool kTape = false;
#else
constexpr bool kTape = true;
#endif

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

// As zs_events. Whoever notes one says what, about whom and why; when and where is filled in (HeadWork::note).
struct Event {
  uint8_t action, reason;
  int32_t position, slot;
  int32_t target = -1;
  float score = kNone;
  int32_t rank = -1;
  float threshold = kNone, similarity = kNone, target_score = kNone, weight = 1, target_weight = 0;
  int32_t step = 0;
  uint16_t layer = 0, kv_head = 0;
};

class Tape {
 public:
  int64_t count() const { return count_; }
  // Room for `more` events, so that append cannot fail; older ones may go to files. Throws std::bad_alloc, and ZS_IO; the events are then as
  // they were.
  void reserve(int64_t more);
  void append(const std::vector<std::vector<Event>>& events);
  void truncate(int64_t count) { count_ = count; }
  // Events about positions >= from; the others stay in order. Throws std::bad_alloc; all are then there still.
  void forget(int32_t from);
  zs_events columns() const;
  std::shared_ptr<const TapeRows> rows() const { return rows_; }

  // From now on at most `bytes` of events stay in memory (see zs_cache_spill).
  void bound(int64_t bytes, const char* folder);
  Tape emptied() const;  // with the same bound
  zs_tape_bytes bytes() const;

 private:
  std::shared_ptr<TapeRows> rows_;
  int64_t count_ = 0;
  int64_t memory_ = std::numeric_limits<int64_t>::max();
  std::shared_ptr<const std::string> folder_;
};

}  // namespace zs
#endif
