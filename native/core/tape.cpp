#include "core/tape.h"

namespace zs {

void Tape::reserve(int64_t more) {
  const size_t wanted = step_.size() + static_cast<size_t>(more);
  each([&](auto& column) {
    if (wanted > column.capacity()) column.reserve(wanted + wanted / 2);
  });
}

void Tape::append(const Event& e) {
  action_.push_back(e.action);
  reason_.push_back(e.reason);
  layer_.push_back(e.layer);
  kv_head_.push_back(e.kv_head);
  step_.push_back(e.step);
  position_.push_back(e.position);
  slot_.push_back(e.slot);
  target_.push_back(e.target);
  rank_.push_back(e.rank);
  score_.push_back(e.score);
  threshold_.push_back(e.threshold);
  similarity_.push_back(e.similarity);
  target_score_.push_back(e.target_score);
  weight_.push_back(e.weight);
  target_weight_.push_back(e.target_weight);
}

void Tape::truncate(int64_t count) {
  each([&](auto& column) { column.resize(static_cast<size_t>(count)); });
}

void Tape::forget(int32_t from) {
  size_t kept = 0;
  for (size_t i = 0; i < position_.size(); ++i) {
    if (position_[i] >= from) continue;
    each([&](auto& column) { column[kept] = column[i]; });
    ++kept;
  }
  each([&](auto& column) { column.resize(kept); });
}

zs_events Tape::columns() const {
  return {count(),
          step_.data(),
          layer_.data(),
          kv_head_.data(),
          action_.data(),
          reason_.data(),
          position_.data(),
          slot_.data(),
          target_.data(),
          rank_.data(),
          score_.data(),
          threshold_.data(),
          similarity_.data(),
          target_score_.data(),
          weight_.data(),
          target_weight_.data()};
}

int64_t Tape::bytes() const {
  const int64_t each = 2 * sizeof(uint8_t) + 2 * sizeof(uint16_t) + 5 * sizeof(int32_t) + 6 * sizeof(float);
  return static_cast<int64_t>(step_.capacity()) * each;
}

}  // namespace zs
