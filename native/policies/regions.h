// The regions of a cache that most policies share (spec 1, 4, 5): first tokens that never leave (sink), tokens kept by score (context),
// the newest (recent, a ring), and before them, where a policy merges, residual slots. Who is kept, who leaves, and who moves where;
// what becomes of those that leave is the policy's. Ties go to the lowest slot or position; not-a-number never wins.
#ifndef ZSLAB_POLICIES_REGIONS_H
#define ZSLAB_POLICIES_REGIONS_H

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "core/device_rule.h"
#include "core/error.h"
#include "core/policy.h"

namespace zs {
namespace regions {

// ---- shares to slots (1, 5a)

constexpr int32_t kLeastBudget = 16;  // slots that a share of the prompt comes to, where a policy has no say in it

// A value below 1 is a share, 1 or more a count; shares are trunc(share * count) in double.
struct Asked {
  double recent = 0, residual = 0;
  int32_t sink = 0;
  int32_t least_budget = 0, least_recent = 0, least_residual = 0;  // that a share comes to
  bool raise_counts = false;                                       // counts too
  int32_t needed_recent = 1, needed_context = 1;                   // fewer are refused
};

inline int64_t share(double part, int64_t of) {
  return static_cast<int64_t>(std::trunc(part * static_cast<double>(of)));
}

inline zs_resolved resolve(const Asked& a, double asked_budget, int64_t tokens) {
  const int64_t budget = asked_budget < 1 ? std::max<int64_t>(share(asked_budget, tokens), a.least_budget)
                                          : static_cast<int64_t>(asked_budget);
  const bool recent_share = a.recent > 0 && a.recent < 1, residual_share = a.residual > 0 && a.residual < 1;
  int64_t recent = recent_share ? share(a.recent, budget) : static_cast<int64_t>(a.recent);
  if (recent_share || a.raise_counts) recent = std::max<int64_t>(recent, a.least_recent);
  int64_t residual = residual_share ? share(a.residual, budget - recent) : static_cast<int64_t>(a.residual);
  if (residual_share || a.raise_counts) residual = std::max<int64_t>(residual, a.least_residual);
  if (budget > INT32_MAX)
    fail(ZS_INVALID, "budget %g of %lld tokens is %lld slots: expected at most %d", asked_budget,
         static_cast<long long>(tokens), static_cast<long long>(budget), INT32_MAX);
  if (recent < a.needed_recent)
    fail(ZS_INVALID, "recent %g of %lld slots is 0: expected at least 1, the new token itself", a.recent,
         static_cast<long long>(budget));
  const int64_t least = recent + residual + a.sink + a.needed_context;
  if (budget < least) {
    char given[96];
    if (asked_budget < 1)
      std::snprintf(given, sizeof given, "budget %g of %lld tokens is %lld slots", asked_budget,
                    static_cast<long long>(tokens), static_cast<long long>(budget));
    else
      std::snprintf(given, sizeof given, "budget is %lld slots", static_cast<long long>(budget));
    fail(ZS_INVALID,
         "%s; more than recent (%lld) + residual (%lld) + sink (%d) is needed: raise budget to at least %lld or lower "
         "the others",
         given, static_cast<long long>(recent), static_cast<long long>(residual), a.sink,
         static_cast<long long>(least));
  }
  zs_resolved r{};
  r.budget = static_cast<int32_t>(budget);
  r.recent = static_cast<int32_t>(recent);
  r.residual = static_cast<int32_t>(residual);
  r.sink = a.sink;
  r.context = static_cast<int32_t>(budget - recent - residual - a.sink);
  return r;
}

// ---- the first compression (4, 5a underfull)

// Why somebody leaves, as events say it.
struct Why {
  uint8_t reason = ZS_BY_AGE;
  int32_t rank = -1;
  float threshold = kNone;
};

// What choices go by are the head's own scores, and not the sum of several heads'.
inline bool by_own_scores(const HeadWork& w) { return w.scored && w.choice == w.head->open().scores.data(); }

struct Split {
  std::vector<int32_t> context, rest;  // tokens: context in slot order, the rest in order of position
  Why why;                             // of all of the rest, but for the rank:
  std::vector<int32_t> ranks;          // of each; none where there is no trace

  Why why_of(size_t i) const { return {why.reason, ranks.empty() ? -1 : ranks[i], why.threshold}; }
};

// Descending scores, equal ones by position.
struct Higher {
  const float* score;
  float key(int32_t t) const { return score[t] == score[t] ? score[t] : -std::numeric_limits<float>::infinity(); }
  bool operator()(int32_t a, int32_t b) const {
    const float x = key(a), y = key(b);
    return x > y || (x == y && a < b);
  }
};

// Takes the `count` best out of `from` (ascending): returns them in order, `from` keeps the others, ascending.
inline std::vector<int32_t> take_best(std::vector<int32_t>& from, int32_t count, const float* scores) {
  std::vector<int32_t> order = from;
  const auto middle = order.begin() + count;
  std::nth_element(order.begin(), middle, order.end(), Higher{scores});
  std::sort(order.begin(), middle, Higher{scores});
  from.assign(middle, order.end());
  std::sort(from.begin(), from.end());
  order.resize(static_cast<size_t>(count));
  return order;
}

// The place of each of the rest among all that had to stand back, the first to leave first.
inline std::vector<int32_t> ranks_of(const HeadWork& w, const std::vector<int32_t>& rest) {
  std::vector<int32_t> order(rest.size()), ranks(rest.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
  if (w.scored)
    std::sort(order.begin(), order.end(), [&, higher = Higher{w.choice}](int32_t a, int32_t b) {
      return higher(rest[static_cast<size_t>(b)], rest[static_cast<size_t>(a)]);
    });
  for (size_t i = 0; i < order.size(); ++i) ranks[static_cast<size_t>(order[i])] = static_cast<int32_t>(i);
  return ranks;
}

// Tokens of `from` that are pinned, taken out of it.
inline std::vector<int32_t> take_pinned(const HeadWork& w, std::vector<int32_t>& from) {
  std::vector<int32_t> taken;
  if (w.head->pinned.empty()) return taken;
  const auto pinned = [&](int32_t t) { return w.head->is_pinned(w.head->open().positions[static_cast<size_t>(t)]); };
  const auto rest = std::stable_partition(from.begin(), from.end(), [&](int32_t t) { return !pinned(t); });
  taken.assign(rest, from.end());
  from.erase(rest, from.end());
  return taken;
}

// Takes `chosen` out of `from`, which stays ascending.
inline void take_out(std::vector<int32_t>& from, std::vector<int32_t> chosen) {
  std::sort(chosen.begin(), chosen.end());
  std::vector<int32_t> left;
  std::set_difference(from.begin(), from.end(), chosen.begin(), chosen.end(), std::back_inserter(left));
  from = std::move(left);
}

inline Split split(const HeadWork& w) {
  const zs_resolved& r = w.sizes();
  const int32_t n = w.head->open().slots();
  Split s;
  for (int32_t t = r.sink; t < n - r.recent; ++t) s.rest.push_back(t);
  const std::vector<int32_t> pinned = take_pinned(w, s.rest);  // at most context
  const int32_t places = r.context - static_cast<int32_t>(pinned.size());
  if (w.compressed) {
    s.context = w.compressed->context;
    take_out(s.rest, s.context);
  } else if (w.scored) {
    s.context = take_best(s.rest, places, w.choice);
  } else {
    s.context.assign(s.rest.end() - places, s.rest.end());
    s.rest.resize(s.rest.size() - s.context.size());
  }
  if (w.scored) s.why.reason = ZS_BY_SCORE;
  if (by_own_scores(w) && !s.context.empty()) s.why.threshold = w.choice[s.context.back()];
  if (w.told()) s.ranks = ranks_of(w, s.rest);
  if (pinned.empty()) return s;
  s.context.insert(s.context.end(), pinned.begin(), pinned.end());
  if (w.scored)
    std::sort(s.context.begin(), s.context.end(), Higher{w.choice});
  else
    std::sort(s.context.begin(), s.context.end());
  return s;
}

// Candidates of a prompt, for wrappers that share out the context.
inline Contest contest(const HeadWork& w, int32_t least) {
  const zs_resolved& r = w.sizes();
  return {r.sink, w.head->open().slots() - r.recent, r.context, least};
}

// A token of the cache as it was before its first compression, which `w` is still about.
struct Token {
  int32_t slot;  // where it was; -1: it never had a slot
  int32_t position;
  float score;
};

inline Token token(const HeadWork& w, int32_t t) {
  const Segment& old = w.head->open();
  return {w.arrival && t + 1 < old.slots() ? t : -1, old.positions[static_cast<size_t>(t)],
          old.scores[static_cast<size_t>(t)]};
}

// The ring starts at its oldest slot.
inline int32_t first_ring(const zs_resolved& r) { return r.recent > 1 ? r.budget - r.recent + 1 : -1; }

// A token that had a slot stays in slot `slot` of the head to be, or one of a prompt is admitted there.
inline void note_stays(const HeadWork& from, const HeadWork& to, int32_t t, int32_t slot) {
  const Token one = token(from, t);
  if (one.slot < 0)
    to.note_admit(one.position, slot, one.score);
  else
    to.note_move(ZS_PLACE, one.position, one.slot, slot);
}

// Keeps sink, context and recent in `made`; whoever is not kept is `gone`'s: gone(to, split), with `to` the head as it will be. Then the new
// head is the head.
template <class F>
void compress(HeadWork& w, F&& gone) {
  const Segment& old = w.head->open();
  const zs_resolved r = w.sizes();
  const int32_t n = old.slots();
  const Split s = split(w);
  Head made = w.head->emptied();
  if (w.compressed) made.open().pages = std::move(w.compressed->open);
  made.open().reserve(r.budget - r.residual + 1);
  HeadWork to = w;
  to.head = &made;
  gone(to, s);

  std::vector<int32_t> kept;
  for (int32_t t = 0; t < r.sink; ++t) kept.push_back(t);
  kept.insert(kept.end(), s.context.begin(), s.context.end());
  for (int32_t t = n - r.recent; t < n; ++t) kept.push_back(t);
  Segment& open = made.open();
  open.resize(static_cast<int32_t>(kept.size()));
  for (size_t i = 0; i < kept.size(); ++i) {
    if (!w.compressed) open.pages.copy(old.pages, kept[i], static_cast<int32_t>(i));
    open.scores[i] = old.scores[static_cast<size_t>(kept[i])];
    open.positions[i] = old.positions[static_cast<size_t>(kept[i])];
  }
  const int32_t before = made.first_open();
  for (size_t i = 0; i < kept.size(); ++i) note_stays(w, to, kept[i], before + static_cast<int32_t>(i));
  made.ring = first_ring(r);
  *w.head = std::move(made);
}

// For compress(): whoever is not kept is dropped.
inline auto drop(const HeadWork& from) {
  return [&from](const HeadWork& to, const Split& s) {
    for (size_t i = 0; i < s.rest.size(); ++i) {
      const Token gone = token(from, s.rest[i]);
      const Why why = s.why_of(i);
      to.note({ZS_DROP, why.reason, gone.position, gone.slot, -1, gone.score, why.rank, why.threshold});
      to.head->dropped(gone.position);
    }
  };
}
inline void compress_and_drop(HeadWork& w) { compress(w, drop(w)); }

// ---- one token too many (5)

// Runs [first, end) of [from, to) in the open segment without pinned tokens: f(first, end).
template <class F>
void each_free(const HeadWork& w, int32_t from, int32_t to, F&& f) {
  int32_t first = from;
  for (int32_t i = from; !w.head->pinned.empty() && i < to; ++i) {
    if (!w.head->is_pinned(w.head->open().positions[static_cast<size_t>(i)])) continue;
    if (first < i) f(first, i);
    first = i + 1;
  }
  if (first < to) f(first, to);
}

// Slots of the open segment of which one leaves, the new token among them.
inline Range candidates(const Head& head) {
  const zs_resolved& r = head.sizes;
  return {r.sink, std::min(r.budget - r.recent - r.residual + 1, head.open().slots())};
}

// Slot of the open segment that leaves: the least score of context and the ring's oldest (without recent: of all), the lowest of equals;
// without scores the oldest position.
inline int32_t victim(const HeadWork& w) {
  if (w.found) return w.found->leaving;
  const Segment& open = w.head->open();
  const zs_resolved& r = w.sizes();
  const auto [from, to] = candidates(*w.head);
  // Far from all that was read last: there by the time they are wanted.
  if (r.recent > 1) __builtin_prefetch(&open.positions[static_cast<size_t>(w.head->ring - w.head->first_open())]);
  if (w.scored) {
    int32_t least = -1;
    each_free(w, from, to, [&](int32_t first, int32_t end) {
      const int32_t one = static_cast<int32_t>(w.kernels->smallest(w.choice, first, end));
      if (least < 0 || w.choice[one] < w.choice[least] || w.choice[least] != w.choice[least]) least = one;
    });
    __builtin_prefetch(&open.positions[static_cast<size_t>(least)]);
    return least;
  }
  int32_t oldest = -1;
  each_free(w, from, to, [&](int32_t first, int32_t end) {
    for (int32_t i = first; i < end; ++i)
      if (oldest < 0 || open.positions[static_cast<size_t>(i)] < open.positions[static_cast<size_t>(oldest)])
        oldest = i;
  });
  return oldest;
}

// Why it is the slot `leaving`; nothing where nobody asks.
inline Why why_of(const HeadWork& w, int32_t leaving) {
  if (!w.told()) return {};
  if (!w.scored) return {ZS_BY_AGE, 0};
  Why why{ZS_BY_SCORE, 0};
  if (!by_own_scores(w)) return why;
  if (w.found) return {ZS_BY_SCORE, 0, w.found->threshold};
  const auto [from, to] = candidates(*w.head);
  each_free(w, from, to, [&](int32_t first, int32_t end) {
    const float least = w.kernels->least_but(w.choice, first, end, std::clamp(leaving, first - 1, end));
    if (std::isfinite(least) && !(why.threshold <= least)) why.threshold = least;
  });
  return why;
}

// Slots of the ring, counted as of Head, over which the next leaver goes round; none where nobody but the new token is protected.
inline Range ring(const Head& head) {
  const zs_resolved& r = head.sizes;
  return r.recent > 1 ? Range{r.budget - r.recent + 1, r.budget} : Range{0, 0};
}

// The leaver takes the place of `victim`, which is gone, and the new token takes the leaver's.
inline void place(HeadWork& w, int32_t victim) {
  Head& head = *w.head;
  const zs_resolved& r = w.sizes();
  Segment& open = head.open();
  const int32_t before = head.first_open();
  const auto move = [&](int32_t source, int32_t target) {
    if (!w.found) open.pages.copy(open.pages, source, target);
    open.scores[static_cast<size_t>(target)] = open.scores[static_cast<size_t>(source)];
    open.positions[static_cast<size_t>(target)] = open.positions[static_cast<size_t>(source)];
  };
  const int32_t last = open.slots() - 1;  // the new token
  int32_t to = victim;
  if (r.recent > 1) {
    to = head.ring - before;
    const size_t leaver = static_cast<size_t>(to);
    w.note({ZS_LEAVE, ZS_BY_AGE, open.positions[leaver], head.ring, before + victim, open.scores[leaver]});
    move(to, victim);
    const Range round = ring(head);
    head.ring = head.ring + 1 < round.to ? head.ring + 1 : round.from;
  }
  if (to != last) {
    w.note_admit(open.positions[static_cast<size_t>(last)], before + to, open.scores[static_cast<size_t>(last)]);
    move(last, to);
  }
  head.remove_last(false);
}

inline int32_t make_room_by_drop(HeadWork& w) {
  const Segment& open = w.head->open();
  const int32_t leaving = victim(w);
  const size_t i = static_cast<size_t>(leaving);
  const Why why = why_of(w, leaving);
  w.note({ZS_DROP, why.reason, open.positions[i], w.arrival && leaving + 1 == open.slots() ? -1 : leaving, -1,
          open.scores[i], why.rank, why.threshold});
  w.head->dropped(open.positions[i]);
  return leaving;
}
inline void evict_and_drop(HeadWork& w) { place(w, make_room_by_drop(w)); }

// A device does the same: who leaves is dropped, or merged as the rest of the rule says.
inline bool device(const Policy&, DeviceRule& rule) {
  rule.compresses = true;
  rule.candidates = candidates;
  rule.ring = ring;
  return true;
}

// Before the first evict of a cache that was never compressed: the ring begins.
inline void start(HeadWork& w) {
  w.head->open().reserve(w.sizes().budget - w.sizes().residual + 1);
  w.head->ring = first_ring(w.sizes());
}

}  // namespace regions
}  // namespace zs
#endif
