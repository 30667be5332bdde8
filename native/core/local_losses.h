// What the tokens that a head lost would have had since: sums over rows, from when a token is lost until it is back.
#ifndef ZSLAB_CORE_LOCAL_LOSSES_H
#define ZSLAB_CORE_LOCAL_LOSSES_H

#include <cstddef>
#include <utility>
#include <vector>

#include "zslab/record.h"

namespace zs {

class LocalLosses {
 public:
  // A loss that rows of the block count for, by its number among the head's.
  struct Entry {
    int64_t place;
    int32_t loss;
    uint32_t rows;  // bit r: the block's row r
  };

  // Tokens by their places, of which there are so many.
  explicit LocalLosses(int64_t places) : of_(static_cast<size_t>(places), -1), rows_(static_cast<size_t>(places)) {}

  // Among all losses each of the head's has a number of its own: beside those of other heads, which other threads write, so at the end alone.
  void write(const std::vector<int32_t>& numbers, const zs_local& l) const {
    for (size_t i = 0; i < numbers.size(); ++i) {
      const Sums sums = i < sums_.size() ? sums_[i] : Sums{};
      const int32_t at = numbers[i];
      l.probability[at] = sums.probability, l.change[at] = sums.change;
      l.worst[at] = sums.worst, l.worst_row[at] = sums.worst_row;
    }
  }

  // The token at `place` is lost before the block's row `row`, as the head's next loss.
  void begin(int64_t place, int row) {
    end(place, row);
    of_[static_cast<size_t>(place)] = static_cast<int32_t>(sums_.size());
    sums_.emplace_back();
    rows_[static_cast<size_t>(place)] = 0xffffu << row & 0xffffu;
  }

  // It is back.
  void end(int64_t place, int row) {
    const int32_t loss = std::exchange(of_[static_cast<size_t>(place)], -1);
    const uint32_t rows = rows_[static_cast<size_t>(place)] & ((1u << row) - 1u);
    if (loss >= 0 && rows) ended_.push_back({place, loss, rows});
  }

  // Those of `count` places from `from` on that count in `rows`.
  void entries(int64_t from, int64_t count, uint32_t rows, std::vector<Entry>& out) const {
    const int64_t to = from + count;
    out.resize(static_cast<size_t>(count));
    size_t found = 0;
    for (int64_t place = from; place < to; ++place) {
      const size_t at = static_cast<size_t>(place);
      out[found] = {place, of_[at], rows_[at] & rows};
      found += of_[at] >= 0 && out[found].rows;
    }
    out.resize(found);
    for (const Entry& one : ended_)
      if (one.place >= from && one.place < to && (one.rows & rows))
        out.push_back({one.place, one.loss, one.rows & rows});
  }

  void add(int32_t loss, double p, double change, double most, int64_t most_row) {
    Sums& sums = sums_[static_cast<size_t>(loss)];
    sums.probability += p;
    sums.change += change;
    if (sums.worst_row >= 0 && !(most > sums.worst)) return;
    sums.worst = most;
    sums.worst_row = static_cast<int32_t>(most_row);
  }

  void next_block() {
    ended_.clear();
    for (uint32_t& rows : rows_) rows = 0xffffu;
  }

 private:
  struct Sums {
    double probability = 0, change = 0, worst = 0;
    int32_t worst_row = -1;
  };
  std::vector<Sums> sums_;
  std::vector<int32_t> of_;     // by place: the loss that is counted; -1 = none
  std::vector<uint32_t> rows_;  // of the block, that count it
  std::vector<Entry> ended_;
};

}  // namespace zs
#endif
