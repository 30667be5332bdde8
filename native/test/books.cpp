// The books: receipt, counters, events, origins and bytes tell one story.
#include "test/runs.h"

namespace {

using test::Cache;
using test::check;
using test::Config;
using test::Engine;
using test::run;
using test::same_bits;
using test::sources_of;
using test::State;
using test::states_of;

// Receipt, counters, events, origins and bytes tell one story, with or without a trace.
void books(const Engine& engine, uint64_t seed) {
  Config config = test::random_config(seed), silent = config;
  silent.cache.trace = 0;
  auto a = sources_of(config), b = sources_of(config);
  Cache cache(engine, config.cache), quiet(engine, silent.cache);
  run(cache, config, a, 0, config.calls.size());
  run(quiet, silent, b, 0, config.calls.size());
  const zs_receipt receipt = cache.receipt();
  const int64_t tokens = config.tokens();
  const int heads = config.cache.layers * config.cache.kv_heads;
  check(
      same_bits(states_of(cache), states_of(quiet)) && same_bits(receipt, quiet.receipt()) && quiet.events().count == 0,
      "a trace changes the run: %s", config.text().c_str());
  check(receipt.weights_sum && receipt.positions_once && receipt.budget_held && receipt.finite &&
            receipt.seq_len == tokens,
        "a receipt complains: %s", config.text().c_str());
  const zs_events e = cache.events();
  int64_t counted[ZS_UNEVICT + 1] = {};
  std::vector<std::vector<int>> seen(static_cast<size_t>(heads), std::vector<int>(static_cast<size_t>(tokens)));
  double dropped = 0;
  for (int64_t i = 0; i < e.count; ++i) {
    ++counted[e.action[i]];
    if (e.action[i] != ZS_DROP) continue;
    ++seen[static_cast<size_t>(e.layer[i] * config.cache.kv_heads + e.kv_head[i])][static_cast<size_t>(e.position[i])];
    dropped += static_cast<double>(e.weight[i]);
  }
  check(counted[0] == receipt.admitted && counted[1] == receipt.left && counted[2] == receipt.merged &&
            counted[3] == receipt.dropped,
        "counters %lld %lld %lld %lld, events %lld %lld %lld %lld: %s", static_cast<long long>(receipt.admitted),
        static_cast<long long>(receipt.left), static_cast<long long>(receipt.merged),
        static_cast<long long>(receipt.dropped), static_cast<long long>(counted[0]), static_cast<long long>(counted[1]),
        static_cast<long long>(counted[2]), static_cast<long long>(counted[3]), config.text().c_str());
  double weights = dropped;
  bool compressed = false, whole = true;
  for (int layer = 0; layer < config.cache.layers; ++layer) {
    const State state = cache.state(layer);
    for (int g = 0; g < config.cache.kv_heads; ++g)
      for (int s = 0; s < state.slots(g); ++s) {
        const auto origins = state.origins(g, s);
        const double weight = static_cast<double>(state.weights[state.at(g, s)]);
        whole = whole && weight == static_cast<double>(origins.size());
        weights += weight;
        for (int position : origins)
          ++seen[static_cast<size_t>(layer * config.cache.kv_heads + g)][static_cast<size_t>(position)];
      }
    for (const zs_head_state& head : state.heads) compressed = compressed || head.slots < tokens;
  }
  bool once = true;
  for (const auto& head : seen)
    for (int times : head) once = once && times == 1;
  check(once && whole && weights == static_cast<double>(tokens * heads),
        "positions once %d, weights are origins %d, weights %g of %g: %s", once, whole, weights,
        static_cast<double>(tokens * heads), config.text().c_str());
  check((receipt.compressed != 0) == compressed, "the receipt says compressed %d: %s", receipt.compressed,
        config.text().c_str());

  std::vector<int64_t> bytes(static_cast<size_t>(heads * ZS_REGIONS));
  test::must(zs_cache_bytes(cache.handle, bytes.data()), "bytes");
  int64_t total = 0;
  bool enough = true;
  for (int head = 0; head < heads; ++head) {
    const int64_t* region = &bytes[static_cast<size_t>(head * ZS_REGIONS)];
    for (int i = 0; i < ZS_REGIONS; ++i) {
      enough = enough && region[i] >= 0;
      total += region[i];
    }
    const zs_head_state state =
        cache.state(head / config.cache.kv_heads).heads[static_cast<size_t>(head % config.cache.kv_heads)];
    const int64_t row = 2 * config.cache.head_dim, wide = config.cache.storage == ZS_F32 ? 4 : 2;
    enough = enough && region[ZS_RESIDUAL] >= state.residual * row * 4;
    enough = enough &&
             region[ZS_SINK] + region[ZS_CONTEXT] + region[ZS_RECENT] >= (state.slots - state.residual) * row * wide;
  }
  check(enough && zs_cache_peak_bytes(cache.handle) >= total,
        "bytes (%lld now, %lld at the peak) are less than what is held: %s", static_cast<long long>(total),
        static_cast<long long>(zs_cache_peak_bytes(cache.handle)), config.text().c_str());
}

}  // namespace

int main() { return test::each_seed("books", books); }
