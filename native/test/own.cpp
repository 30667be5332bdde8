// The policy of a caller's own (zs_own_choose): H2O by callback keeps what the built-in one keeps, on one thread and on two; a callback that
// fails or answers nonsense ends the call and leaves the cache as it was.
#include <set>

#include "test/caches.h"

namespace {

using test::check;

struct Host {
  int recent = 1;
  int64_t fail = 0;       // what it answers
  bool nonsense = false;  // the same slot twice, or one that is not there
  int calls = 0;
};

// The lowest scores among all but the `recent` newest, equal ones by slot.
int64_t h2o(void* context, const zs_own_view* view, int32_t* leaving) {
  Host& host = *static_cast<Host*>(context);
  ++host.calls;
  if (host.fail) return host.fail;
  int64_t at = 0;
  for (int32_t g = 0; g < view->kv_heads; at += view->slots[g++]) {
    const int32_t newest = view->positions[at + view->slots[g] - 1];
    std::vector<std::pair<float, int32_t>> candidates;
    for (int32_t slot = 0; slot < view->slots[g]; ++slot)
      if (view->positions[at + slot] <= newest - host.recent) candidates.push_back({view->scores[at + slot], slot});
    std::sort(candidates.begin(), candidates.end());
    for (int32_t i = 0; i < view->excess[g]; ++i)
      *leaving++ = host.nonsense ? view->slots[g] : candidates[static_cast<size_t>(i)].second;
  }
  return 0;
}

test::Fields fields(Host& host, double decay) {
  return {{"choose", static_cast<double>(reinterpret_cast<intptr_t>(&h2o))},
          {"context", static_cast<double>(reinterpret_cast<intptr_t>(&host))},
          {"decay", decay},
          {"history", 1},
          {"window", -1},
          {"acts", ZS_ACTS_ALWAYS},
          {"keys", 0},
          {"values", 0}};
}

std::vector<std::set<int>> kept(const test::Cache& cache, int layer) {
  std::vector<std::set<int>> all;
  const test::State state = cache.state(layer);
  for (int g = 0; g < cache.config.kv_heads; ++g) {
    all.emplace_back();
    for (int s = 0; s < state.slots(g); ++s) all.back().insert(state.first_origin(g, s));
  }
  return all;
}

void one(const test::Engine& engine, uint64_t seed) {
  test::Random r(seed);
  test::Config config;
  config.seed = seed;
  test::CacheConfig& c = config.cache;
  c.layers = r.upto(1, 2), c.kv_heads = r.upto(1, 3), c.heads = c.kv_heads * r.upto(1, 4), c.head_dim = 16;
  const int budget = r.upto(4, 24), recent = r.upto(1, budget / 2), prompt = r.upto(2, 60);
  config.gain = 1;
  Host host;
  host.recent = recent;
  const test::NativePolicy mine("own", budget, 256, fields(host, 0.9));
  test::Options like = test::count_policy(budget, recent, 0);
  like.name = "evict-only", like.decay = 0.9f, like.window = -1;
  c.policy = like;
  test::Cache own(engine, c, mine), built(engine, c);
  for (int layer = 0; layer < c.layers; ++layer) {
    test::Source source(config, layer);
    bool same = true;
    for (int call = 0; call < 30; ++call) {
      const int tokens = call == 0 ? prompt : r.one_in(5) ? r.upto(2, 9) : 1;
      const test::Inputs in = source.next(tokens);
      if (call && r.one_in(6)) {
        const test::State before = own.state(layer);
        const bool full = before.slots() == budget;
        std::vector<float> out;
        host.fail = r.one_in(2) ? 77 : 0, host.nonsense = host.fail == 0;
        const zs_status status = own.try_extend(layer, in, tokens, out);
        if (full)
          check((host.fail ? status == ZS_HOOK && !std::strcmp(zs_last_error(), "77") : status == ZS_INVALID) &&
                    test::same_bits(own.state(layer), before),
                "seed %llu: a hook that fails: status %d, \"%s\"", static_cast<unsigned long long>(seed), status,
                zs_last_error());
        host.fail = 0, host.nonsense = false;
        if (status == ZS_OK) {
          built.extend(layer, in, tokens);
          continue;
        }
      }
      call ? own.extend(layer, in, tokens) : own.prefill(layer, in, tokens);
      call ? built.extend(layer, in, tokens) : built.prefill(layer, in, tokens);
      same = same && kept(own, layer) == kept(built, layer);
    }
    check(same, "seed %llu layer %d: kept other tokens than the built-in policy", static_cast<unsigned long long>(seed),
          layer);
  }
  const zs_receipt receipt = own.receipt();
  check(receipt.weights_sum && receipt.positions_once == 1 && receipt.budget_held && receipt.finite,
        "seed %llu: the receipt", static_cast<unsigned long long>(seed));
}

}  // namespace

int main() {
  try {
    const test::Engine one_thread(1), two(2);
    const int cases = test::cases(1000, 200, 20);
    for (int i = 0; i < cases; ++i) one(i % 2 ? one_thread : two, static_cast<uint64_t>(i) + 1);
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::finish("own");
}
