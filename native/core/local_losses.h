// What the tokens that a head lost would have had since: sums over rows, from when a token is lost until it is back.
#ifndef ZSLAB_CORE_LOCAL_LOSSES_H
#define ZSLAB_CORE_LOCAL_LOSSES_H

#include <algorithm>
#include <utility>
#include <vector>

#include "core/buffer.h"
#include "core/kernels.h"
#include "zslab/record.h"

namespace zs {

class LocalLosses {
 public:
  // Tokens by their places, of which there are so many (whole tiles).
  LocalLosses(const zs_local& l, const AttentionKernels& kernels, int64_t places, int32_t group)
      : l_(l), kernels_(kernels), places_(places), share_(1.0 / group), of_(static_cast<size_t>(places), -1) {
    for (Buffer* one : {&sums_[0], &sums_[1], &worst_, &worst_row_}) *one = Buffer(places);
    for (auto& one : totals_) one.resize(static_cast<size_t>(places));
    std::fill_n(sums_[0].data(), places, 0.0f), std::fill_n(sums_[1].data(), places, 0.0f);
    std::fill_n(worst_.data(), places, -1.0f), std::fill_n(worst_row_.data(), places, -1.0f);
  }

  void none(int64_t loss) const {
    l_.probability[loss] = l_.worst[loss] = l_.change[loss] = 0;
    l_.worst_row[loss] = -1;
  }
  bool lost(int64_t place) const { return of_[static_cast<size_t>(place)] >= 0; }

  // The token at `place` is lost, as number `loss` of all.
  void begin(int64_t place, int32_t loss) {
    const size_t at = static_cast<size_t>(place);
    end(place);
    of_[at] = loss;
    for (int i = 0; i < 2; ++i) sums_[i].data()[at] = 0, totals_[i][at] = 0;
    worst_.data()[at] = worst_row_.data()[at] = -1;
  }

  // It is back.
  void end(int64_t place) {
    const size_t at = static_cast<size_t>(place);
    const int32_t loss = std::exchange(of_[at], -1);
    if (loss < 0) return;
    l_.probability[loss] = share_ * (totals_[0][at] + static_cast<double>(sums_[0].data()[at]));
    l_.change[loss] = share_ * (totals_[1][at] + static_cast<double>(sums_[1].data()[at]));
    l_.worst_row[loss] = static_cast<int32_t>(worst_row_.data()[at]);
    l_.worst[loss] = l_.worst_row[loss] < 0 ? 0 : share_ * static_cast<double>(worst_.data()[at]);
  }

  // A row's sums over the group, by place.
  void row(int64_t row, const float* p, const float* change, int64_t from, int64_t count) {
    float* const sums[2] = {sums_[0].data() + from, sums_[1].data() + from};
    kernels_.collect(p, change, count, static_cast<float>(row), sums, worst_.data() + from, worst_row_.data() + from);
  }
  void exact(int64_t place, double change) { totals_[1][static_cast<size_t>(place)] += change; }

  // float32 sums stay short.
  void flush() {
    for (int i = 0; i < 2; ++i)
      for (int64_t at = 0; at < places_; ++at) {
        totals_[i][static_cast<size_t>(at)] += static_cast<double>(sums_[i].data()[at]);
        sums_[i].data()[at] = 0;
      }
  }

  void finish() {
    for (int64_t at = 0; at < places_; ++at) end(at);
  }

 private:
  const zs_local& l_;
  const AttentionKernels& kernels_;
  const int64_t places_;
  const double share_;
  std::vector<int32_t> of_;             // the loss that is counted; -1 = none
  Buffer sums_[2], worst_, worst_row_;  // of a few rows: p, change
  std::vector<double> totals_[2];
};

}  // namespace zs
#endif
