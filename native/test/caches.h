// The engine behind the same shape of interface as the reference, so that one property can be asked of both.
#ifndef ZSLAB_TEST_CACHES_H
#define ZSLAB_TEST_CACHES_H

#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "test/configs.h"

namespace test {

inline void must(zs_status status, const char* what) {
  if (status != ZS_OK) throw std::runtime_error(std::string(what) + ": " + zs_last_error());
}

struct Engine {
  zs_engine* handle = nullptr;
  explicit Engine(int threads = 1, zs_isa isa = ZS_ISA_BEST) {
    must(zs_engine_create(threads, isa, &handle), "engine");
  }
  ~Engine() { zs_engine_destroy(handle); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
};

// What a layer holds, copied out. Equality is to the bit (NaN equals NaN).
struct State {
  zs_layer_state layer{};
  std::vector<zs_head_state> heads;
  std::vector<float> keys, values, weights, scores;
  std::vector<int64_t> offsets;
  std::vector<int32_t> positions;
  int slots(int kv_head = 0) const { return heads[static_cast<size_t>(kv_head)].slots; }
  size_t at(int kv_head, int64_t slot) const {
    int64_t before = 0;
    for (int g = 0; g < kv_head; ++g) before += slots(g);
    return static_cast<size_t>(before + slot);
  }
  std::vector<int> origins(int kv_head, int64_t slot) const {
    const size_t i = at(kv_head, slot);
    return std::vector<int>(positions.begin() + offsets[i], positions.begin() + offsets[i + 1]);
  }
  int first_origin(int kv_head, int64_t slot) const {
    return positions[static_cast<size_t>(offsets[at(kv_head, slot)])];
  }
};
template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || !std::memcmp(a.data(), b.data(), a.size() * sizeof(T)));
}
inline bool same_bits(const State& a, const State& b) {
  bool heads = a.heads.size() == b.heads.size();
  for (size_t g = 0; heads && g < a.heads.size(); ++g)
    heads = !std::memcmp(&a.heads[g], &b.heads[g], sizeof a.heads[g]);
  return heads && a.layer.seq_len == b.layer.seq_len && same_bits(a.keys, b.keys) && same_bits(a.values, b.values) &&
         same_bits(a.weights, b.weights) && same_bits(a.scores, b.scores) && same_bits(a.offsets, b.offsets) &&
         same_bits(a.positions, b.positions);
}

struct Array {
  std::vector<int32_t> shape;
  std::vector<float> data;
};

struct Cache {
  zs_cache* handle = nullptr;
  CacheConfig config;

  Cache(const Engine& engine, const CacheConfig& config) : Cache(engine, config, *config.policy.native()) {}
  Cache(const Engine& engine, const CacheConfig& config, const NativePolicy& policy) : config(config) {
    const zs_cache_config native = config.native(policy);
    must(zs_cache_create(engine.handle, &native, &handle), "create");
  }
  Cache(zs_cache* handle, const CacheConfig& config) : handle(handle), config(config) {}
  Cache(Cache&& other) noexcept : handle(other.handle), config(other.config) { other.handle = nullptr; }
  ~Cache() { zs_cache_destroy(handle); }
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  zs_view view(const std::vector<float>& x, int64_t tokens) const {
    return {const_cast<float*>(x.data()), tokens * config.head_dim, config.head_dim};
  }
  zs_status try_prefill(int layer, const Inputs& in, int64_t tokens, int64_t share_of, std::vector<float>& out,
                        zs_call* call = nullptr) {
    out.assign(in.q.size(), 0);
    return zs_cache_prefill(handle, layer, view(in.q, tokens), view(in.k, tokens), view(in.v, tokens), tokens, share_of,
                            view(out, tokens), call);
  }
  zs_status try_extend(int layer, const Inputs& in, int64_t tokens, std::vector<float>& out, zs_call* call = nullptr) {
    out.assign(in.q.size(), 0);
    return zs_cache_extend(handle, layer, view(in.q, tokens), view(in.k, tokens), view(in.v, tokens), tokens,
                           view(out, tokens), call);
  }
  std::vector<float> prefill(int layer, const Inputs& in, int64_t tokens, int64_t share_of = 0) {
    std::vector<float> out;
    must(try_prefill(layer, in, tokens, share_of, out), "prefill");
    return out;
  }
  std::vector<float> extend(int layer, const Inputs& in, int64_t tokens) {
    std::vector<float> out;
    must(try_extend(layer, in, tokens, out), "extend");
    return out;
  }
  Cache fork() const {
    zs_cache* copy = nullptr;
    must(zs_cache_fork(handle, &copy), "fork");
    return Cache(copy, config);
  }
  State state(int layer) const {
    State s;
    must(zs_cache_layer(handle, layer, &s.layer), "layer");
    s.heads.resize(static_cast<size_t>(config.kv_heads));
    must(zs_cache_heads(handle, layer, s.heads.data()), "heads");
    const size_t slots = static_cast<size_t>(s.layer.slots);
    const size_t elements = slots * static_cast<size_t>(config.head_dim);
    s.keys.resize(elements), s.values.resize(elements), s.weights.resize(slots), s.scores.resize(slots);
    s.offsets.resize(slots + 1), s.positions.resize(static_cast<size_t>(s.layer.origins));
    must(zs_cache_state(handle, layer, s.keys.data(), s.values.data(), s.weights.data(), s.scores.data(),
                        s.offsets.data(), s.positions.data()),
         "state");
    return s;
  }
  // What the policy itself keeps of a head, by name.
  std::map<std::string, Array> inspect(int layer, int kv_head) const {
    std::map<std::string, Array> all;
    const auto gather = [](void* to, const zs_array* a) {
      Array& one = (*static_cast<std::map<std::string, Array>*>(to))[a->name];
      one.shape.assign(a->shape, a->shape + a->dims);
      size_t count = 1;
      for (int32_t dim : one.shape) count *= static_cast<size_t>(dim);
      one.data.assign(a->data, a->data + count);
    };
    must(zs_cache_inspect(handle, layer, kv_head, gather, &all), "inspect");
    return all;
  }
  zs_events events() const {
    zs_events e{};
    must(zs_cache_events(handle, &e), "events");
    return e;
  }
  zs_receipt receipt() const {
    zs_receipt r{};
    must(zs_cache_receipt(handle, &r), "receipt");
    return r;
  }
};

// The reference with the same calls.
struct ReferenceCache {
  reference::Cache cache;
  int kv_heads;
  explicit ReferenceCache(const CacheConfig& c)
      : cache(shape_of(c), reference::make(*asked_whole(c)), static_cast<reference::Storage>(c.storage), c.budgets),
        kv_heads(c.kv_heads) {
    cache.rotation = {c.rotation.frequencies, c.rotation.halves};
  }
  std::vector<double> prefill(int layer, const Inputs& in, int64_t tokens, int64_t share_of = 0) {
    return cache.prefill(layer, in.q, in.k, in.v, tokens, share_of);
  }
  std::vector<double> extend(int layer, const Inputs& in, int64_t tokens) {
    return cache.extend(layer, in.q, in.k, in.v, tokens);
  }
  State state(int layer) const {
    State s;
    for (int g = 0; g < kv_heads; ++g) {
      s.heads.push_back({static_cast<int32_t>(cache.head(layer, g).slots.size()), 0, 0, 0, 0});
      s.layer.slots += s.heads.back().slots;
      s.layer.seq_len = cache.seq_len(layer);
      for (const reference::Slot& slot : cache.head(layer, g).slots) {
        s.keys.insert(s.keys.end(), slot.key.begin(), slot.key.end());
        s.values.insert(s.values.end(), slot.value.begin(), slot.value.end());
        s.weights.push_back(static_cast<float>(slot.weight));
        s.scores.push_back(static_cast<float>(slot.score));
        s.offsets.push_back(static_cast<int64_t>(s.positions.size()));
        s.positions.insert(s.positions.end(), slot.origins.begin(), slot.origins.end());
      }
    }
    s.offsets.push_back(static_cast<int64_t>(s.positions.size()));
    return s;
  }
  static std::shared_ptr<reference::Asked> asked_whole(const CacheConfig& c) {
    auto asked = asked_of(c.policy);
    asked->shape = shape_of(c);
    const Projections& p = c.projections;
    asked->projections = {p.width, p.keys, p.values, p.key_biases, p.value_biases};
    return asked;
  }
  static reference::Shape shape_of(const CacheConfig& c) {
    reference::Shape s;
    s.layers = c.layers, s.heads = c.heads, s.kv_heads = c.kv_heads, s.head_dim = c.head_dim;
    return s;
  }
};

}  // namespace test
#endif
