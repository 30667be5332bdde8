// The receipt of a broken cache: faults that no caller can make are planted in it, and each is named with the first place where it is,
// with a trace and without.
#include "core/cache.h"
#include "test/caches.h"

namespace {

using test::Cache;
using test::check;
using test::Engine;

constexpr int kPrompt = 40, kSteps = 10, kLayers = 3;

// Heads hold 24 slots, two of them merged.
Cache made(const Engine& engine, int trace, test::Config& config) {
  config.cache.layers = kLayers, config.cache.heads = 4, config.cache.kv_heads = 2, config.cache.head_dim = 8;
  config.cache.policy = test::fixed_policy();
  config.cache.policy.budget = 24, config.cache.policy.recent = 8, config.cache.policy.residual = 2;
  config.cache.trace = trace;
  return Cache(engine, config.cache);
}

void nothing(test::Inputs&, int, int) {}

// `plant` is asked after the prompt (0) and after each step; `spoil` before what a layer is given.
template <class F, class G = decltype(&nothing)>
zs_receipt receipt_of(const Engine& engine, int trace, F plant, G spoil = &nothing) {
  test::Config config;
  Cache cache = made(engine, trace, config);
  std::vector<test::Source> sources;
  for (int layer = 0; layer < kLayers; ++layer) sources.emplace_back(config, layer);
  for (int step = 0; step <= kSteps; ++step) {
    for (int layer = 0; layer < kLayers; ++layer) {
      test::Inputs in = sources[static_cast<size_t>(layer)].next(step ? 1 : kPrompt);
      spoil(in, layer, step);
      if (step)
        cache.extend(layer, in, 1);
      else
        cache.prefill(layer, in, kPrompt);
    }
    plant(*cache.handle, step);
  }
  return cache.receipt();
}

zs::Head& head_of(zs_cache& cache, size_t layer, size_t head) { return cache.layers[layer].heads[head]; }

void weights(const Engine& engine, int trace) {
  const zs_receipt r = receipt_of(engine, trace, [](zs_cache& cache, int step) {
    if (step != kSteps) return;
    for (size_t layer : {2, 1}) head_of(cache, layer, 1).segments.front().weights[0] += 3;
  });
  check(!r.weights_sum && r.weights_layer == 1 && r.weights_head == 1 && r.weights_found == kPrompt + kSteps + 3,
        "weights: %d, layer %d head %d, %g", r.weights_sum, r.weights_layer, r.weights_head, r.weights_found);
  check(r.positions_once == 1 && r.budget_held && r.finite && r.once_layer == -1 && r.budget_layer == -1,
        "weights: more is red");
}

void positions(const Engine& engine, int trace) {
  int32_t gone = -1, twice = -1;
  const zs_receipt none = receipt_of(engine, trace, [&](zs_cache& cache, int step) {
    if (step != kSteps) return;
    zs::Head& head = head_of(cache, 1, 0);
    gone = head.open().positions[3];
    head.links[static_cast<size_t>(gone)] = zs::kLinkDropped;
  });
  check(none.positions_once == 0 && none.once_layer == 1 && none.once_head == 0 && none.once_position == gone,
        "said to be dropped, but there: %d, layer %d head %d position %lld, not %d", none.positions_once,
        none.once_layer, none.once_head, static_cast<long long>(none.once_position), gone);
  const zs_receipt two = receipt_of(engine, trace, [&](zs_cache& cache, int step) {
    if (step != kSteps) return;
    zs::Head& head = head_of(cache, 2, 1);
    twice = head.open().positions[5] = head.open().positions[2];
  });
  check(two.positions_once == 0 && two.once_layer == 2 && two.once_head == 1 && two.once_position == twice,
        "in two slots: %d, layer %d head %d position %lld, not %d", two.positions_once, two.once_layer, two.once_head,
        static_cast<long long>(two.once_position), twice);
  check(two.weights_sum && two.budget_held && two.finite, "positions: more is red");
  const zs_receipt both = receipt_of(engine, trace, [&](zs_cache& cache, int step) {
    if (step != kSteps) return;
    for (size_t layer : {2, 1}) {
      zs::Head& head = head_of(cache, layer, 1);
      gone = head.open().positions[3];
      head.links[static_cast<size_t>(gone)] = zs::kLinkDropped;
    }
  });
  check(both.positions_once == 0 && both.once_layer == 1 && both.once_head == 1 && both.once_position == gone,
        "in two layers: layer %d head %d position %lld, not %d", both.once_layer, both.once_head,
        static_cast<long long>(both.once_position), gone);
}

void budgets(const Engine& engine, int trace) {
  const zs_receipt r = receipt_of(engine, trace, [](zs_cache& cache, int step) {
    // The head believes in a smaller budget for a while; the later one is found first.
    if (step == 3) head_of(cache, 2, 0).sizes.budget -= 5;
    if (step == 6) head_of(cache, 0, 1).sizes.budget -= 5;
    if (step == 8) head_of(cache, 2, 0).sizes.budget += 5, head_of(cache, 0, 1).sizes.budget += 5;
  });
  check(!r.budget_held && r.budget_layer == 2 && r.budget_head == 0 && r.budget_step == 4,
        "budget: %d, layer %d head %d step %lld", r.budget_held, r.budget_layer, r.budget_head,
        static_cast<long long>(r.budget_step));
}

void numbers(const Engine& engine, int trace) {
  const zs_receipt r = receipt_of(engine, trace, [](zs_cache& cache, int step) {
    if (step != kSteps) return;
    for (size_t layer : {2, 1}) head_of(cache, layer, 1).segments.front().weights[1] = NAN;
  });
  check(!r.finite && r.bad_layer == 1 && r.bad_head == 1 && r.bad_row == -1, "finite: %d, layer %d head %d", r.finite,
        r.bad_layer, r.bad_head);
}

void queries(const Engine& engine, int trace) {
  const auto spoil = [](test::Inputs& in, int layer, int step) {
    if (layer == 1 && (step == 3 || step == 7)) in.q[2 * 8] = NAN;
  };
  const zs_receipt r = receipt_of(engine, trace, [](zs_cache&, int) {}, spoil);
  check(!r.finite && r.bad_layer == 1 && r.bad_head == 2 && r.bad_row == kPrompt + 2,
        "a query: finite %d, layer %d head %d position %lld", r.finite, r.bad_layer, r.bad_head,
        static_cast<long long>(r.bad_row));
}

// Calls of several tokens, as the full cache takes them.
void queries_of_calls(const Engine& engine, int trace) {
  test::Config config;
  config.cache.layers = 1, config.cache.heads = 4, config.cache.kv_heads = 2, config.cache.head_dim = 8;
  config.cache.policy = test::full_policy();
  config.cache.trace = trace;
  Cache cache(engine, config.cache);
  test::Source source(config, 0);
  cache.prefill(0, source.next(kPrompt), kPrompt);
  for (int call = 0; call < 3; ++call) {
    test::Inputs in = source.next(4);
    // Its second token, a head each.
    if (call > 0) in.q[static_cast<size_t>(((call + 1) * 4 + 1) * 8)] = NAN;
    cache.extend(0, in, 4);
  }
  const zs_receipt r = cache.receipt();
  check(!r.finite && r.bad_layer == 0 && r.bad_head == 2 && r.bad_row == kPrompt + 5,
        "a query of a call: finite %d, head %d position %lld", r.finite, r.bad_head, static_cast<long long>(r.bad_row));
}

void whole(const Engine& engine, int trace) {
  const zs_receipt r = receipt_of(engine, trace, [](zs_cache&, int) {});
  check(r.weights_sum && r.positions_once == 1 && r.budget_held && r.finite && r.weights_layer == -1 &&
            r.once_position == -1 && r.budget_step == -1 && r.bad_layer == -1 && r.merged > 0,
        "nothing was planted, but the receipt is red");
}

}  // namespace

int main() {
  try {
    const Engine engine(1);
    for (int trace : {0, 1})
      for (const auto planted : {weights, positions, budgets, numbers, queries, queries_of_calls, whole})
        planted(engine, trace);
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::finish("receipt");
}
