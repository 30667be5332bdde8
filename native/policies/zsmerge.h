// ZSMerge (arXiv 2503.10714): who stays, who is merged into which residual slot, with its special cases: pure eviction (residual 0),
// sinks and no history (StreamingLLM). Decisions use float32 scores and similarities, ties go to the lowest slot; not-a-number never
// wins. Numbers in brackets are sections of the specification.
#ifndef ZSLAB_POLICIES_ZSMERGE_H
#define ZSLAB_POLICIES_ZSMERGE_H

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/error.h"
#include "core/policy.h"

namespace zs {
namespace zsmerge {

// ---- shares to slots (1, 5a)

inline zs_resolved resolve(const zs_policy& p, int64_t tokens) {
  const auto share = [](double part, int64_t of) {
    return static_cast<int64_t>(std::trunc(part * static_cast<double>(of)));
  };
  int64_t budget =
      p.budget < 1 ? std::max<int64_t>(share(p.budget, tokens), p.least_budget) : static_cast<int64_t>(p.budget);
  const bool recent_share = p.recent < 1, residual_share = p.residual > 0 && p.residual < 1;
  int64_t recent = recent_share ? share(p.recent, budget) : static_cast<int64_t>(p.recent);
  if (recent_share || p.raise_counts) recent = std::max<int64_t>(recent, p.least_recent);
  int64_t residual = residual_share ? share(p.residual, budget - recent) : static_cast<int64_t>(p.residual);
  if (residual_share || p.raise_counts) residual = std::max<int64_t>(residual, p.least_residual);
  if (budget > INT32_MAX)
    fail(ZS_INVALID, "budget %g of %lld tokens is %lld slots: expected at most %d", p.budget,
         static_cast<long long>(tokens), static_cast<long long>(budget), INT32_MAX);
  if (recent < 1)
    fail(ZS_INVALID, "recent %g of %lld slots is 0: expected at least 1, the new token itself", p.recent,
         static_cast<long long>(budget));
  const int64_t least = recent + residual + p.sink;
  if (budget <= least) {
    char given[96];
    if (p.budget < 1)
      std::snprintf(given, sizeof given, "budget %g of %lld tokens is %lld slots", p.budget,
                    static_cast<long long>(tokens), static_cast<long long>(budget));
    else
      std::snprintf(given, sizeof given, "budget is %lld slots", static_cast<long long>(budget));
    fail(ZS_INVALID,
         "%s; more than recent (%lld) + residual (%lld) + sink (%d) is needed: raise budget to at least %lld or lower "
         "the others",
         given, static_cast<long long>(recent), static_cast<long long>(residual), p.sink,
         static_cast<long long>(least + 1));
  }
  zs_resolved resolved{};
  resolved.budget = static_cast<int32_t>(budget);
  resolved.recent = static_cast<int32_t>(recent);
  resolved.residual = static_cast<int32_t>(residual);
  resolved.sink = p.sink;
  resolved.context = static_cast<int32_t>(budget - least);
  resolved.window = window_of(p, tokens);
  return resolved;
}

// ---- merging

inline float merged_score(const zs_policy& p, float into, float moved) {
  return p.score_merge == ZS_MERGE_SUM ? into + moved : moved > into ? moved : into;
}

// One token (weight 1) into residual slot `target`: the mean by weight of keys and values, in double so that the order of a long chain
// hardly shows.
inline void merge_token(const HeadWork& w, int32_t target, const float* key, const float* value, float score,
                        int32_t position) {
  Head& head = *w.head;
  const int32_t d = head.residual.geometry().d;
  float own_key[512], own_value[512];
  head.residual.read(target, own_key, own_value);
  const double weight = static_cast<double>(head.weights[static_cast<size_t>(target)]), inverse = 1 / (weight + 1);
  for (int32_t i = 0; i < d; ++i) {
    own_key[i] = static_cast<float>((weight * static_cast<double>(own_key[i]) + static_cast<double>(key[i])) * inverse);
    own_value[i] =
        static_cast<float>((weight * static_cast<double>(own_value[i]) + static_cast<double>(value[i])) * inverse);
  }
  head.residual.write(target, own_key, own_value);
  float& own = head.residual_scores[static_cast<size_t>(target)];
  own = merged_score(*w.policy, own, score);
  head.set_weight(target, weight + 1, w.policy->alpha);
  head.chain(target, position);
}

// The residual slot whose key is most like `key`, and how much.
inline int32_t target_of(const HeadWork& w, const float* key, float* similarity) {
  const Segment& residual = w.head->residual;
  float* alike = w.scratch->similarities.data();
  for (int32_t c = 0; c < residual.chunks(); ++c) {
    const KeyChunk chunk = residual.chunk(c, nullptr);
    w.kernels->similarity(w.policy->similarity, static_cast<const float*>(chunk.keys), chunk.slots,
                          residual.geometry().d, key, alike + static_cast<int64_t>(c) * kChunk);
  }
  int32_t best = 0;
  for (int32_t j = 1; j < residual.slots(); ++j)
    if (alike[j] > alike[best] || (alike[best] != alike[best] && alike[j] == alike[j])) best = j;
  *similarity = alike[best];
  return best;
}

// ---- the first compression (4, 5a underfull, 5c init and history off)

struct Split {
  std::vector<int32_t> context, rest;  // tokens: context in slot order, the rest in order of position
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

inline Split split(const HeadWork& w) {
  const zs_resolved& r = *w.resolved;
  const int32_t n = w.head->rest.slots();
  Split s;
  for (int32_t t = r.sink; t < n - r.recent; ++t) s.rest.push_back(t);
  if (w.history()) {
    s.context = take_best(s.rest, r.context, w.head->rest_scores.data());
  } else {
    s.context.assign(s.rest.end() - r.context, s.rest.end());
    s.rest.resize(s.rest.size() - s.context.size());
  }
  return s;
}

inline void compress(HeadWork& w) {
  const Head& old = *w.head;
  const zs_resolved& r = *w.resolved;
  const int32_t n = old.rest.slots(), d = old.rest.geometry().d;
  const bool arrival = w.step > 0;
  Split s = split(w);
  float *key = w.scratch->key.data(), *value = w.scratch->value.data();
  const auto score = [&](int32_t t) { return old.rest_scores[static_cast<size_t>(t)]; };
  const auto position = [&](int32_t t) { return old.positions[static_cast<size_t>(t)]; };
  const auto was_in = [&](int32_t t) { return arrival && t + 1 < n ? t : -1; };

  Head made(old.rest.geometry());
  made.links = old.links;
  made.counters = old.counters;
  made.make_residual(r.residual);
  made.make_room(r.budget - r.residual + 1);
  HeadWork to = w;  // the same head, as it will be
  to.head = &made;

  if (r.residual == 0) {
    for (int32_t t : s.rest) {
      to.note(ZS_DROP, position(t), was_in(t), -1, score(t), kNone, 1, 0);
      made.links[static_cast<size_t>(position(t))] = kLinkDropped;
    }
  } else if (w.policy->init == ZS_INIT_POSITION) {
    const int32_t count = static_cast<int32_t>(s.rest.size()), share = count / r.residual, longer = count % r.residual;
    std::vector<double> keys(static_cast<size_t>(d)), values(static_cast<size_t>(d));
    int32_t next = 0;
    for (int32_t j = 0; j < r.residual; ++j) {
      const int32_t size = share + (j < longer ? 1 : 0);
      std::fill(keys.begin(), keys.end(), 0);
      std::fill(values.begin(), values.end(), 0);
      float best = 0;
      for (int32_t i = 0; i < size; ++i) {
        const int32_t t = s.rest[static_cast<size_t>(next + i)];
        old.rest.read(t, key, value);
        for (int32_t x = 0; x < d; ++x) {
          keys[static_cast<size_t>(x)] += static_cast<double>(key[x]);
          values[static_cast<size_t>(x)] += static_cast<double>(value[x]);
        }
        best = i ? merged_score(*w.policy, best, score(t)) : score(t);
        if (i) to.note(ZS_MERGE, position(t), was_in(t), j, score(t), kNone, 1, static_cast<float>(i));
      }
      for (int32_t x = 0; x < d; ++x) {
        key[x] = static_cast<float>(keys[static_cast<size_t>(x)] / size);
        value[x] = static_cast<float>(values[static_cast<size_t>(x)] / size);
      }
      made.seed(j, key, value, best, position(s.rest[static_cast<size_t>(next)]));
      made.set_weight(j, size, w.policy->alpha);
      for (int32_t i = 1; i < size; ++i) made.chain(j, position(s.rest[static_cast<size_t>(next + i)]));
      next += size;
    }
  } else {
    std::vector<int32_t> seeds;
    if (w.history()) {
      seeds = take_best(s.rest, r.residual, old.rest_scores.data());
      std::sort(seeds.begin(), seeds.end());
    } else {
      seeds.assign(s.rest.begin(), s.rest.begin() + r.residual);
      s.rest.erase(s.rest.begin(), s.rest.begin() + r.residual);
    }
    for (int32_t j = 0; j < r.residual; ++j) {
      const int32_t t = seeds[static_cast<size_t>(j)];
      old.rest.read(t, key, value);
      made.seed(j, key, value, score(t), position(t));
    }
    for (int32_t t : s.rest) {
      old.rest.read(t, key, value);
      float alike;
      const int32_t j = target_of(to, key, &alike);
      to.note(ZS_MERGE, position(t), was_in(t), j, score(t), alike, 1, made.weights[static_cast<size_t>(j)]);
      merge_token(to, j, key, value, score(t), position(t));
    }
  }

  std::vector<int32_t> kept;
  for (int32_t t = 0; t < r.sink; ++t) kept.push_back(t);
  kept.insert(kept.end(), s.context.begin(), s.context.end());
  for (int32_t t = n - r.recent; t < n; ++t) kept.push_back(t);
  made.rest.resize(static_cast<int32_t>(kept.size()));
  made.rest_scores.assign(static_cast<size_t>(round_up(static_cast<int64_t>(kept.size()), kLane)), 0.0f);
  for (size_t i = 0; i < kept.size(); ++i) {
    made.rest.copy(old.rest, kept[i], static_cast<int32_t>(i));
    made.rest_scores[i] = score(kept[i]);
    made.positions.push_back(position(kept[i]));
  }
  if (!arrival)
    for (int32_t j = 0; j < r.residual; ++j) {
      const size_t i = static_cast<size_t>(j);
      to.note(ZS_ADMIT, made.first[i], j, -1, made.residual_scores[i], kNone, made.weights[i], 0);
    }
  for (size_t i = arrival ? kept.size() - 1 : 0; i < kept.size(); ++i)
    to.note(ZS_ADMIT, made.positions[i], r.residual + static_cast<int32_t>(i), -1, made.rest_scores[i], kNone, 1, 0);
  *w.head = std::move(made);
  w.ring = r.recent > 1 ? r.budget - r.recent + 1 : -1;
}

// ---- one token too many (5)

inline bool compress_underfull(const zs_policy& p) { return p.underfull == ZS_UNDERFULL_COMPRESS; }

// underfull: first-tokens. The first slots become the residual ones.
inline void start(HeadWork& w) {
  const Head& old = *w.head;
  const zs_resolved& r = *w.resolved;
  Head made(old.rest.geometry());
  made.links = old.links;
  made.counters = old.counters;
  made.make_residual(r.residual);
  made.make_room(r.budget - r.residual + 1);
  for (int32_t j = 0; j < r.residual; ++j) {
    old.rest.read(j, w.scratch->key.data(), w.scratch->value.data());
    made.seed(j, w.scratch->key.data(), w.scratch->value.data(), old.rest_scores[static_cast<size_t>(j)],
              old.positions[static_cast<size_t>(j)]);
  }
  const int32_t count = old.rest.slots() - r.residual;
  made.rest.resize(count);
  made.rest_scores.assign(static_cast<size_t>(round_up(count, kLane)), 0.0f);
  for (int32_t i = 0; i < count; ++i) {
    made.rest.copy(old.rest, r.residual + i, i);
    made.rest_scores[static_cast<size_t>(i)] = old.rest_scores[static_cast<size_t>(r.residual + i)];
    made.positions.push_back(old.positions[static_cast<size_t>(r.residual + i)]);
  }
  *w.head = std::move(made);
  w.ring = r.recent > 1 ? r.budget - r.recent + 1 : -1;
}

inline void evict(HeadWork& w) {
  Head& head = *w.head;
  const zs_resolved& r = *w.resolved;
  if (r.recent > 1) __builtin_prefetch(&head.positions[static_cast<size_t>(w.ring - r.residual)]);
  const int32_t from = r.sink,
                to = r.budget - r.recent - r.residual + 1;  // candidates among the rest: context and the ring's eldest
  int32_t victim = from;
  if (w.history()) {
    victim = static_cast<int32_t>(w.kernels->smallest(head.rest_scores.data(), from, to));
  } else {
    for (int32_t i = from + 1; i < to; ++i)
      if (head.positions[static_cast<size_t>(i)] < head.positions[static_cast<size_t>(victim)]) victim = i;
  }
  const size_t v = static_cast<size_t>(victim);
  __builtin_prefetch(&head.positions[v]);  // far from all that was read last; there by the time it is wanted
  const float score = head.rest_scores[v];
  if (r.residual > 0) {
    float *key = w.scratch->key.data(), *value = w.scratch->value.data(), alike;
    head.rest.read(victim, key, value);
    const int32_t target = target_of(w, key, &alike), position = head.positions[v];
    w.note(ZS_MERGE, position, r.residual + victim, target, score, alike, 1, head.weights[static_cast<size_t>(target)]);
    merge_token(w, target, key, value, score, position);
  } else {
    const int32_t position = head.positions[v];
    w.note(ZS_DROP, position, victim, -1, score, kNone, 1, 0);
    head.links[static_cast<size_t>(position)] = kLinkDropped;
  }

  const auto move = [&](int32_t source, int32_t target) {
    head.rest.copy(head.rest, source, target);
    head.rest_scores[static_cast<size_t>(target)] = head.rest_scores[static_cast<size_t>(source)];
    head.positions[static_cast<size_t>(target)] = head.positions[static_cast<size_t>(source)];
  };
  const int32_t last = head.rest.slots() - 1;  // the new token
  int32_t place = victim;
  if (r.recent > 1) {
    place = w.ring - r.residual;
    const size_t leaver = static_cast<size_t>(place);
    w.note(ZS_LEAVE, head.positions[leaver], w.ring, r.residual + victim, head.rest_scores[leaver], kNone, 1, 0);
    move(place, victim);
    w.ring = w.ring + 1 < r.budget ? w.ring + 1 : r.budget - r.recent + 1;
  }
  w.note(ZS_ADMIT, head.positions[static_cast<size_t>(last)], r.residual + place, -1,
         head.rest_scores[static_cast<size_t>(last)], kNone, 1, 0);
  move(last, place);
  head.rest.resize(last);
  head.positions.pop_back();
  head.rest_scores[static_cast<size_t>(last)] = 0;
}

inline PolicyHooks hooks() { return {"zsmerge", resolve, compress, compress_underfull, start, evict}; }

}  // namespace zsmerge
}  // namespace zs
#endif
