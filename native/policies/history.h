// What policies that score by history have in common: the decayed sum of attention, from the prompt's last rows on (spec 2, 4).
#ifndef ZSLAB_POLICIES_HISTORY_H
#define ZSLAB_POLICIES_HISTORY_H

#include <algorithm>

#include "core/error.h"
#include "core/policy.h"

namespace zs {

struct History {
  float decay;     // lambda in (0, 1]
  int32_t on;      // 1 = scores are kept; 0 = none: the oldest position leaves first
  int32_t window;  // prompt rows that count: > 0 so many, 0 = smallest W with decay^W < 1e-7, -1 = all
};
#define ZS_HISTORY_FIELDS(STRUCT)                                                    \
  ZS_FIELD(STRUCT, history.decay, "decay"), ZS_FIELD(STRUCT, history.on, "history"), \
      ZS_FIELD(STRUCT, history.window, "window")

inline void check(const History& h) {
  in_range("history", h.on, 0, 1);
  if (!(h.decay > 0 && h.decay <= 1))
    fail(ZS_INVALID, "policy.decay is %g: expected a number above 0 and up to 1", static_cast<double>(h.decay));
  in_range("window", h.window, -1, INT32_MAX);
}

inline int32_t rows_of(const History& h, int64_t tokens) {
  if (!h.on) return 0;
  const int32_t most = static_cast<int32_t>(std::min<int64_t>(tokens, INT32_MAX));
  if (h.window > 0) return std::min(h.window, most);
  if (h.window < 0 || h.decay == 1) return most;
  double power = 1;
  int32_t rows = 0;
  while (power >= 1e-7 && rows < most) {
    power *= static_cast<double>(h.decay);
    ++rows;
  }
  return rows;
}

inline Needs needs(const History& h, int64_t tokens) {
  Needs needs;
  needs.scores = h.on != 0;
  needs.decay = h.decay;
  needs.rows = rows_of(h, tokens);
  return needs;
}

}  // namespace zs
#endif
