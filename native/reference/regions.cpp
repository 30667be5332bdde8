// Who is kept of a prompt and who leaves at a step, alone or together with other heads (spec 4, 5, 5c).
#include "reference/regions.h"

#include <algorithm>
#include <stdexcept>

namespace reference {

namespace {
// What the heads of a group give slot `s` together, and what float32 may be off by in it.
Candidate summed(Cache& cache, const std::vector<At>& group, size_t s, int id, double sign) {
  const std::vector<Slot>& first = cache.head(group[0]).slots;
  Candidate sum{id, 0, 0, group.size() == 1 ? &first[s] : nullptr};
  for (size_t i = 0; i < group.size(); ++i) {
    const Slot& slot = cache.head(group[i]).slots[s];
    sum.value += sign * slot.score;
    sum.error += slot.score_error + (i ? kUnit * sign * sum.value : 0);
  }
  return sum;
}
int64_t first_ring(const Resolved& sizes) { return sizes.recent > 1 ? sizes.budget - sizes.recent + 1 : -1; }
}  // namespace

Resolved regions(double budget, int64_t tokens, int64_t least, int64_t recent, int64_t sink, int64_t least_context) {
  Resolved sizes;
  sizes.budget = share_or_count(budget, tokens);
  if (budget < 1) sizes.budget = std::max(sizes.budget, least);
  sizes.recent = recent;
  sizes.sink = sink;
  sizes.context = sizes.budget - recent - sink;
  if (sizes.context < least_context) throw std::invalid_argument("the budget leaves too little context");
  return sizes;
}

size_t Regions::take_best(Cache& cache, const std::vector<At>& group, Tokens& from, Choice choice, int64_t slot,
                          int64_t step) {
  std::vector<Candidate> candidates;
  const std::vector<Slot>& first = cache.head(group[0]).slots;
  for (size_t t : from) candidates.push_back(summed(cache, group, t, first[t].origins[0], 1));
  const int chosen = cache.decide(choice, step, group[0], slot, -1, candidates);
  const auto at = std::find_if(from.begin(), from.end(), [&](size_t t) { return first[t].origins[0] == chosen; });
  const size_t token = *at;
  from.erase(at);
  return token;
}

std::vector<std::vector<Slot>> Regions::leave(Cache& cache, const std::vector<At>& group, Tokens rest,
                                              int64_t step) const {
  for (At at : group) {
    Head& head = cache.head(at);
    for (size_t t : rest) {
      cache.note(step, at, Action::kDrop, head.slots[t], was_in(head, t, step));
      head.dropped += head.slots[t].weight;
    }
  }
  return std::vector<std::vector<Slot>>(group.size());
}

void Regions::leave(Cache& cache, At at, int victim, int64_t step) const {
  Head& head = cache.head(at);
  const Slot& gone = head.slots[static_cast<size_t>(victim)];
  const bool newest = victim == head.sizes.budget;
  cache.note(step, at, Action::kDrop, gone, newest ? -1 : victim);
  head.dropped += gone.weight;
}

void Regions::compress(Cache& cache, const std::vector<At>& group, int64_t step) const {
  const Resolved sizes = cache.head(group[0]).sizes;
  const size_t n = cache.head(group[0]).slots.size(), sinks = static_cast<size_t>(sizes.sink),
               keep = static_cast<size_t>(sizes.context), recent = static_cast<size_t>(sizes.recent);
  Tokens rest, context;
  for (size_t t = sinks; t < n - recent; ++t) rest.push_back(t);
  const Head& any = cache.head(group[0]);
  const auto pinned = [&](size_t t) { return any.pinned.count(any.slots[t].origins[0]) > 0; };
  Tokens stay;  // pinned ones, which need places like all others
  for (size_t t : rest)
    if (pinned(t)) stay.push_back(t);
  rest.erase(std::remove_if(rest.begin(), rest.end(), pinned), rest.end());
  if (scored(step)) {
    for (size_t i = 0, free = keep - stay.size(); i < keep; ++i) {
      Tokens pool = stay;
      if (free > 0) pool.insert(pool.end(), rest.begin(), rest.end());
      std::sort(pool.begin(), pool.end());
      const size_t taken =
          take_best(cache, group, pool, Choice::kKeep, sizes.residual + sizes.sink + static_cast<int64_t>(i), step);
      context.push_back(taken);
      Tokens& from = pinned(taken) ? stay : rest;
      if (!pinned(taken)) --free;
      from.erase(std::find(from.begin(), from.end(), taken));
    }
  } else {  // the newest stay, in order of position
    const size_t free = keep - stay.size();
    context.assign(rest.end() - static_cast<int64_t>(free), rest.end());
    rest.resize(rest.size() - free);
    context.insert(context.end(), stay.begin(), stay.end());
    std::sort(context.begin(), context.end());
  }
  const std::vector<std::vector<Slot>> residual = leave(cache, group, rest, step);
  for (size_t i = 0; i < group.size(); ++i) {
    Head& head = cache.head(group[i]);
    const std::vector<Slot> tokens = head.slots;
    head.slots = residual[i];
    for (size_t t = 0; t < sinks; ++t) head.slots.push_back(tokens[t]);
    for (size_t t : context) head.slots.push_back(tokens[t]);
    for (size_t t = n - recent; t < n; ++t) head.slots.push_back(tokens[t]);
    head.ring = first_ring(sizes);
    for (size_t s = 0; s < head.slots.size(); ++s) {
      // As it came: a merged slot begins with its first token.
      const auto came = std::find_if(tokens.begin(), tokens.end(),
                                     [&](const Slot& token) { return token.origins[0] == head.slots[s].origins[0]; });
      if (!arrival(step) || came + 1 == tokens.end())
        cache.note(step, group[i], Action::kAdmit, *came, static_cast<int64_t>(s));
    }
  }
}

void Regions::start(Head& head) const {
  head.ring = first_ring(head.sizes);
  // The first tokens are the residual slots, but for those that are not to be merged into.
  std::vector<Slot> residual, others;
  for (const Slot& slot : head.slots) {
    const bool one = static_cast<int64_t>(residual.size()) < head.sizes.residual && !head.pinned.count(slot.origins[0]);
    (one ? residual : others).push_back(slot);
  }
  residual.insert(residual.end(), others.begin(), others.end());
  head.slots = residual;
}

int Regions::make_room(Cache& cache, const std::vector<At>& group, int64_t step) const {
  const Resolved sizes = cache.head(group[0]).sizes;
  const std::vector<Slot>& slots = cache.head(group[0]).slots;
  const int64_t first = sizes.residual + sizes.sink, last = sizes.budget - sizes.recent;
  std::vector<Candidate> candidates;
  for (int64_t i = first; i <= last && i < static_cast<int64_t>(slots.size()); ++i) {
    const Slot& slot = slots[static_cast<size_t>(i)];
    if (cache.head(group[0]).pinned.count(slot.origins[0])) continue;
    candidates.push_back(scored(step) ? summed(cache, group, static_cast<size_t>(i), static_cast<int>(i), -1)
                                      : Candidate{static_cast<int>(i), -static_cast<double>(slot.origins[0]), 0});
  }
  int victim;
  if (scored(step)) {
    victim = cache.decide(Choice::kVictim, step, group[0], -1, -1, candidates);
  } else {
    victim = std::max_element(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
               return a.value < b.value;
             })->id;
  }
  for (At at : group) leave(cache, at, victim, step);
  return victim;
}

void Regions::evict(Cache& cache, const std::vector<At>& group, int64_t step) const {
  const Resolved sizes = cache.head(group[0]).sizes;
  const int victim = make_room(cache, group, step);
  const int64_t last = sizes.budget - sizes.recent;
  for (At at : group) {
    Head& head = cache.head(at);
    const Slot token = head.slots.back();
    head.slots.pop_back();
    if (victim == static_cast<int>(head.slots.size())) continue;  // the new token itself
    Slot& place = head.slots[static_cast<size_t>(victim)];
    if (sizes.recent <= 1) {
      cache.note(step, at, Action::kAdmit, token, victim);
      place = token;
      continue;
    }
    Slot& ring = head.slots[static_cast<size_t>(head.ring)];
    cache.note(step, at, Action::kLeave, ring, head.ring, victim);
    place = ring;
    cache.note(step, at, Action::kAdmit, token, head.ring);
    ring = token;
    head.ring = head.ring + 1 < sizes.budget ? head.ring + 1 : last + 1;
  }
}

}  // namespace reference
