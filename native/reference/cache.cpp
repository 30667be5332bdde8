// Attention (spec 3), the prompt (spec 4) and chunks (spec 5, 5b), and decisions with their bounds. Who stays: the policies.
#include "reference/cache.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "reference/policy.h"

namespace reference {

const double Cache::kNone = std::numeric_limits<double>::quiet_NaN();

Cache::Cache(Shape shape, std::unique_ptr<Policy> policy, Storage storage, std::vector<double> budgets)
    : shape_(shape),
      policy_(std::move(policy)),
      storage_(storage),
      budgets_(std::move(budgets)),
      heads_(static_cast<size_t>(shape.layers * shape.kv_heads)),
      waiting_(heads_.size()),
      seq_len_(static_cast<size_t>(shape.layers)),
      steps_(static_cast<size_t>(shape.layers)) {}
Cache::Cache(Cache&&) noexcept = default;
Cache::~Cache() = default;

void Cache::change(std::unique_ptr<Policy> policy) { policy_ = std::move(policy); }

std::vector<Slot> Cache::make(const std::vector<float>& k, const std::vector<float>& v, At at, int64_t tokens,
                              int64_t position) const {
  std::vector<Slot> made(static_cast<size_t>(tokens));
  for (int64_t t = 0; t < tokens; ++t) {
    Slot& slot = made[static_cast<size_t>(t)];
    const size_t from = static_cast<size_t>((at.kv_head * tokens + t) * shape_.head_dim);
    for (size_t i = from; i < from + static_cast<size_t>(shape_.head_dim); ++i) {
      slot.key.push_back(stored(k[i], storage_));
      slot.value.push_back(stored(v[i], storage_));
    }
    policy_->take(at, slot.key, slot.value);
    slot.origins.push_back(static_cast<int>(position + t));
  }
  return made;
}

void Rotation::turn(std::vector<double>& row, int64_t position) const {
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double angle = static_cast<double>(position) * frequencies[i];
    double &a = row[halves ? i : 2 * i], &b = row[halves ? i + frequencies.size() : 2 * i + 1];
    const double before = a;
    a = before * std::cos(angle) - b * std::sin(angle);
    b = before * std::sin(angle) + b * std::cos(angle);
  }
}

// Sum of a[e] * b[e], and of what these are without their signs. Two elements at a time, in two parts of which none waits for the
// other: most of what the reference computes is this.
static std::pair<double, double> products(const std::vector<double>& a, const std::vector<double>& b) {
  typedef double Two __attribute__((vector_size(16)));
  Two sum[2] = {}, size[2] = {};
  const auto add = [&](Two product, int part) { sum[part] += product, size[part] += product < 0 ? -product : product; };
  const size_t count = a.size(), whole = count / 4 * 4;
  for (size_t e = 0; e < whole; e += 4) {
    add(Two{a[e], a[e + 1]} * Two{b[e], b[e + 1]}, 0);
    add(Two{a[e + 2], a[e + 3]} * Two{b[e + 2], b[e + 3]}, 1);
  }
  for (size_t e = whole; e < count; ++e) add(Two{a[e] * b[e]}, 0);
  sum[0] += sum[1], size[0] += size[1];
  return {sum[0][0] + sum[0][1], size[0][0] + size[0][1]};
}

// One query over those of `slots` that it reads: logit = q.k / sqrt(d) + alpha ln w. prob and error: of each slot, 0 where it is not read.
void Cache::attend(const std::vector<const Slot*>& slots, const std::vector<bool>& reads,
                   const std::vector<double>& query, double* out, std::vector<double>& prob,
                   std::vector<double>& error) const {
  const size_t count = slots.size();
  const auto slot = [&](size_t i) -> const Slot& { return *slots[i]; };
  const double scale = 1 / std::sqrt(static_cast<double>(shape_.head_dim));
  std::vector<double> logit(count, -std::numeric_limits<double>::infinity());
  prob.assign(count, 0);
  error.assign(count, 0);
  double largest = -std::numeric_limits<double>::infinity();
  double query_size = 0;
  for (double q : query) query_size += std::fabs(q);
  for (size_t i = 0; i < count; ++i) {
    if (!reads[i]) continue;
    const auto [dot, size] = products(query, slot(i).key);
    const double compensation = policy_->alpha() * std::log(slot(i).weight);
    logit[i] = dot * scale + compensation;
    error[i] = (rounding() * size + slot(i).key_error * query_size) * scale +
               kUnit * (std::fabs(logit[i]) + 2 * std::fabs(compensation));
    largest = std::max(largest, logit[i]);
  }
  double sum = 0, mean_error = 0;
  for (size_t i = 0; i < count; ++i) {
    prob[i] = std::exp(logit[i] - largest);
    sum += prob[i];
  }
  for (size_t i = 0; i < count; ++i) {
    prob[i] /= sum;
    mean_error += prob[i] * error[i];
  }
  for (int e = 0; e < shape_.head_dim; ++e) out[e] = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!reads[i]) continue;
    const double share = prob[i], *const value = slot(i).value.data();
    for (int e = 0; e < shape_.head_dim; ++e) out[e] += share * value[e];
    error[i] = prob[i] * (error[i] + mean_error + kUnit * (8 + std::fabs(logit[i] - largest))) + kTiny;
  }
}

void Cache::read(At at, const std::vector<float>& q, std::vector<Slot>& fresh, std::vector<double>& out) {
  const int d = shape_.head_dim, group = shape_.heads / shape_.kv_heads;
  const int64_t tokens = static_cast<int64_t>(fresh.size());
  Head& held = head(at);
  const bool prompt = seq_len(at.layer) == 0 && policy_->stride() == 0;
  std::vector<Slot> old = held.slots, own = fresh;
  std::vector<int64_t> places;
  if (policy_->rotates()) {
    // Double precision itself, and what float32 may be off by: cosine and sine, two products and their sum, in key and query.
    const auto turn = [&](Slot& slot, int64_t place) {
      double largest = 0;
      for (double x : slot.key) largest = std::max(largest, std::fabs(x));
      slot.key_error += 10 * kUnit * largest;
      rotation.turn(slot.key, place);
    };
    places = policy_->places(held);
    for (size_t i = 0; i < old.size(); ++i) turn(old[i], places[i]);
    for (size_t i = 0; i < own.size(); ++i) turn(own[i], places.back() + static_cast<int64_t>(i));
  }
  Seen seen;
  seen.prob.assign(static_cast<size_t>(group), std::vector<std::vector<double>>(fresh.size()));
  seen.error = seen.prob;
  for (int64_t row = 0; row < tokens; ++row) {
    std::vector<const Slot*> seen_slots;
    for (const Slot& slot : old) seen_slots.push_back(&slot);
    for (int64_t t = 0; t <= row; ++t) seen_slots.push_back(&own[static_cast<size_t>(t)]);
    const auto from = [&](int h) { return static_cast<size_t>(((at.kv_head * group + h) * tokens + row) * d); };
    std::vector<const float*> queries;
    for (int h = 0; h < group; ++h) queries.push_back(&q[from(h)]);
    held.read = 0;
    for (int h = 0; h < group; ++h) {
      const std::vector<bool> reads = prompt || !policy_->selects()
                                          ? std::vector<bool>(seen_slots.size(), true)
                                          : policy_->reads(at, held.sizes, h, queries, seen_slots);
      const int64_t count = std::count(reads.begin(), reads.end(), true);
      if (count < static_cast<int64_t>(reads.size())) held.read = std::max(held.read, count);
      std::vector<double> query(queries[static_cast<size_t>(h)], queries[static_cast<size_t>(h)] + d);
      if (policy_->rotates()) rotation.turn(query, places.back() + row);
      attend(seen_slots, reads, query, &out[from(h)], seen.prob[static_cast<size_t>(h)][static_cast<size_t>(row)],
             seen.error[static_cast<size_t>(h)][static_cast<size_t>(row)]);
    }
  }
  std::vector<Slot*> slots;
  for (Slot& slot : held.slots) slots.push_back(&slot);
  for (Slot& slot : fresh) slots.push_back(&slot);
  if (prompt || policy_->acts() != Acts::kPrompt) policy_->score(at, held.sizes, seen, slots, prompt);
}

bool Cache::waits(int layer) const { return policy_->together() == Together::kModel && layer + 1 < shape_.layers; }

// Heads that choose together, once `layer` has been read.
std::vector<std::vector<At>> Cache::groups(int layer) const {
  std::vector<std::vector<At>> groups;
  const Together together = policy_->together();
  for (int l = together == Together::kModel ? 0 : layer; l <= layer; ++l)
    for (int g = 0; g < shape_.kv_heads; ++g) {
      if (groups.empty() || together == Together::kHead) groups.emplace_back();
      groups.back().push_back({l, g});
    }
  return groups;
}

std::vector<double> Cache::prefill(int layer, const std::vector<float>& q, const std::vector<float>& k,
                                   const std::vector<float>& v, int64_t tokens, int64_t share_of) {
  std::vector<double> out(q.size());
  for (int g = 0; g < shape_.kv_heads; ++g) {
    Head& held = head({layer, g});
    const double budget =
        budgets_.empty() ? policy_->budget() : budgets_[static_cast<size_t>(layer * shape_.kv_heads + g)];
    held.sizes = policy_->resolve(budget, share_of ? share_of : tokens);
    if (policy_->stride()) continue;
    std::vector<Slot> prompt = make(k, v, {layer, g}, tokens, 0);
    read({layer, g}, q, prompt, out);
    held.slots = prompt;
  }
  if (policy_->stride()) {
    for (int64_t from = 0; from < tokens; from += policy_->stride()) {
      const int64_t count = std::min(policy_->stride(), tokens - from);
      const std::vector<double> part = chunk(layer, rows_of(q, tokens, from, count), rows_of(k, tokens, from, count),
                                             rows_of(v, tokens, from, count), count, 0);
      for (int h = 0; h < shape_.heads; ++h)
        std::copy_n(part.begin() + h * count * shape_.head_dim, count * shape_.head_dim,
                    out.begin() + (h * tokens + from) * shape_.head_dim);
    }
    return out;
  }
  seq_len_[static_cast<size_t>(layer)] = tokens;
  policy_->allocate(*this, layer);
  if (waits(layer)) return out;
  for (const std::vector<At>& group : groups(layer)) {
    if (policy_->acts() != Acts::kNever && tokens > head(group[0]).sizes.budget) {
      policy_->compress(*this, group, 0);
      for (At at : group) head(at).compressed = true;
    } else {
      for (At at : group)
        for (int64_t s = 0; s < tokens; ++s) note(0, at, Action::kAdmit, head(at).slots[static_cast<size_t>(s)], s);
    }
  }
  for (int g = 0; g < shape_.kv_heads; ++g) policy_->settled(*this, {layer, g}, q, tokens);
  if (policy_->crosses() && layer > 0) policy_->across(*this, layer, 0, tokens);
  return out;
}

std::vector<double> Cache::extend(int layer, const std::vector<float>& q, const std::vector<float>& k,
                                  const std::vector<float>& v, int64_t tokens) {
  int64_t& step = steps_[static_cast<size_t>(layer)];
  std::vector<double> out = chunk(layer, q, k, v, tokens, step + 1);
  step += tokens;
  return out;
}

// Rows [from, from + count) of each head of `all`.
std::vector<float> Cache::rows_of(const std::vector<float>& all, int64_t tokens, int64_t from, int64_t count) const {
  std::vector<float> part;
  const int64_t d = shape_.head_dim;
  for (int64_t at = from * d; at < static_cast<int64_t>(all.size()); at += tokens * d)
    part.insert(part.end(), all.begin() + at, all.begin() + at + count * d);
  return part;
}

std::vector<double> Cache::chunk(int layer, const std::vector<float>& q, const std::vector<float>& k,
                                 const std::vector<float>& v, int64_t tokens, int64_t first) {
  std::vector<double> out(q.size());
  if (!policy_->selects() || tokens == 1) {
    extend_once(layer, q, k, v, tokens, first, out);
    return out;
  }
  const size_t d = static_cast<size_t>(shape_.head_dim), all = static_cast<size_t>(tokens);
  for (size_t t = 0; t < all; ++t) {
    const auto row = [&](const std::vector<float>& from) {
      std::vector<float> one;
      for (size_t head = 0; head < from.size() / (all * d); ++head)
        one.insert(one.end(), &from[(head * all + t) * d], &from[(head * all + t) * d] + d);
      return one;
    };
    const std::vector<float> q1 = row(q);
    std::vector<double> out1(q1.size());
    extend_once(layer, q1, row(k), row(v), 1, first ? first + static_cast<int64_t>(t) : 0, out1);
    for (size_t i = 0; i < out1.size(); ++i) out[(i / d * all + t) * d + i % d] = out1[i];
  }
  return out;
}

void Cache::extend_once(int layer, const std::vector<float>& q, const std::vector<float>& k,
                        const std::vector<float>& v, int64_t tokens, int64_t first, std::vector<double>& out) {
  const auto waiting = [&](At at) -> std::vector<Slot>& {
    return waiting_[static_cast<size_t>(at.layer * shape_.kv_heads + at.kv_head)];
  };
  for (int g = 0; g < shape_.kv_heads; ++g) {
    waiting({layer, g}) = make(k, v, {layer, g}, tokens, seq_len(layer));
    read({layer, g}, q, waiting({layer, g}), out);
  }
  seq_len_[static_cast<size_t>(layer)] += tokens;
  if (!waits(layer))
    for (int64_t t = 0; t < tokens; ++t)
      for (const std::vector<At>& group : groups(layer)) {
        for (At at : group) head(at).slots.push_back(waiting(at)[static_cast<size_t>(t)]);
        enter(group, first ? first + t : 0);
      }
  if (policy_->crosses() && layer > 0) policy_->across(*this, layer, first, tokens);
}

// Steps 3 and 4 of spec 5 for tokens whose attention is done.
void Cache::enter(const std::vector<At>& group, int64_t step) {
  const Head& first = head(group[0]);
  if (policy_->acts() != Acts::kAlways || static_cast<int64_t>(first.slots.size()) <= first.sizes.budget) {
    for (At at : group)
      if (policy_->acts() == Acts::kAlways && head(at).compressed)
        policy_->fill(*this, at, step);
      else
        note(step, at, Action::kAdmit, head(at).slots.back(), static_cast<int64_t>(head(at).slots.size()) - 1);
    return;
  }
  const bool compress = !first.compressed && policy_->compress_underfull();
  for (At at : group) {
    if (!compress && !head(at).compressed) policy_->start(head(at));
    head(at).compressed = true;
  }
  if (compress)
    policy_->compress(*this, group, step);
  else
    policy_->evict(*this, group, step);
}

// The largest value, of equals the first; the guide may answer where float32 cannot tell.
int Cache::decide(Choice choice, int64_t step, At at, int64_t slot, int position,
                  const std::vector<Candidate>& candidates) {
  size_t best = 0, second = 0;
  for (size_t i = 1; i < candidates.size(); ++i)
    if (candidates[i].value > candidates[best].value) best = i;
  double margin = std::numeric_limits<double>::infinity();
  std::vector<int> near;
  std::vector<const Slot*> whose;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const double gap = candidates[best].value - candidates[i].value;
    const double rounding = candidates[best].error + candidates[i].error;
    const Slot *a = candidates[best].slot, *b = candidates[i].slot;
    const bool exact = rounding == 0 || (a && b && !a->made_of.empty() && a->made_of == b->made_of);
    // Where nothing is rounded a tie is exact, and the first is right.
    if (i == best || (!exact && gap <= rounding)) {
      near.push_back(candidates[i].id);
      whose.push_back(b);
    }
    if (i != best && gap < margin) {
      margin = gap;
      second = i;
    }
  }
  if (!guide) return candidates[best].id;
  const double bound = candidates.size() > 1 ? candidates[best].error + candidates[second].error : 0;
  const int answer = guide({choice, step, at, slot, position, candidates[best].id, margin, bound, near, whose});
  if (std::find(near.begin(), near.end(), answer) == near.end())
    throw std::runtime_error("answer " + std::to_string(answer) + " is not within rounding of " +
                             std::to_string(candidates[best].id));
  return answer;
}

int Cache::ask(Choice choice, int64_t step, At at, int64_t slot, int best, const std::vector<int>& near) {
  if (!guide) return best;
  const std::vector<const Slot*> nobody(near.size(), nullptr);
  const int answer = guide({choice, step, at, slot, -1, best, 0, 0, near, nobody});
  if (std::find(near.begin(), near.end(), answer) == near.end())
    throw std::runtime_error("answer " + std::to_string(answer) + " is not among those that are possible");
  return answer;
}

void Cache::note(int64_t step, At at, Action action, const Slot& about, int64_t slot, int64_t target, double similarity,
                 double target_weight) {
  events_.push_back({step, at.layer, at.kv_head, action, about.origins[0], slot, target,
                     policy_->scored(step) ? about.score : kNone, similarity, about.weight, target_weight});
}

}  // namespace reference
