// Events: what happened to which token, in typed columns.
#ifndef ZSLAB_CORE_TAPE_H
#define ZSLAB_CORE_TAPE_H

#include <cstdint>
#include <limits>
#include <vector>

#include "zslab/zslab.h"

namespace zs {

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
  int64_t count() const { return static_cast<int64_t>(step_.size()); }
  // Room for `more` events, so that append cannot fail; throws std::bad_alloc.
  void reserve(int64_t more);
  void append(const Event& event);
  void truncate(int64_t count);
  void forget(int32_t from);  // events about positions >= from; the others stay in order
  zs_events columns() const;
  int64_t bytes() const;

 private:
  template <class F>
  void each(F f) {
    for (auto* column : {&action_, &reason_}) f(*column);
    for (auto* column : {&layer_, &kv_head_}) f(*column);
    for (auto* column : {&step_, &position_, &slot_, &target_, &rank_}) f(*column);
    for (auto* column : {&score_, &threshold_, &similarity_, &target_score_, &weight_, &target_weight_}) f(*column);
  }
  std::vector<uint8_t> action_, reason_;
  std::vector<uint16_t> layer_, kv_head_;
  std::vector<int32_t> step_, position_, slot_, target_, rank_;
  std::vector<float> score_, threshold_, similarity_, target_score_, weight_, target_weight_;
};

}  // namespace zs
#endif
