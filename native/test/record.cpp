// What is recorded of heads and what is measured on it: keys and values as they came, errors and regret as attention by hand gives them in
// double precision, the same for any number of threads; refusals.
#include "zslab/record.h"

#include <cmath>

#include "test/caches.h"

namespace {

using test::Cache;
using test::check;
using test::Engine;

constexpr int kKvHeads = 2, kGroup = 2, kDims = 6;

struct Recorded {
  std::vector<float> keys, values, queries, outputs;
  zs_recorded sizes{};
};

Recorded recorded(const Cache& cache, int kv_head) {
  Recorded r;
  test::must(zs_cache_recorded(cache.handle, 0, kv_head, &r.sizes), "recorded");
  const auto room = [](std::vector<float>& of, int64_t rows, int64_t width) {
    of.resize(static_cast<size_t>(rows * width));
  };
  room(r.keys, r.sizes.tokens, kDims), room(r.values, r.sizes.tokens, kDims);
  room(r.queries, r.sizes.queries, kGroup * kDims), room(r.outputs, r.sizes.outputs, kGroup * kDims);
  test::must(zs_cache_record_read(cache.handle, 0, kv_head, r.keys.data(), r.values.data(), r.queries.data(),
                                  r.outputs.data()),
             "record_read");
  return r;
}

// Softmax attention of q over rows `of` of the keys, left-out row excepted.
std::vector<double> attended(const float* q, const Recorded& r, const std::vector<int>& of, std::vector<double>* p) {
  std::vector<double> e, out(kDims);
  double top = -INFINITY, sum = 0;
  for (int t : of) {
    double logit = 0;
    for (int i = 0; i < kDims; ++i)
      logit += static_cast<double>(q[i]) * static_cast<double>(r.keys[static_cast<size_t>(t * kDims + i)]);
    e.push_back(logit / std::sqrt(static_cast<double>(kDims)));
    top = std::max(top, e.back());
  }
  for (double& x : e) sum += x = std::exp(x - top);
  for (size_t j = 0; j < of.size(); ++j)
    for (int i = 0; i < kDims; ++i)
      out[static_cast<size_t>(i)] += e[j] / sum * static_cast<double>(r.values[static_cast<size_t>(of[j] * kDims + i)]);
  if (p) {
    *p = e;
    for (double& x : *p) x /= sum;
  }
  return out;
}

double far(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

struct Measured {
  std::vector<double> error, dropped, plain, missed, blurred, probability, worst, change;
  std::vector<int32_t> worst_row;
};

zs_status measure(const Cache& cache, int kv_head, const std::vector<int32_t>& positions,
                  const std::vector<int32_t>& row_slots, const std::vector<int32_t>& slot_members,
                  const std::vector<int32_t>& members, const std::vector<int32_t>& lost,
                  const std::vector<int32_t>& from, Measured& m, const std::vector<int32_t>* ends = nullptr) {
  const size_t each = positions.size() * kGroup;
  for (auto* column : {&m.error, &m.dropped, &m.plain, &m.missed, &m.blurred}) column->assign(each, -1);
  for (auto* column : {&m.probability, &m.worst, &m.change}) column->assign(lost.size(), -1);
  m.worst_row.assign(lost.size(), -9);
  zs_local l{};
  l.struct_bytes = sizeof l;
  l.kv_head = kv_head;
  l.rows = static_cast<int64_t>(positions.size()), l.losses = static_cast<int64_t>(lost.size());
  l.positions = positions.data(), l.row_slots = row_slots.data(), l.slot_members = slot_members.data();
  l.members = members.data(), l.lost_positions = lost.data(), l.lost_rows = from.data();
  l.lost_ends = ends ? ends->data() : nullptr;
  l.error = m.error.data(), l.dropped = m.dropped.data(), l.plain = m.plain.data();
  l.missed = m.missed.data(), l.blurred = m.blurred.data();
  l.probability = m.probability.data(), l.worst = m.worst.data(), l.change = m.change.data();
  l.worst_row = m.worst_row.data();
  return zs_cache_local(cache.handle, &l, nullptr);
}

void near(double got, double expected, const char* what, int seed) {
  check(std::fabs(got - expected) <= 1e-5 * std::max(1.0, std::fabs(expected)), "seed %d, %s: %g, expected %g", seed,
        what, got, expected);
}

// A cache that keeps everything, and slots of our own: the first `alone` of the tokens seen alone, then one of `merged`, the rest gone.
void one_case(const Engine& one, const Engine& two, int seed) {
  test::Random random(static_cast<uint64_t>(seed));
  test::Config config;
  config.seed = static_cast<uint64_t>(seed);
  config.cache.layers = 1, config.cache.heads = kKvHeads * kGroup, config.cache.kv_heads = kKvHeads;
  config.cache.head_dim = kDims;
  config.cache.policy = test::fixed_policy();
  config.cache.policy.budget = 4096;
  const int prompt = random.upto(3, seed % 5 ? 40 : 300), steps = random.upto(1, 20), chunk = random.upto(1, 3);
  Cache cache(one, config.cache), other(two, config.cache);
  const std::vector<uint8_t> heads = {1, 1};
  for (const Cache* c : {&cache, &other}) test::must(zs_cache_record(c->handle, heads.data(), 5), "record");
  test::Source source(config, 0);
  int64_t tokens = 0;
  std::vector<float> keys;  // of kv head 1
  for (int call = 0; tokens < prompt + steps; ++call) {
    const int64_t count = call ? std::min<int64_t>(chunk, prompt + steps - tokens) : prompt;
    test::Inputs in = source.next(static_cast<int>(count));
    if (seed % 3 == 0)
      for (float& x : in.q) x *= 12;  // one token has nearly all
    for (Cache* c : {&cache, &other}) call ? c->extend(0, in, count) : c->prefill(0, in, count);
    keys.insert(keys.end(), in.k.begin() + count * kDims, in.k.end());
    tokens += count;
  }
  const Recorded r = recorded(cache, 1);
  check(r.sizes.tokens == tokens && r.sizes.outputs == steps && r.sizes.queries == std::min(prompt, 5) + steps,
        "seed %d: sizes", seed);
  check(test::same_bits(r.keys, keys), "seed %d: keys are not those that came", seed);

  const int alone = random.upto(1, prompt - 1), merged = random.upto(0, prompt - alone);
  std::vector<int32_t> positions, row_slots = {0}, slot_members = {0}, members, lost, from;
  for (int32_t position = prompt; position < tokens; ++position) {
    positions.push_back(position);
    const auto slot = [&](int32_t first, int32_t count) {
      for (int32_t t = first; t < first + count; ++t) members.push_back(t);
      slot_members.push_back(static_cast<int32_t>(members.size()));
    };
    for (int32_t t = 0; t < alone; ++t) slot(t, 1);
    if (merged) slot(alone, merged);
    slot(position, 1);
    row_slots.push_back(static_cast<int32_t>(slot_members.size()) - 1);
  }
  std::vector<int32_t> ends;  // some come back
  for (int32_t t = alone; t < prompt; ++t) {
    lost.push_back(t), from.push_back(random.upto(0, steps));
    ends.push_back(random.one_in(3) ? random.upto(from.back(), steps) : steps);
  }
  Measured m, again;
  test::must(measure(cache, 1, positions, row_slots, slot_members, members, lost, from, m, &ends), "local");
  test::must(measure(other, 1, positions, row_slots, slot_members, members, lost, from, again, &ends), "local");
  check(test::same_bits(m.change, again.change) && test::same_bits(m.plain, again.plain) &&
            test::same_bits(m.missed, again.missed) && test::same_bits(m.probability, again.probability),
        "seed %d: another number of threads, another result", seed);

  std::vector<double> probability(lost.size()), change(lost.size());
  for (size_t row = 0; row < positions.size(); ++row)
    for (int h = 0; h < kGroup; ++h) {
      const size_t at = row * kGroup + static_cast<size_t>(h);
      const size_t back = static_cast<size_t>(tokens - positions[row]);
      const float* q =
          r.queries.data() + ((static_cast<size_t>(r.sizes.queries) - back) * kGroup + static_cast<size_t>(h)) * kDims;
      std::vector<int> all, kept;
      for (int t = 0; t <= positions[row]; ++t) all.push_back(t);
      for (int t = 0; t < alone; ++t) kept.push_back(t);
      if (merged) kept.push_back(alone);
      kept.push_back(positions[row]);
      std::vector<double> p;
      const std::vector<double> full = attended(q, r, all, &p), none(kDims);
      const double length = far(full, none);
      double missed = 0, blurred = 0;
      for (int t = alone; t < positions[row]; ++t) {
        const bool in = t < alone + merged && merged > 1, own = t == alone && merged == 1;
        (in ? blurred : missed) += own ? 0 : p[static_cast<size_t>(t)];
      }
      near(m.error[at], 0, "error of a cache that keeps all", seed);
      near(m.dropped[at], far(attended(q, r, kept, nullptr), full) / length, "dropped", seed);
      near(m.missed[at], missed, "missed", seed);
      near(m.blurred[at], blurred, "blurred", seed);
      for (size_t i = 0; i < lost.size(); ++i) {
        if (from[i] > static_cast<int>(row) || ends[i] <= static_cast<int>(row)) continue;
        probability[i] += p[static_cast<size_t>(lost[i])] / kGroup;
        std::vector<int> others = all;
        others.erase(others.begin() + lost[i]);
        change[i] += far(attended(q, r, others, nullptr), full) / kGroup;
      }
    }
  for (size_t i = 0; i < lost.size(); ++i) {
    near(m.probability[i], probability[i], "probability", seed);
    near(m.change[i], change[i], "change", seed);
    check((m.worst_row[i] < 0) == (from[i] >= ends[i]), "seed %d: worst row %d of a loss from %d up to %d", seed,
          m.worst_row[i], from[i], ends[i]);
  }
  if (seed != 1) return;

  // What cannot be is refused, one sentence each.
  Measured none;
  const auto refused = [&](std::vector<int32_t> p, std::vector<int32_t> rows, std::vector<int32_t> slots,
                           std::vector<int32_t> of, const char* what) {
    check(measure(cache, 1, p, rows, slots, of, {}, {}, none) == ZS_INVALID, "%s is taken", what);
  };
  refused({prompt - 1}, {0, 1}, {0, 1}, {0}, "a query of the prompt");
  refused({static_cast<int32_t>(tokens)}, {0, 1}, {0, 1}, {0}, "a query that never came");
  refused({prompt}, {0, 0}, {0}, {}, "a row without slots");
  refused({prompt}, {0, 1}, {0, 0}, {}, "a slot without members");
  refused({prompt}, {0, 1}, {0, 2}, {1, 1}, "a member twice");
  refused({prompt}, {0, 1}, {0, 1}, {prompt + 1}, "a member that is yet to come");
  refused({prompt}, {0, 1}, {0, 1}, {-1}, "a member before the first");
  check(measure(cache, 1, {prompt}, {0, 1}, {0, 1}, {0}, {static_cast<int32_t>(tokens)}, {0}, none) == ZS_INVALID,
        "a loss of what never came is taken");
  const std::vector<int32_t> ends_early = {0};
  check(measure(cache, 1, {prompt}, {0, 1}, {0, 1}, {0}, {0}, {1}, none, &ends_early) == ZS_INVALID,
        "a loss that ends before it begins is taken");
  check(measure(cache, 7, {}, {0}, {0}, {}, {}, {}, none) == ZS_INVALID, "a head that there is none of is taken");
  check(zs_cache_local(cache.handle, nullptr, nullptr) == ZS_INVALID &&
            zs_cache_record(nullptr, heads.data(), 0) == ZS_INVALID &&
            zs_cache_record(cache.handle, nullptr, 0) == ZS_INVALID &&
            zs_cache_record(cache.handle, heads.data(), -1) == ZS_INVALID,
        "what is missing is taken");
}

}  // namespace

int main() {
  const Engine one(1), two(2);
  const int count = test::cases(400, 60, 30);
  for (int seed = 1; seed <= count; ++seed) one_case(one, two, seed);
  return test::finish("record");
}
