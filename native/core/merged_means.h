// Keys and values of a head's merged slots as merging makes them of its members, without compensation: kept up as tokens join.
#ifndef ZSLAB_CORE_MERGED_MEANS_H
#define ZSLAB_CORE_MERGED_MEANS_H

#include <unordered_map>
#include <vector>

#include "core/pages.h"

namespace zs {

class MergedMeans {
 public:
  // What a slot has: its members' mean, or (fixed) what its seed has.
  MergedMeans(int64_t tokens, int32_t d, bool keys_fixed, bool values_fixed)
      : keys_fixed_(keys_fixed),
        values_fixed_(values_fixed),
        of_(static_cast<size_t>(tokens), -1),
        pages_({d, ZS_F32}) {}

  void seed(int32_t first, int32_t position) { seeds_[first] = position; }  // where it is not the slot's first token
  int32_t seed_of(int32_t first) const {
    const auto found = seeds_.find(first);
    return found == seeds_.end() ? first : found->second;
  }

  void add(int32_t position, int32_t first, const float* key, const float* value) {
    const size_t d = static_cast<size_t>(pages_.geometry().d);
    int32_t& at = of_[static_cast<size_t>(first)];
    if (at < 0) {
      at = static_cast<int32_t>(slots_.size());
      slots_.push_back({first, seed_of(first), 0, true, std::vector<double>(d), std::vector<double>(d)});
    }
    Slot& slot = slots_[static_cast<size_t>(at)];
    ++slot.members;
    slot.changed = true;
    if (!keys_fixed_ || position == slot.seed)
      for (size_t i = 0; i < d; ++i) slot.key[i] += static_cast<double>(key[i]);
    if (!values_fixed_ || position == slot.seed)
      for (size_t i = 0; i < d; ++i) slot.value[i] += static_cast<double>(value[i]);
  }

  void end(int32_t first) {
    int32_t& at = of_[static_cast<size_t>(first)];
    if (at + 1 < static_cast<int32_t>(slots_.size())) {
      of_[static_cast<size_t>(slots_.back().first)] = at;
      slots_[static_cast<size_t>(at)] = std::move(slots_.back());
      slots_[static_cast<size_t>(at)].changed = true;
    }
    slots_.pop_back();
    at = -1;
  }

  // As they are now, in chunks that kernels read.
  const Pages& pages() {
    const int32_t count = static_cast<int32_t>(slots_.size());
    pages_.reserve(count);
    pages_.resize(count);
    std::vector<float> key(static_cast<size_t>(pages_.geometry().d)), value(key.size());
    for (int32_t i = 0; i < count; ++i) {
      Slot& slot = slots_[static_cast<size_t>(i)];
      if (!slot.changed) continue;
      slot.changed = false;
      const double keys = keys_fixed_ ? 1 : slot.members, values = values_fixed_ ? 1 : slot.members;
      for (size_t x = 0; x < key.size(); ++x) {
        key[x] = static_cast<float>(slot.key[x] / keys);
        value[x] = static_cast<float>(slot.value[x] / values);
      }
      pages_.write(i, key.data(), value.data());
    }
    return pages_;
  }

 private:
  struct Slot {
    int32_t first, seed, members;
    bool changed;
    std::vector<double> key, value;  // sums
  };
  const bool keys_fixed_, values_fixed_;
  std::vector<int32_t> of_;  // by first token: which of the slots; -1 = none
  std::unordered_map<int32_t, int32_t> seeds_;
  std::vector<Slot> slots_;
  Pages pages_;
};

}  // namespace zs
#endif
