// Events: what happened to which token, in typed columns.
#ifndef ZSLAB_CORE_TAPE_H
#define ZSLAB_CORE_TAPE_H

#include <cstdint>
#include <limits>
#include <vector>

#include "zslab/zslab.h"

namespace zs {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

struct Event {
  int32_t step, layer, kv_head, action, position, slot, target;
  float score, similarity, weight, target_weight;
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
  int64_t bytes() const { return static_cast<int64_t>(step_.capacity()) * 44; }

 private:
  template <class F>
  void each(F f) {
    for (auto* column : {&step_, &layer_, &kv_head_, &action_, &position_, &slot_, &target_}) f(*column);
    for (auto* column : {&score_, &similarity_, &weight_, &target_weight_}) f(*column);
  }
  std::vector<int32_t> step_, layer_, kv_head_, action_, position_, slot_, target_;
  std::vector<float> score_, similarity_, weight_, target_weight_;
};

}  // namespace zs
#endif
