// The reference against the golden runs of the public implementation (test/golden/zsmerge_reference.json).
#ifndef ZSLAB_TEST_REFERENCE_GOLDEN_H
#define ZSLAB_TEST_REFERENCE_GOLDEN_H

#include <algorithm>
#include <cmath>

#include "reference/zsmerge.h"
#include "test/check.h"
#include "test/json.h"

namespace test {

struct GoldenInputs {
  std::vector<float> q, k, v;  // [layers][tokens][heads or kv_heads][head_dim]
};

inline GoldenInputs golden_inputs(const Json& c) {
  uint32_t x = static_cast<uint32_t>(c["seed"].number);
  const auto draw = [&] { return (x = 1664525u * x + 1013904223u) >> 16; };
  const auto r = [&] { return (static_cast<double>(draw()) - 32768) / 32768; };
  const int layers = c["layers"].whole(), heads = c["heads"].whole(), kv_heads = c["kvHeads"].whole(),
            d = c["headDim"].whole();
  const int tokens = c["promptTokens"].whole() + c["steps"].whole(), clusters = c["clusters"].whole();
  const int span = c["focusSpan"].whole(), group = heads / kv_heads;
  const double gain = c["focusGain"].number;
  GoldenInputs in;
  for (int layer = 0; layer < layers; ++layer) {
    std::vector<double> centre(static_cast<size_t>(clusters * kv_heads * d));
    for (double& e : centre) e = r();
    const auto at = [&](int z, int g, int i) { return centre[static_cast<size_t>((z * kv_heads + g) * d + i)]; };
    for (int t = 0; t < tokens; ++t) {
      const int z = static_cast<int>(draw() % static_cast<uint32_t>(clusters));
      for (int g = 0; g < kv_heads; ++g)
        for (int i = 0; i < d; ++i) in.k.push_back(static_cast<float>(at(z, g, i) + 0.5 * r()));
      for (int i = 0; i < kv_heads * d; ++i) in.v.push_back(static_cast<float>(r()));
      for (int h = 0; h < heads; ++h)
        for (int i = 0; i < d; ++i)
          in.q.push_back(static_cast<float>(r() + gain * at(t / span % clusters, h / group, i)));
    }
  }
  return in;
}

inline bool close(double given, double expected, double tolerance) { return std::fabs(given - expected) <= tolerance; }

inline void same_state(const reference::Cache& cache, const Json& states, const Json& c, const char* when) {
  const int kv_heads = c["kvHeads"].whole(), d = c["headDim"].whole();
  for (int layer = 0; layer < c["layers"].whole(); ++layer) {
    const Json& state = states[layer];
    const auto keys = state["keys"].floats(), values = state["values"].floats();
    const auto weights = state["weights"].floats(), scores = state["scores"].floats();
    const size_t slots = weights.size() / static_cast<size_t>(kv_heads);
    for (int g = 0; g < kv_heads; ++g) {
      const auto& head = cache.head(layer, g);
      if (!check(head.slots.size() == slots, "%s %s: %zu slots, not %zu", c["name"].text.c_str(), when,
                 head.slots.size(), slots))
        return;
      for (size_t s = 0; s < slots; ++s) {
        const auto& slot = head.slots[s];
        const size_t at = static_cast<size_t>(g) * slots + s;
        double off = 0;
        for (int i = 0; i < d; ++i) {
          const size_t e = at * static_cast<size_t>(d) + static_cast<size_t>(i);
          off = std::max({off, std::fabs(slot.key[static_cast<size_t>(i)] - keys[e]),
                          std::fabs(slot.value[static_cast<size_t>(i)] - values[e])});
        }
        const Json& origins = state["origins"][g][static_cast<int>(s)];
        bool same = origins.items.size() == slot.origins.size();
        for (size_t i = 0; same && i < slot.origins.size(); ++i) same = origins[i].whole() == slot.origins[i];
        check(same, "%s %s: layer %d head %d slot %zu stands for other positions", c["name"].text.c_str(), when, layer,
              g, s);
        check(off <= 1e-6, "%s %s: layer %d head %d slot %zu off by %g", c["name"].text.c_str(), when, layer, g, s,
              off);
        check(slot.weight == weights[at], "%s %s: weight %g, not %g", c["name"].text.c_str(), when, slot.weight,
              weights[at]);
        check(close(slot.score, scores[at], 1e-6 * std::max(1.0, std::fabs(static_cast<double>(scores[at])))),
              "%s %s: score %g, not %g", c["name"].text.c_str(), when, slot.score, scores[at]);
      }
    }
  }
}

// Layer `layer`, tokens [from, from + count) as [heads][count][head_dim].
inline std::vector<float> golden_rows(const std::vector<float>& all, int layer, int tokens, int heads, int d, int from,
                                      int count) {
  std::vector<float> rows;
  for (int h = 0; h < heads; ++h)
    for (int t = from; t < from + count; ++t) {
      const float* p = &all[static_cast<size_t>(((layer * tokens + t) * heads + h) * d)];
      rows.insert(rows.end(), p, p + d);
    }
  return rows;
}

inline void golden_case(const Json& c) {
  const char* name = c["name"].text.c_str();
  const int layers = c["layers"].whole(), heads = c["heads"].whole(), kv_heads = c["kvHeads"].whole(),
            d = c["headDim"].whole();
  const int prompt = c["promptTokens"].whole(), steps = c["steps"].whole(), tokens = prompt + steps;
  const GoldenInputs in = golden_inputs(c);
  for (int i = 0; i < 4; ++i)
    check(in.k[static_cast<size_t>(i)] == static_cast<float>(c["inputCheck"]["keys"][i].number),
          "%s: the inputs differ", name);
  check(in.q.back() != 0, "%s: no queries", name);

  const Json& set = c["reference"];
  reference::Options options;
  options.budget = set["cache_budget"].number;
  options.recent = set["cache_tail"].number;
  options.residual = set["cache_dense"].number;
  options.least_budget = 0;
  options.least_recent = 2;
  options.raise_counts = true;
  options.alpha = set["scale_factor"].number;
  options.decay = set["shrink_factor"].number;
  options.similarity = set["metric"].text == "l2" ? reference::Similarity::kL2 : reference::Similarity::kDot;
  options.score_merge = set["score_update"].text == "sum" ? reference::ScoreMerge::kSum : reference::ScoreMerge::kMax;
  options.underfull = reference::Underfull::kFirstTokens;
  options.window = -1;
  reference::Shape shape;
  shape.layers = layers, shape.heads = heads, shape.kv_heads = kv_heads, shape.head_dim = d;
  reference::Cache cache(shape, std::make_unique<reference::ZsMerge>(options));

  const auto expected = c["prefill"]["outputs"].floats();
  const size_t rows = c["prefill"]["rows"].items.size();
  for (int layer = 0; layer < layers; ++layer) {
    const auto out = cache.prefill(layer, golden_rows(in.q, layer, tokens, heads, d, 0, prompt),
                                   golden_rows(in.k, layer, tokens, kv_heads, d, 0, prompt),
                                   golden_rows(in.v, layer, tokens, kv_heads, d, 0, prompt), prompt);
    for (int h = 0; h < heads; ++h)
      for (size_t r = 0; r < rows; ++r)
        for (int i = 0; i < d; ++i) {
          const double given = out[static_cast<size_t>((h * prompt + c["prefill"]["rows"][r].whole()) * d + i)];
          const double wanted =
              expected[((static_cast<size_t>(layer * heads + h)) * rows + r) * static_cast<size_t>(d) +
                       static_cast<size_t>(i)];
          check(close(given, wanted, 1e-6), "%s: prompt output %g, not %g", name, given, wanted);
        }
  }
  const auto& resolved = cache.head(0, 0).sizes;
  check(resolved.budget == c["resolved"]["budget"].whole() && resolved.recent == c["resolved"]["recent"].whole() &&
            resolved.residual == c["resolved"]["residual"].whole(),
        "%s: budget %lld, recent %lld, residual %lld", name, static_cast<long long>(resolved.budget),
        static_cast<long long>(resolved.recent), static_cast<long long>(resolved.residual));
  same_state(cache, c["prefill"]["state"], c, "after the prompt");

  const Json& decode = c["decode"];
  const auto outputs = decode["outputs"].floats();
  size_t recorded = 0, checkpoint = 0;
  for (int step = 0; step < steps; ++step) {
    for (int layer = 0; layer < layers; ++layer) {
      const size_t before = cache.events().size();
      const auto out = cache.extend(layer, golden_rows(in.q, layer, tokens, heads, d, prompt + step, 1),
                                    golden_rows(in.k, layer, tokens, kv_heads, d, prompt + step, 1),
                                    golden_rows(in.v, layer, tokens, kv_heads, d, prompt + step, 1), 1);
      if (recorded < decode["outputSteps"].items.size() && decode["outputSteps"][recorded].whole() == step)
        for (size_t i = 0; i < out.size(); ++i) {
          const double wanted =
              outputs[(recorded * static_cast<size_t>(layers) + static_cast<size_t>(layer)) * out.size() + i];
          check(close(out[i], wanted, 1e-6), "%s: step %d output %g, not %g", name, step, out[i], wanted);
        }
      std::vector<int64_t> victim(static_cast<size_t>(kv_heads), -1), target = victim, leaver = victim;
      for (size_t e = before; e < cache.events().size(); ++e) {
        const auto& event = cache.events()[e];
        const size_t g = static_cast<size_t>(event.kv_head);
        check(event.step == step + 1, "%s: step %d is called %lld", name, step + 1, static_cast<long long>(event.step));
        if (event.action == reference::Action::kMerge) victim[g] = event.slot, target[g] = event.target;
        if (event.action == reference::Action::kLeave) leaver[g] = event.slot;
      }
      for (int g = 0; g < kv_heads; ++g) {
        const size_t at = static_cast<size_t>(g);
        check(victim[at] == decode["victim"][step][layer][g].whole() &&
                  target[at] == decode["target"][step][layer][g].whole(),
              "%s: step %d head %d: %lld into %lld", name, step, g, static_cast<long long>(victim[at]),
              static_cast<long long>(target[at]));
        check(leaver[at] == -1 || leaver[at] == decode["leaver"][step].whole(), "%s: step %d: leaver %lld", name, step,
              static_cast<long long>(leaver[at]));
      }
    }
    if (recorded < decode["outputSteps"].items.size() && decode["outputSteps"][recorded].whole() == step) ++recorded;
    if (checkpoint < decode["checkpoints"].items.size() && decode["checkpoints"][checkpoint]["step"].whole() == step)
      same_state(cache, decode["checkpoints"][checkpoint++]["state"], c,
                 ("after step " + std::to_string(step)).c_str());
  }
  check(recorded == decode["outputSteps"].items.size() && checkpoint == decode["checkpoints"].items.size(),
        "%s: parts were not read", name);
}

}  // namespace test
#endif
