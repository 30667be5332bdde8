// What a GPU found out about one kv head in one decode step, for the host, which keeps the books.
#ifndef ZSLAB_CORE_FOUND_H
#define ZSLAB_CORE_FOUND_H

#include <cstdint>

namespace zs {

struct Found {
  int32_t leaving;  // slot of the open segment; -1 = nobody, and all below but `newest` is -1 or NaN
  int32_t target;   // the merged slot that it went into; -1 = none
  float newest;     // score of the newest token, once it had its attention
  float score;      // of who left
  // The least finite score of candidates that stayed, as why_of of policies/regions.h has it; NaN = there is none, nobody asked, or choices
  // did not go by the head's own scores.
  float threshold;
  float similarity, target_score;  // of the target, as it was before; NaN without one
  float leaver;                    // score of the ring's oldest, which took the place of who left; NaN without a ring
};
static_assert(sizeof(Found) == 32, "records lie side by side on both sides");

}  // namespace zs
#endif
