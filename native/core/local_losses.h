// What the tokens that a head lost would have had since: sums over rows, from when a token is lost until it is back.
#ifndef ZSLAB_CORE_LOCAL_LOSSES_H
#define ZSLAB_CORE_LOCAL_LOSSES_H

#include <utility>
#include <vector>

#include "zslab/record.h"

namespace zs {

class LocalLosses {
 public:
  // A loss that rows of the block count for.
  struct Entry {
    int64_t place;
    int32_t loss;
    uint32_t rows;  // bit r: the block's row r
  };

  // Tokens by their places, of which there are so many.
  LocalLosses(const zs_local& l, int64_t places)
      : l_(l), of_(static_cast<size_t>(places), -1), rows_(static_cast<size_t>(places)) {}

  void none(int32_t loss) const {
    l_.probability[loss] = l_.worst[loss] = l_.change[loss] = 0;
    l_.worst_row[loss] = -1;
  }

  // The token at `place` is lost before the block's row `row`, as number `loss` of all.
  void begin(int64_t place, int32_t loss, int row) {
    end(place, row);
    of_[static_cast<size_t>(place)] = loss;
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
    l_.probability[loss] += p;
    l_.change[loss] += change;
    if (l_.worst_row[loss] >= 0 && !(most > l_.worst[loss])) return;
    l_.worst[loss] = most;
    l_.worst_row[loss] = static_cast<int32_t>(most_row);
  }

  void next_block() {
    ended_.clear();
    for (uint32_t& rows : rows_) rows = 0xffffu;
  }

 private:
  const zs_local& l_;
  std::vector<int32_t> of_;     // by place: the loss that is counted; -1 = none
  std::vector<uint32_t> rows_;  // of the block, that count it
  std::vector<Entry> ended_;
};

}  // namespace zs
#endif
