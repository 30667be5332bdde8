// ZSMerge (arXiv 2503.10714): history decides who stays, what leaves is merged into the residual slot whose key is most like it, and
// merged slots answer for all their tokens. Numbers in brackets are sections of the specification.
#ifndef ZSLAB_POLICIES_ZSMERGE_H
#define ZSLAB_POLICIES_ZSMERGE_H

#include "policies/filling.h"
#include "policies/history.h"
#include "policies/regions.h"

namespace zs {
namespace zsmerge {

enum ScoreMerge { kMax = 0, kSum = 1 };
enum Init { kPosition = 0, kSimilarity = 1 };
enum Underfull { kCompress = 0, kFirstTokens = 1 };
enum Aggregate { kMean = 0, kScore = 1, kMedoid = 2 };
enum Part { kMoves = 0, kFixed = 1 };  // of a merged slot: the mean of its members, or its seed's for good

struct Parameters {
  double recent;           // slots, or share of budget: the newest tokens, never candidates (the incoming one included)
  double residual;         // slots, or share of budget - recent: merged slots; 0 = none
  int32_t sink;            // first tokens that never leave (slots between residual and context)
  int32_t least_budget;    // that a share comes to
  int32_t least_recent;    // that a share comes to; counts too with raise_counts
  int32_t least_residual;  // the same
  int32_t raise_counts;
  float alpha;  // compensation: logit += alpha ln(weight)
  History history;
  int32_t similarity;  // zs_similarity
  int32_t score_merge, init, underfull;
  int32_t granularity;  // zs_granularity
  int32_t aggregate, keys, values;
};

// ---- what becomes of two slots (5, 5c)

inline float merged_score(const Parameters& p, float into, float moved) {
  return p.score_merge == kSum ? into + moved : moved > into ? moved : into;
}

// Share of `into` in the mean of the two.
inline double share_of(const Parameters& p, double into_weight, double weight, double into_score, double score) {
  if (p.aggregate == kScore && into_score + score != 0) return into_score / (into_score + score);
  return into_weight / (into_weight + weight);
}

// What residual slot `target` holds with one token (weight 1) more: in double, so that the order of a long chain hardly shows.
inline void merge_content(const HeadWork& w, int32_t target, const float* key, const float* value, float score) {
  const Parameters& p = w.own<Parameters>();
  Segment& residual = w.head->segments[0];
  const int32_t d = residual.pages.geometry().d;
  const float own = residual.scores[static_cast<size_t>(target)];
  const double weight = static_cast<double>(residual.weights[static_cast<size_t>(target)]);
  if (p.aggregate == kMedoid) {
    if (score > own) residual.pages.write(target, key, value);
  } else if (p.keys == kMoves || p.values == kMoves) {
    float own_key[512], own_value[512];
    residual.pages.read(target, own_key, own_value);
    if (p.aggregate == kMean) {
      const double inverse = 1 / (weight + 1);
      const auto mean = [&](float* mine, const float* other) {
        for (int32_t i = 0; i < d; ++i)
          mine[i] =
              static_cast<float>((weight * static_cast<double>(mine[i]) + static_cast<double>(other[i])) * inverse);
      };
      if (p.keys == kMoves) mean(own_key, key);
      if (p.values == kMoves) mean(own_value, value);
    } else {
      const double mine = share_of(p, weight, 1, static_cast<double>(own), static_cast<double>(score)),
                   other = 1 - mine;
      for (int32_t i = 0; i < d; ++i) {
        own_key[i] = static_cast<float>(mine * static_cast<double>(own_key[i]) + other * static_cast<double>(key[i]));
        own_value[i] =
            static_cast<float>(mine * static_cast<double>(own_value[i]) + other * static_cast<double>(value[i]));
      }
    }
    residual.pages.write(target, own_key, own_value);
  }
}

// The books of the same.
inline void merge_books(const HeadWork& w, int32_t target, float score, int32_t position) {
  const Parameters& p = w.own<Parameters>();
  Segment& residual = w.head->segments[0];
  float& own = residual.scores[static_cast<size_t>(target)];
  own = merged_score(p, own, score);
  residual.set_weight(target, static_cast<double>(residual.weights[static_cast<size_t>(target)]) + 1, p.alpha);
  w.head->chain(residual, target, position);
}

// One token (weight 1) into residual slot `target`.
inline void merge_token(const HeadWork& w, int32_t target, const float* key, const float* value, float score,
                        int32_t position) {
  merge_content(w, target, key, value, score);
  merge_books(w, target, score, position);
}

// The residual slot whose key is most like `key`, and how much.
inline int32_t target_of(const HeadWork& w, const float* key, float* similarity) {
  const Segment& residual = w.head->segments[0];
  float* alike = w.scratch->similarities.data();
  for (int32_t c = 0; c < residual.chunks(); ++c) {
    w.kernels->similarity(w.own<Parameters>().similarity, residual.chunk(c), residual.pages.geometry().d, key,
                          alike + static_cast<int64_t>(c) * kChunk);
  }
  int32_t best = 0;
  for (int32_t j = 1; j < residual.slots(); ++j)
    if (alike[j] > alike[best] || (alike[best] != alike[best] && alike[j] == alike[j])) best = j;
  *similarity = alike[best];
  return best;
}

inline void note_merge(const HeadWork& w, const regions::Why& why, int32_t position, int32_t slot, int32_t target,
                       float score, float alike, float target_score, float target_weight) {
  w.note({ZS_MERGE, why.reason, position, slot, target, score, why.rank, why.threshold, alike, target_score, 1,
          target_weight});
}

// ---- a prompt (4, 5c)

// Residual slot `j` begins, with its content where no device has written that.
inline void seed(const HeadWork& from, const HeadWork& to, int32_t j, const float* key, const float* value, float score,
                 int32_t position) {
  Segment& residual = to.head->segments[0];
  if (from.compressed)
    to.head->seed_books(residual, j, score, position);
  else
    to.head->seed(residual, j, key, value, score, position);
}

// Residual slot `j` from a run of tokens of `from`.
inline void seed_group(const HeadWork& from, const HeadWork& to, int32_t j, const regions::Split& s, size_t first,
                       int32_t size) {
  const Parameters& p = from.own<Parameters>();
  const Segment& old = from.head->open();
  Segment& residual = to.head->segments[0];
  const int32_t* const group = s.rest.data() + first;
  regions::note_stays(from, to, group[0], j);
  // Of what a device has merged no content is looked at.
  const size_t d = from.compressed ? 0 : static_cast<size_t>(old.pages.geometry().d);
  float *key = from.scratch->key.data(), *value = from.scratch->value.data();
  std::vector<double> keys(d), values(d);
  int32_t best = 0;  // the member with the highest score, the earliest of equals
  float score = 0;
  for (int32_t i = 0; i < size; ++i) {
    const regions::Token token = regions::token(from, group[i]);
    if (d) old.pages.read(group[i], key, value);
    const double mine = i == 0 ? 0 : share_of(p, i, 1, static_cast<double>(score), static_cast<double>(token.score));
    for (size_t x = 0; x < d; ++x) {
      const double k = static_cast<double>(key[x]), v = static_cast<double>(value[x]);
      keys[x] = p.aggregate == kScore ? mine * keys[x] + (1 - mine) * k : keys[x] + k;
      values[x] = p.aggregate == kScore ? mine * values[x] + (1 - mine) * v : values[x] + v;
    }
    if (from.scored && token.score > regions::token(from, group[best]).score) best = i;
    if (i)
      note_merge(to, s.why_of(first + static_cast<size_t>(i)), token.position, token.slot, j, token.score, kNone, score,
                 static_cast<float>(i));
    score = i ? merged_score(p, score, token.score) : token.score;
  }
  if (d) old.pages.read(group[best], key, value);
  const double count = p.aggregate == kScore ? 1 : size;
  for (size_t x = 0; x < d && p.aggregate != kMedoid; ++x) {
    if (p.keys == kMoves) key[x] = static_cast<float>(keys[x] / count);
    if (p.values == kMoves) value[x] = static_cast<float>(values[x] / count);
  }
  seed(from, to, j, key, value, score, regions::token(from, group[0]).position);
  residual.set_weight(j, size, p.alpha);
  for (int32_t i = 1; i < size; ++i) to.head->chain(residual, j, regions::token(from, group[i]).position);
}

inline void merge_rest(const HeadWork& from, const HeadWork& to, const regions::Split& s) {
  const Parameters& p = from.own<Parameters>();
  const Segment& old = from.head->open();
  const int32_t residual = from.sizes().residual;
  Segment& made = to.head->add_merged(residual);
  const Compressed* const there = from.compressed;
  if (there) made.pages = std::move(from.compressed->merged);
  if (p.init == kPosition) {
    const int32_t count = static_cast<int32_t>(s.rest.size()), share = count / residual, longer = count % residual;
    for (int32_t j = 0, next = 0; j < residual; ++j) {
      const int32_t size = share + (j < longer ? 1 : 0);
      seed_group(from, to, j, s, static_cast<size_t>(next), size);
      next += size;
    }
    return;
  }
  std::vector<int32_t> seeds, rest = s.rest;
  if (there) {
    seeds = there->seeds;
    regions::take_out(rest, seeds);
  } else if (from.scored) {
    seeds = regions::take_best(rest, residual, from.choice);
    std::sort(seeds.begin(), seeds.end());
  } else {
    seeds.assign(rest.begin(), rest.begin() + residual);
    rest.erase(rest.begin(), rest.begin() + residual);
  }
  float *key = from.scratch->key.data(), *value = from.scratch->value.data();
  for (int32_t j = 0; j < residual; ++j) {
    const regions::Token token = regions::token(from, seeds[static_cast<size_t>(j)]);
    if (!there) old.pages.read(seeds[static_cast<size_t>(j)], key, value);
    regions::note_stays(from, to, seeds[static_cast<size_t>(j)], j);
    seed(from, to, j, key, value, token.score, token.position);
  }
  size_t i = 0;  // where among s.rest
  for (size_t n = 0; n < rest.size(); ++n) {
    const int32_t t = rest[n];
    while (s.rest[i] != t) ++i;
    const regions::Token token = regions::token(from, t);
    if (!there) old.pages.read(t, key, value);
    float alike = there ? there->similarities[n] : kNone;
    const int32_t j = there ? there->targets[n] : target_of(to, key, &alike);
    note_merge(to, s.why_of(i), token.position, token.slot, j, token.score, alike, made.scores[static_cast<size_t>(j)],
               made.weights[static_cast<size_t>(j)]);
    if (there)
      merge_books(to, j, token.score, token.position);
    else
      merge_token(to, j, key, value, token.score, token.position);
  }
}

inline void compress(HeadWork& w) {
  if (w.sizes().residual == 0) return regions::compress_and_drop(w);
  regions::compress(w, [&w](const HeadWork& to, const regions::Split& s) { merge_rest(w, to, s); });
}

// ---- one token too many (5)

// underfull: first-tokens. The first tokens become the residual slots.
inline void start(HeadWork& w) {
  const Segment& old = w.head->open();
  const zs_resolved& r = w.sizes();
  if (r.residual == 0) return regions::start(w);
  Head made = w.head->emptied();
  Segment& residual = made.add_merged(r.residual);
  Segment& open = made.open();
  open.reserve(r.budget - r.residual + 1);
  open.resize(old.slots() - r.residual);
  for (int32_t t = 0, j = 0, i = 0; t < old.slots(); ++t) {
    const size_t at = static_cast<size_t>(t), to = static_cast<size_t>(i);
    const int32_t position = old.positions[at];
    if (j < r.residual && !w.head->is_pinned(position)) {  // pinned ones are not merged into, either
      old.pages.read(t, w.scratch->key.data(), w.scratch->value.data());
      made.seed(residual, j, w.scratch->key.data(), w.scratch->value.data(), old.scores[at], position);
      w.note_move(ZS_PLACE, position, t, j++);
      continue;
    }
    open.pages.copy(old.pages, t, i);
    open.scores[to] = old.scores[at];
    open.positions[to] = position;
    if (t + 1 < old.slots()) w.note_move(ZS_PLACE, position, t, r.residual + i);
    ++i;
  }
  made.ring = regions::first_ring(r);
  *w.head = std::move(made);
}

inline int32_t make_room(HeadWork& w) {
  const zs_resolved& r = w.sizes();
  if (r.residual == 0) return regions::make_room_by_drop(w);
  const Segment& residual = w.head->segments[0];
  const Segment& open = w.head->open();
  const int32_t leaving = regions::victim(w);
  const size_t i = static_cast<size_t>(leaving);
  const int32_t position = open.positions[i];
  const float score = open.scores[i];
  const auto note = [&](int32_t target, float alike) {
    note_merge(w, regions::why_of(w, leaving), position, r.residual + leaving, target, score, alike,
               residual.scores[static_cast<size_t>(target)], residual.weights[static_cast<size_t>(target)]);
  };
  if (w.found) {
    note(w.found->target, w.found->similarity);
    merge_books(w, w.found->target, score, position);
    return leaving;
  }
  float *key = w.scratch->key.data(), *value = w.scratch->value.data(), alike;
  open.pages.read(leaving, key, value);
  const int32_t target = target_of(w, key, &alike);
  note(target, alike);
  merge_token(w, target, key, value, score, position);
  return leaving;
}

inline void evict(HeadWork& w) { regions::place(w, make_room(w)); }

// ---- what is asked and what must hold (1, 5a)

inline zs_resolved resolve(const Policy& policy, double budget, int64_t tokens) {
  const Parameters& p = policy.own<Parameters>();
  regions::Asked asked;
  asked.recent = p.recent;
  asked.residual = p.residual;
  asked.sink = p.sink;
  asked.least_budget = p.least_budget;
  asked.least_recent = p.least_recent;
  asked.least_residual = p.least_residual;
  asked.raise_counts = p.raise_counts != 0;
  return regions::resolve(asked, budget, tokens);
}

inline Needs needs(const Policy& policy, int64_t tokens) {
  const Parameters& p = policy.own<Parameters>();
  Needs needs = zs::needs(p.history, tokens);
  needs.acts = ZS_ACTS_ALWAYS;
  needs.granularity = static_cast<zs_granularity>(p.granularity);
  return needs;
}

inline void check(const Policy& policy) {
  const Parameters& p = policy.own<Parameters>();
  is_share_or_count("recent", p.recent, false);
  is_share_or_count("residual", p.residual, true);
  in_range("sink", p.sink, 0, INT32_MAX);
  in_range("leastBudget", p.least_budget, 0, INT32_MAX);
  in_range("leastRecent", p.least_recent, 0, INT32_MAX);
  in_range("leastResidual", p.least_residual, 0, INT32_MAX);
  in_range("raiseCounts", p.raise_counts, 0, 1);
  if (!std::isfinite(p.alpha))
    fail(ZS_INVALID, "policy.alpha is %g: expected a finite number", static_cast<double>(p.alpha));
  zs::check(p.history);
  in_range("similarity", p.similarity, 0, ZS_COSINE);
  in_range("scoreMerge", p.score_merge, 0, kSum);
  in_range("init", p.init, 0, kSimilarity);
  in_range("underfull", p.underfull, 0, kFirstTokens);
  in_range("granularity", p.granularity, 0, ZS_PER_MODEL);
  in_range("aggregate", p.aggregate, 0, kMedoid);
  in_range("keys", p.keys, 0, kFixed);
  in_range("values", p.values, 0, kFixed);
  if (p.aggregate != kMean && !p.history.on)
    fail(ZS_INVALID, "policy.aggregate %d goes by scores, and history is off: keep history, or take the mean",
         p.aggregate);
  if (p.aggregate != kMean && (p.keys == kFixed || p.values == kFixed))
    fail(ZS_INVALID, "policy.aggregate %d says what becomes of keys and values, which are to stay fixed: take the mean",
         p.aggregate);
}

inline bool device(const Policy& policy, DeviceRule& rule) {
  const Parameters& p = policy.own<Parameters>();
  rule.by_similarity = p.init == kSimilarity;
  rule.similarity = p.similarity;
  rule.score_merge = p.score_merge;
  rule.aggregate = p.aggregate;
  rule.keys = p.keys;
  rule.values = p.values;
  rule.alpha = p.alpha;
  return regions::device(policy, rule);
}

inline PolicyHooks hooks() {
  static const zs_field fields[] = {ZS_FIELD(Parameters, recent, "recent"),
                                    ZS_FIELD(Parameters, residual, "residual"),
                                    ZS_FIELD(Parameters, sink, "sink"),
                                    ZS_FIELD(Parameters, least_budget, "leastBudget"),
                                    ZS_FIELD(Parameters, least_recent, "leastRecent"),
                                    ZS_FIELD(Parameters, least_residual, "leastResidual"),
                                    ZS_FIELD(Parameters, raise_counts, "raiseCounts"),
                                    ZS_FIELD(Parameters, alpha, "alpha"),
                                    ZS_HISTORY_FIELDS(Parameters),
                                    ZS_FIELD(Parameters, similarity, "similarity"),
                                    ZS_FIELD(Parameters, score_merge, "scoreMerge"),
                                    ZS_FIELD(Parameters, init, "init"),
                                    ZS_FIELD(Parameters, underfull, "underfull"),
                                    ZS_FIELD(Parameters, granularity, "granularity"),
                                    ZS_FIELD(Parameters, aggregate, "aggregate"),
                                    ZS_FIELD(Parameters, keys, "keys"),
                                    ZS_FIELD(Parameters, values, "values")};
  PolicyHooks hooks{};
  describe<Parameters>(hooks, "zsmerge", fields);
  hooks.check = check;
  hooks.needs = needs;
  hooks.resolve = resolve;
  hooks.contest = [](const HeadWork& w) { return regions::contest(w, 1); };
  hooks.compress = compress;
  hooks.compress_underfull = [](const Policy& p) { return p.own<Parameters>().underfull == kCompress; };
  hooks.start = start;
  hooks.evict = evict;
  hooks.alpha = [](const Policy& p) { return p.own<Parameters>().alpha; };
  hooks.changeable = {"alpha", "decay", "similarity", "scoreMerge"};
  hooks.make_room = make_room;
  hooks.device = device;
  hooks.fill = regions::fill;
  hooks.single = true;
  return hooks;
}

}  // namespace zsmerge
ZS_POLICY(zsmerge)
}  // namespace zs
#endif
