// What is recorded of heads, and what is measured of them: keys and values as they came, errors and regret as attention by hand gives them in
// double precision, the same to the bit for any number of threads and on any instructions; refusals.
#include "zslab/record.h"

#include <algorithm>
#include <cmath>
#include <cstring>

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

// What happened to kv head 1 of a cache, and what its calls after the prompt were given.
struct Story {
  std::vector<int32_t> step, position, slot, target;
  std::vector<uint16_t> layer, kv_head;
  std::vector<uint8_t> action, reason;
  int64_t prompt = 0, losses = 0, dims = kDims;
  std::vector<std::vector<float>> given;
  std::vector<int32_t> positions, firsts;

  void note(int what, int64_t at, int64_t who, int64_t from, int64_t to = -1, int why = ZS_BY_TOKEN) {
    step.push_back(static_cast<int32_t>(at)), position.push_back(static_cast<int32_t>(who));
    slot.push_back(static_cast<int32_t>(from)), target.push_back(static_cast<int32_t>(to));
    layer.push_back(0), kv_head.push_back(1), action.push_back(static_cast<uint8_t>(what));
    reason.push_back(static_cast<uint8_t>(why));
    losses += what == ZS_MERGE || what == ZS_DROP;
  }
  // As zs_forward gives a call of `count` tokens.
  void call(const test::Inputs& in, const std::vector<float>& out, int64_t count) {
    given.emplace_back();
    for (int64_t t = 0; t < count; ++t)
      for (const auto* of : {&in.q, &in.k, &in.v, &out})
        for (int64_t h = 0; h * count * dims < static_cast<int64_t>(of->size()); ++h)
          given.back().insert(given.back().end(), of->begin() + (h * count + t) * dims,
                              of->begin() + (h * count + t + 1) * dims);
  }
};

struct Measured {
  std::vector<double> error, dropped, plain, missed, blurred, probability, worst, change;
  std::vector<int32_t> worst_row;
  double of_head(const std::vector<double>& column, size_t row, int h) const {  // of kv head 1
    return column[row * kKvHeads * kGroup + kGroup + static_cast<size_t>(h)];
  }
};

zs_status measure(const Cache& cache, const Story& s, Measured& m, zs_call* call = nullptr) {
  const size_t each = s.positions.size() * kKvHeads * kGroup, losses = static_cast<size_t>(s.losses);
  for (auto* column : {&m.error, &m.dropped, &m.plain, &m.missed, &m.blurred}) column->assign(each, -1);
  for (auto* column : {&m.probability, &m.worst, &m.change}) column->assign(losses, -1);
  m.worst_row.assign(losses, -9);
  zs_events e{};
  e.count = static_cast<int64_t>(s.step.size());
  e.step = s.step.data(), e.layer = s.layer.data(), e.kv_head = s.kv_head.data(), e.action = s.action.data();
  e.reason = s.reason.data();
  e.position = s.position.data(), e.slot = s.slot.data(), e.target = s.target.data();
  std::vector<const float*> given;
  std::vector<int64_t> tokens;
  for (const auto& one : s.given)
    given.push_back(one.data()),
        tokens.push_back(static_cast<int64_t>(one.size()) / (2 * (kKvHeads * kGroup + kKvHeads) * s.dims));
  zs_local l{};
  l.struct_bytes = sizeof l;
  l.prompt = s.prompt, l.calls = static_cast<int64_t>(given.size()), l.given = given.data(), l.tokens = tokens.data();
  l.events = &e;
  l.rows = static_cast<int64_t>(s.positions.size()), l.positions = s.positions.data(), l.firsts = s.firsts.data();
  l.losses = s.losses;
  l.error = m.error.data(), l.dropped = m.dropped.data(), l.plain = m.plain.data();
  l.missed = m.missed.data(), l.blurred = m.blurred.data();
  l.probability = m.probability.data(), l.worst = m.worst.data(), l.change = m.change.data();
  l.worst_row = m.worst_row.data();
  return zs_cache_local(cache.handle, &l, call);
}

void near(double got, double expected, const char* what, int seed) {
  check(std::fabs(got - expected) <= 1e-5 * std::max(1.0, std::fabs(expected)), "seed %d, %s: %g, expected %g", seed,
        what, got, expected);
}

// What cannot be is refused, one sentence each.
void refusals(const Cache& cache, const Story& right) {
  Measured none;
  const auto refused = [&](const char* what, void (*spoil)(Story&)) {
    Story wrong = right;
    spoil(wrong);
    check(measure(cache, wrong, none) == ZS_INVALID, "%s is taken", what);
  };
  refused("a prompt that was not read", [](Story& s) { s.prompt += 1000; });
  refused("a query of the prompt", [](Story& s) { s.positions[0] = static_cast<int32_t>(s.prompt) - 1; });
  refused("a query that never came", [](Story& s) { s.positions.back() += 1; });
  refused("a call after its query", [](Story& s) { s.firsts.back() = s.positions.back() + 1; });
  refused("another number of losses", [](Story& s) { ++s.losses; });
  refused("a head that there is none of", [](Story& s) { s.kv_head.back() = 7; });
  refused("a token that never came", [](Story& s) { s.position[0] = 1 << 20; });
  refused("a token before the first", [](Story& s) { s.position[0] = -1; });
  refused("a token that is admitted twice", [](Story& s) { s.position[1] = s.position[0]; });
  refused("a slot that there is none of", [](Story& s) { s.slot[0] = -1; });
  refused("an action that there is none of", [](Story& s) { s.action[0] = 99; });
  refused("a merge into nobody", [](Story& s) {
    s.action[0] = ZS_MERGE, s.target[0] = 5;
    ++s.losses;
  });
  refused("a move of nobody", [](Story& s) { s.action[0] = ZS_LEAVE, s.target[0] = 0; });
  refused("a settling of nobody", [](Story& s) { s.action[0] = ZS_SETTLE, s.target[0] = 3; });
  refused("a token that comes back while it is there",
          [](Story& s) { s.action[1] = ZS_UNEVICT, s.position[1] = s.position[0]; });
  refused("a token asked to leave a slot where it is not", [](Story& s) {
    s.action[0] = ZS_DROP, s.reason[0] = ZS_BY_REQUEST;
    ++s.losses;
  });
  zs_call call{};
  call.abort = 1;
  check(measure(cache, right, none, &call) == ZS_ABORTED && call.done < call.total, "what is asked to stop goes on");
  call = {};
  check(measure(cache, right, none, &call) == ZS_OK && call.done == kKvHeads && call.total == kKvHeads,
        "progress ends at %d of %d", static_cast<int>(call.done), static_cast<int>(call.total));
  check(zs_cache_local(cache.handle, nullptr, nullptr) == ZS_INVALID &&
            zs_cache_record(cache.handle, nullptr, 0) == ZS_INVALID,
        "what is missing is taken");
}

// A cache that keeps everything, and slots of our own: the first `alone` of the tokens alone, then a slot of `merged` (gone from a step on,
// perhaps), the rest gone, of which one is back for some steps; and of what came after the prompt its call alone.
void one_case(const Engine& one, const Engine& two, int seed) {
  test::Random random(static_cast<uint64_t>(seed));
  test::Config config;
  config.seed = static_cast<uint64_t>(seed);
  config.cache.layers = 1, config.cache.heads = kKvHeads * kGroup, config.cache.kv_heads = kKvHeads;
  config.cache.head_dim = kDims;
  config.cache.policy = test::fixed_policy();
  config.cache.policy.budget = 4096;
  const int prompt = random.upto(3, seed % 5 ? 40 : 300), steps = random.upto(1, 40), chunk = random.upto(1, 3);
  Cache cache(one, config.cache), other(two, config.cache);
  const std::vector<uint8_t> heads = {1, 1};
  for (const Cache* c : {&cache, &other}) test::must(zs_cache_record(c->handle, heads.data(), 5), "record");
  test::Source source(config, 0);
  Story story;
  story.prompt = prompt;
  int64_t tokens = 0;
  std::vector<float> keys;  // of kv head 1
  for (int call = 0; tokens < prompt + steps; ++call) {
    const int64_t count = call ? std::min<int64_t>(chunk, prompt + steps - tokens) : prompt;
    test::Inputs in = source.next(static_cast<int>(count));
    if (seed % 3 == 0)
      for (float& x : in.q) x *= 12;  // one token has nearly all
    for (Cache* c : {&cache, &other}) {
      const std::vector<float> out = call ? c->extend(0, in, count) : c->prefill(0, in, count);
      if (call && c == &cache) story.call(in, out, count);
    }
    for (int64_t t = tokens; call && t < tokens + count; ++t)
      story.positions.push_back(static_cast<int32_t>(t)), story.firsts.push_back(static_cast<int32_t>(tokens));
    keys.insert(keys.end(), in.k.begin() + count * kDims, in.k.end());
    tokens += count;
  }
  const Recorded r = recorded(cache, 1);
  check(r.sizes.tokens == tokens && r.sizes.outputs == steps && r.sizes.queries == std::min(prompt, 5) + steps,
        "seed %d: sizes", seed);
  check(test::same_bits(r.keys, keys), "seed %d: keys are not those that came", seed);

  const int alone = random.upto(1, prompt - 1), merged = random.upto(0, prompt - alone);
  const int ends = seed % 4 == 0 && merged ? random.upto(1, steps) : 1 << 20;
  const bool comes_back = alone + merged < prompt;
  const int joins = random.upto(1, steps);  // at which what just came goes into the merged slot, too
  const int back = random.upto(1, steps), gone_again = random.upto(back, steps + 1), place = random.upto(0, alone);
  for (int t = 0; t < alone + (merged ? 1 : 0); ++t) story.note(ZS_ADMIT, 0, t, t);
  for (int t = alone + (merged ? 1 : 0); t < prompt; ++t)
    t < alone + merged ? story.note(ZS_MERGE, 0, t, -1, alone) : story.note(ZS_DROP, 0, t, -1);
  for (int step = 1; step <= steps; ++step) {
    if (step == ends) story.note(ZS_DROP, step, alone, alone + (comes_back && back < step && step <= gone_again));
    // Between slots, where the others make room and close up again; to stay, it says, until it is asked to leave.
    if (comes_back && step == back) {
      story.note(ZS_UNEVICT, step, prompt - 1, place, -1, ZS_BY_REQUEST);
      story.note(ZS_PIN, step, prompt - 1, place, -1, ZS_BY_REQUEST);
    }
    if (comes_back && step == gone_again) story.note(ZS_DROP, step, prompt - 1, place, -1, ZS_BY_REQUEST);
    const int shift = comes_back && back <= step && step < gone_again;
    if (merged && step == joins && step < ends)
      story.note(ZS_MERGE, step, prompt + step - 1, -1, alone + shift);
    else
      story.note(ZS_DROP, step, prompt + step - 1, -1);
  }
  Measured m, again;
  test::must(measure(cache, story, m), "local");
  test::must(measure(other, story, again), "local");
  check(test::same_bits(m.change, again.change) && test::same_bits(m.plain, again.plain) &&
            test::same_bits(m.missed, again.missed) && test::same_bits(m.probability, again.probability),
        "seed %d: other threads or instructions, another result", seed);

  const size_t events = story.step.size();
  const auto since = [&](size_t event, int until) {  // and the token is not back
    const bool returns = comes_back && story.position[event] == prompt - 1 && story.step[event] == 0;
    return story.step[event] <= until && !(returns && until >= back);
  };
  std::vector<double> probability(events), change(events), worst(events);
  for (size_t row = 0; row < story.positions.size(); ++row) {
    const int position = story.positions[row], until = story.firsts[row] - prompt;
    const bool slot = merged && until < ends, returned = comes_back && back <= until && until < gone_again;
    std::vector<double> all_p(static_cast<size_t>(tokens)), all_change(static_cast<size_t>(tokens));
    for (int h = 0; h < kGroup; ++h) {
      const size_t place = static_cast<size_t>(tokens - position);
      const float* q =
          r.queries.data() + ((static_cast<size_t>(r.sizes.queries) - place) * kGroup + static_cast<size_t>(h)) * kDims;
      std::vector<int> all, kept;
      for (int t = 0; t <= position; ++t) all.push_back(t);
      for (int t = 0; t < alone; ++t) kept.push_back(t);
      if (returned) kept.push_back(prompt - 1);
      for (int t = story.firsts[row]; t <= position; ++t) kept.push_back(t);
      std::vector<double> p;
      const std::vector<double> full = attended(q, r, all, &p), none(kDims);
      const double length = far(full, none);
      const auto sum = [&](const std::vector<int>& of) {
        double of_all = 0;
        for (int t : of) of_all += p[static_cast<size_t>(t)];
        return of_all;
      };
      std::vector<int> members;
      for (int t = alone; t < alone + merged; ++t) members.push_back(t);
      const bool joined = slot && joins <= until && joins < ends;
      if (joined) members.push_back(prompt + joins - 1);
      const double blurred = slot && members.size() > 1 ? sum(members) : 0;
      double missed = 0;
      for (int t = 0; t <= position; ++t) {
        const bool here = std::find(kept.begin(), kept.end(), t) != kept.end();
        const bool in = slot && std::find(members.begin(), members.end(), t) != members.end();
        if (!here && !in) missed += p[static_cast<size_t>(t)];
      }
      Recorded means = r;  // with the merged slot's as one token more
      for (auto* of : {&means.keys, &means.values})
        for (int i = 0; i < kDims; ++i) {
          double mean = 0;
          for (int t : members)
            mean +=
                static_cast<double>((*of)[static_cast<size_t>(t * kDims + i)]) / static_cast<double>(members.size());
          of->push_back(static_cast<float>(mean));
        }
      std::vector<int> plain = kept;
      if (slot) plain.push_back(static_cast<int>(tokens)), kept.push_back(alone);
      near(m.of_head(m.error, row, h), 0, "error of a cache that keeps all", seed);
      near(m.of_head(m.dropped, row, h), far(attended(q, r, kept, nullptr), full) / length, "dropped", seed);
      near(m.of_head(m.plain, row, h), far(attended(q, means, plain, nullptr), full) / length, "plain", seed);
      near(m.of_head(m.missed, row, h), missed, "missed", seed);
      near(m.of_head(m.blurred, row, h), blurred, "blurred", seed);
      for (int t = 0; t <= position; ++t) {
        all_p[static_cast<size_t>(t)] += p[static_cast<size_t>(t)] / kGroup;
        std::vector<int> others = all;
        others.erase(others.begin() + t);
        all_change[static_cast<size_t>(t)] += far(attended(q, r, others, nullptr), full) / kGroup;
      }
    }
    for (size_t i = 0; i < events; ++i) {
      if (!since(i, until)) continue;
      const size_t t = static_cast<size_t>(story.position[i]);
      probability[i] += all_p[t], change[i] += all_change[t], worst[i] = std::max(worst[i], all_p[t]);
    }
  }
  for (size_t i = 0, loss = 0; i < events; ++i) {
    if (story.action[i] != ZS_MERGE && story.action[i] != ZS_DROP) continue;
    near(m.probability[loss], probability[i], "probability", seed);
    near(m.change[loss], change[i], "change", seed);
    near(m.worst[loss], worst[i], "worst", seed);
    const bool seen =
        std::any_of(story.firsts.begin(), story.firsts.end(), [&](int32_t first) { return since(i, first - prompt); });
    check((m.worst_row[loss] >= 0) == seen, "seed %d: worst row %d of a loss at step %d", seed, m.worst_row[loss],
          story.step[i]);
    ++loss;
  }
  if (seed == 1) refusals(cache, story);
}

// Of keys and values that are bfloat16 anyway, more of them than a thread holds widened: the same bits as where they are float32.
void wide_heads(const Engine& engine) {
  test::Config config;
  config.seed = 7;
  config.cache.layers = 1, config.cache.heads = kKvHeads * kGroup, config.cache.kv_heads = kKvHeads;
  config.cache.head_dim = 512;
  config.cache.policy = test::fixed_policy();
  config.cache.policy.budget = 4096;
  const int prompt = 1100, steps = 3, alone = 600, merged = 300;
  Cache floats(engine, config.cache);
  config.cache.storage = ZS_BF16;
  Cache halves(engine, config.cache);
  test::Source source(config, 0);
  Story story;
  story.prompt = prompt, story.dims = 512;
  for (int tokens = 0; tokens < prompt + steps; tokens += tokens ? 1 : prompt) {
    const int count = tokens ? 1 : prompt;
    test::Inputs in = source.next(count);
    for (auto* of : {&in.k, &in.v})
      for (float& x : *of) {
        uint32_t bits;
        std::memcpy(&bits, &x, 4);
        bits &= 0xffff0000u;
        std::memcpy(&x, &bits, 4);
      }
    const std::vector<float> out = tokens ? floats.extend(0, in, count) : floats.prefill(0, in, count);
    if (tokens) {
      halves.extend(0, in, count);
      story.call(in, out, count);
      story.positions.push_back(tokens), story.firsts.push_back(tokens);
    } else {
      halves.prefill(0, in, count);
    }
  }
  for (int t = 0; t <= alone; ++t) story.note(ZS_ADMIT, 0, t, t);
  for (int t = alone + 1; t < prompt; ++t)
    t < alone + merged ? story.note(ZS_MERGE, 0, t, -1, alone) : story.note(ZS_DROP, 0, t, -1);
  for (int step = 1; step <= steps; ++step) story.note(ZS_DROP, step, prompt + step - 1, -1);
  Measured m, again;
  test::must(measure(floats, story, m), "local");
  test::must(measure(halves, story, again), "local");
  check(test::same_bits(m.change, again.change) && test::same_bits(m.plain, again.plain) &&
            test::same_bits(m.dropped, again.dropped) && test::same_bits(m.error, again.error) &&
            test::same_bits(m.missed, again.missed) && test::same_bits(m.probability, again.probability),
        "bfloat16 of the same numbers gives another result");
  check(m.of_head(m.missed, 0, 0) > 0 && m.of_head(m.blurred, 0, 0) > 0, "nothing is missed");
}

}  // namespace

int main() {
  const Engine one(1), two(2, ZS_ISA_GENERIC);
  const int count = test::cases(400, 60, 10);
  for (int seed = 1; seed <= count; ++seed) one_case(one, two, seed);
  wide_heads(one);
  return test::finish("record");
}
