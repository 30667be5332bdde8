// Tokens taken back: what goes on afterwards equals, to the bit, what never saw them; and where that cannot be, nothing changes.
#include "test/caches.h"

namespace {

using test::Cache;
using test::check;
using test::Config;
using test::Inputs;
using test::Random;
using test::Source;

// A policy, and for how many of the tokens after a prompt it can be taken back: all of them, or none.
Config config_of(Random& r, bool* can) {
  Config c;
  c.seed = static_cast<uint64_t>(r.upto(1, 1 << 30));
  c.cache.layers = r.upto(1, 2);
  c.cache.kv_heads = r.upto(1, 3);
  c.cache.heads = c.cache.kv_heads * r.upto(1, 3);
  c.cache.head_dim = 2 * r.upto(2, 20);
  c.cache.storage = r.upto(0, 2);
  c.cache.origins = r.upto(0, 1);
  test::Options& p = c.cache.policy;
  const int which = r.upto(0, 7), prompt = r.upto(8, 300);
  const int pages[] = {1, 3, 16};
  p.history = 0;
  if (which <= 1) p.name = "full";
  if (which == 2)
    p.name = "quest", p.budget = 16, p.own = {{"page", r.of(pages)}, {"wholeLayers", 0}, {"granularity", r.upto(0, 1)}};
  if (which == 3)
    p.name = "snapkv", p.budget = 8, p.own = {{"window", 4}, {"kernel", 3}, {"pooling", 0}, {"variant", 0}};
  if (which == 4) p.name = "streaming", p.budget = prompt / 2 + 5, p.sink = 2;
  if (which == 5) p.name = "evict-only", p.history = 1, p.budget = 1000, p.recent = 4, p.residual = 0;
  if (which == 6) {
    c.cache.layers = r.upto(2, 3);
    p.name = "minicache", p.budget = 0;
    p.own = {{"start", 0}, {"t", 0.6}, {"retain", r.unit() / 2}, {"retention", r.upto(0, 1)}};
  }
  if (which == 7) {
    p.of = std::make_shared<test::Options>(p);
    p.of->name = "full";
    p.name = "think", p.own = {{"ratio", 0.4}, {"recent", r.upto(0, 20)}, {"window", 16}};
  }
  *can = which < 4 || which >= 6;
  c.calls = {prompt};
  return c;
}

std::vector<float> feed(Cache& cache, std::vector<Source>& sources, int tokens, bool prompt) {
  std::vector<float> all;
  for (int layer = 0; layer < cache.config.layers; ++layer) {
    const Inputs in = sources[static_cast<size_t>(layer)].next(tokens);
    const auto out = prompt ? cache.prefill(layer, in, tokens, 0) : cache.extend(layer, in, tokens);
    all.insert(all.end(), out.begin(), out.end());
  }
  return all;
}

bool same(const Cache& a, const Cache& b) {
  bool equal = true;
  for (int layer = 0; layer < a.config.layers; ++layer) {
    test::State x = a.state(layer), y = b.state(layer);
    for (auto* state : {&x, &y})
      for (zs_head_state& head : state->heads)
        head.read = 0;  // what the token that is now the newest read is not known any more
    equal = equal && test::same_bits(x, y);
  }
  const zs_events x = a.events(), y = b.events();
  equal = equal && x.count == y.count;
  for (int64_t i = 0; equal && i < x.count; ++i)
    equal = x.step[i] == y.step[i] && x.layer[i] == y.layer[i] && x.kv_head[i] == y.kv_head[i] &&
            x.action[i] == y.action[i] && x.position[i] == y.position[i] && x.slot[i] == y.slot[i];
  const zs_receipt r = a.receipt(), s = b.receipt();
  return equal && !std::memcmp(&r, &s, sizeof r);
}

void one(const test::Engine& engine, uint64_t seed) {
  Random r(seed);
  bool can = false;
  const Config c = config_of(r, &can);
  std::vector<Source> sources;
  for (int layer = 0; layer < c.cache.layers; ++layer) sources.emplace_back(c, layer);
  Cache cache(engine, c.cache), never(engine, c.cache);
  std::vector<Source> again = sources;
  feed(cache, sources, c.calls[0], true);
  feed(never, again, c.calls[0], true);
  const int before = r.upto(0, 20), back = r.upto(1, 20), after = r.upto(1, 20);
  for (int i = 0; i < before; ++i) feed(cache, sources, 1, false), feed(never, again, 1, false);
  const auto kept = sources;
  for (int i = 0; i < back; ++i) feed(cache, sources, 1, false);
  const zs_status status = zs_cache_rollback(cache.handle, back);
  if (!can) {
    const std::string said = zs_last_error();
    check(status == ZS_UNSUPPORTED && said.find("fork before them") != std::string::npos, "seed %llu: %s: %d %s",
          static_cast<unsigned long long>(seed), c.text().c_str(), status, said.c_str());
    for (int i = 0; i < back; ++i) feed(never, again, 1, false);
    check(same(cache, never), "seed %llu: a rollback that was refused changed something: %s",
          static_cast<unsigned long long>(seed), c.text().c_str());
    return;
  }
  check(status == ZS_OK, "seed %llu: %s: %s", static_cast<unsigned long long>(seed), zs_last_error(), c.text().c_str());
  check(same(cache, never), "seed %llu: taken back, but not as before: %s", static_cast<unsigned long long>(seed),
        c.text().c_str());
  sources = kept;
  bool outputs = true;
  for (int i = 0; i < after; ++i)
    outputs = outputs && test::same_bits(feed(cache, sources, 1, false), feed(never, again, 1, false));
  check(outputs && same(cache, never), "seed %llu: goes on otherwise: %s", static_cast<unsigned long long>(seed),
        c.text().c_str());
}

}  // namespace

int main(int count, char** arguments) {
  const uint64_t only = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 0;
  const int cases = only ? 1 : test::cases(2000, 400, 20);
  try {
    const test::Engine engine(2);
    for (int i = 0; i < cases; ++i) one(engine, only ? only : static_cast<uint64_t>(i) + 1);
    test::CacheConfig full;
    full.policy = test::full_policy();
    full.policy.history = 0;
    Cache cache(engine, full);
    check(zs_cache_rollback(cache.handle, 1) == ZS_INVALID, "an empty cache gave a token back");
    check(zs_cache_rollback(nullptr, 1) == ZS_INVALID, "no cache gave a token back");
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::finish("rollback");
}
