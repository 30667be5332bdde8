// Reading a cache: its state as float32, its events, what held of it, its bytes.
#include <algorithm>
#include <cmath>

#include "core/work.h"

namespace zs {
namespace {

const Layer& layer_of(const zs_cache* cache, int32_t layer) {
  if (!cache) fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
  if (layer < 0 || layer >= cache->config.layers)
    fail(ZS_INVALID, "layer is %d: expected 0 to %d", layer, cache->config.layers - 1);
  return cache->layers[static_cast<size_t>(layer)];
}

const Head& head_of(const zs_cache& cache, const Layer& layer, int32_t kv_head) {
  if (kv_head < 0 || kv_head >= cache.config.kv_heads)
    fail(ZS_INVALID, "kv_head is %d: expected 0 to %d", kv_head, cache.config.kv_heads - 1);
  return layer.heads[static_cast<size_t>(kv_head)];
}

template <class T>
void needed(const T* out, const char* what) {
  if (!out) fail(ZS_INVALID, "out is NULL: expected a place for %s", what);
}

// Every position that a slot stands for, as far as it is known, in order.
template <class F>
void each_origin(const Head& head, const Segment& segment, int32_t slot, F f) {
  if (!segment.merged || !head.origins) return f(segment.position(slot));
  for (int32_t p = segment.position(slot); p >= 0; p = head.links[static_cast<size_t>(p)]) f(p);
}

int64_t origin_count(const Layer& layer) {
  int64_t count = 0;
  for (const Head& head : layer.heads)
    for (const Segment& segment : head.segments)
      for (int32_t slot = 0; slot < segment.slots(); ++slot)
        each_origin(head, segment, slot, [&](int32_t) { ++count; });
  return count;
}

// A kv head's share of what the policy keeps of the layer's projections.
int64_t constant_bytes(const zs_cache& cache, const Layer& layer, size_t kv_head) {
  if (!cache.constants) return 0;
  const int64_t all = (*cache.constants)[static_cast<size_t>(&layer - cache.layers.data())]->bytes(),
                heads = static_cast<int64_t>(layer.heads.size());
  return all / heads + (static_cast<int64_t>(kv_head) < all % heads ? 1 : 0);
}

// `arrived`: tokens that are or were in the head.
bool books_once(const Head& head, int64_t arrived) {
  std::vector<uint8_t> seen(static_cast<size_t>(arrived));
  bool once = static_cast<int64_t>(head.links.size()) == arrived;
  for (const Segment& segment : head.segments)
    for (int32_t slot = 0; once && slot < segment.slots(); ++slot)
      for (int32_t p = segment.position(slot); once && p != kLinkEnd; p = head.links[static_cast<size_t>(p)]) {
        once = p >= 0 && p < arrived && !seen[static_cast<size_t>(p)];
        if (once) seen[static_cast<size_t>(p)] = 1;
      }
  for (int64_t p = 0; once && p < arrived; ++p) {
    const bool dropped = head.links[static_cast<size_t>(p)] == kLinkDropped;
    once = dropped != (seen[static_cast<size_t>(p)] != 0);
  }
  return once;
}

void receipt(const zs_cache& cache, zs_receipt& r) {
  r = {};
  r.weights_sum = r.positions_once = r.budget_held = r.finite = 1;
  r.bad_layer = cache.bad.layer, r.bad_head = cache.bad.head, r.bad_row = cache.bad.position;
  if (cache.bad.position >= 0) r.finite = 0;
  int32_t index = 0;
  for (const Layer& layer : cache.layers) {
    r.seq_len = std::max(r.seq_len, layer.seq_len);
    for (size_t g = 0; g < layer.heads.size(); ++g) {
      const Head& head = layer.heads[g];
      const int64_t arrived = layer.seq_len - (layer.waiting.empty() ? 0 : layer.waiting[g].slots());
      r.compressed |= head.compressed;
      r.budget_held &= !head.over_budget;
      r.admitted += head.counters.admitted;
      r.left += head.counters.left;
      r.merged += head.counters.merged;
      r.dropped += head.counters.dropped;
      double weights = static_cast<double>(head.counters.dropped);
      bool finite = true;
      for (const Segment& segment : head.segments) {
        for (int32_t slot = 0; slot < segment.slots(); ++slot) weights += static_cast<double>(segment.weight(slot));
        finite = finite && segment.finite();
      }
      r.weights_sum &= weights == static_cast<double>(arrived);
      if (!head.origins)
        r.positions_once = -1;
      else if (r.positions_once == 1)
        r.positions_once = books_once(head, arrived);
      if (!finite && r.finite) r.bad_layer = index, r.bad_head = static_cast<int32_t>(g);
      r.finite &= finite;
    }
    ++index;
  }
}

}  // namespace
}  // namespace zs

extern "C" {

zs_status zs_cache_layer(const zs_cache* cache, int32_t index, zs_layer_state* out) {
  return zs::guard([&] {
    const zs::Layer& layer = zs::layer_of(cache, index);
    zs::needed(out, "the layer's state");
    *out = {layer.seq_len, layer.slots(), zs::origin_count(layer)};
  });
}

zs_status zs_cache_heads(const zs_cache* cache, int32_t index, zs_head_state* out) {
  return zs::guard([&] {
    const zs::Layer& layer = zs::layer_of(cache, index);
    zs::needed(out, "the states of the layer's kv heads");
    for (const zs::Head& head : layer.heads)
      *out++ = {head.slots(), head.residual(), head.ring, head.compressed ? 1 : 0, head.read};
  });
}

zs_status zs_cache_state(const zs_cache* cache, int32_t index, float* keys, float* values, float* weights,
                         float* scores, int64_t* origin_offsets, int32_t* origin_positions) {
  return zs::guard([&] {
    const zs::Layer& layer = zs::layer_of(cache, index);
    const int64_t d = cache->config.head_dim;
    int64_t at = 0, origins = 0;
    for (const zs::Head& head : layer.heads)
      for (const zs::Segment& segment : head.segments)
        for (int32_t slot = 0; slot < segment.slots(); ++slot, ++at) {
          segment.read(slot, keys ? keys + at * d : nullptr, values ? values + at * d : nullptr);
          if (weights) weights[at] = segment.weight(slot);
          if (scores) scores[at] = segment.scores[static_cast<size_t>(slot)];
          if (origin_offsets) origin_offsets[at] = origins;
          zs::each_origin(head, segment, slot, [&](int32_t position) {
            if (origin_positions) origin_positions[origins] = position;
            ++origins;
          });
        }
    if (origin_offsets) origin_offsets[at] = origins;
  });
}

zs_status zs_cache_resolved(const zs_cache* cache, int32_t index, int32_t kv_head, zs_resolved* out) {
  return zs::guard([&] {
    const zs::Layer& layer = zs::layer_of(cache, index);
    zs::needed(out, "the resolved policy");
    const zs::Head& head = zs::head_of(*cache, layer, kv_head);
    if (layer.seq_len == 0)
      zs::fail(ZS_INVALID, "the policy is not resolved yet: shares refer to the first prompt, so prefill first");
    *out = head.sizes;
  });
}

zs_status zs_cache_inspect(const zs_cache* cache, int32_t index, int32_t kv_head, zs_visit_array visit, void* context) {
  return zs::guard([&] {
    const zs::Layer& layer = zs::layer_of(cache, index);
    if (!visit) zs::fail(ZS_INVALID, "visit is NULL: expected a function that is given the arrays");
    const zs::Head& head = zs::head_of(*cache, layer, kv_head);
    const zs::Policy* owner = nullptr;
    const auto inspect = zs::hook(*cache->policy, &zs::PolicyHooks::inspect, &owner);
    if (layer.seq_len == 0 || !inspect) return;
    std::vector<zs::Inspected> arrays;
    inspect(*owner, head, arrays);
    for (const zs::Inspected& array : arrays) {
      const zs_array shown{array.name, array.shape.data(), static_cast<int32_t>(array.shape.size()), array.data.data()};
      visit(context, &shown);
    }
  });
}

zs_status zs_cache_events(zs_cache* cache, zs_events* out) {
  return zs::guard([&] {
    zs::layer_of(cache, 0);
    zs::needed(out, "the events");
    *out = cache->tape.columns();
  });
}

zs_status zs_cache_receipt(const zs_cache* cache, zs_receipt* out) {
  return zs::guard([&] {
    zs::layer_of(cache, 0);
    zs::needed(out, "the receipt");
    zs::receipt(*cache, *out);
  });
}

zs_status zs_cache_bytes(const zs_cache* cache, int64_t* out) {
  return zs::guard([&] {
    zs::layer_of(cache, 0);
    zs::needed(out, "the bytes");
    for (const zs::Layer& layer : cache->layers)
      for (size_t g = 0; g < layer.heads.size(); ++g) {
        const zs::Head& head = layer.heads[g];
        const zs::Segment& open = head.open();
        const zs_resolved& r = head.sizes;
        const int64_t slot = open.pages.geometry().slot_bytes();
        const int64_t sink = std::min(r.sink, open.slots());
        // Before anything was compressed the newest are recent, too; under a policy that acts on prompts so is all that came since.
        const int64_t since = cache->needs.acts == ZS_ACTS_PROMPT ? layer.step : 0;
        const int64_t recent = r.budget ? std::min<int64_t>(r.recent + since, open.slots() - sink) : 0;
        std::fill(out, out + ZS_REGIONS, 0);
        out[ZS_SINK] = sink * slot;
        out[ZS_RECENT] = recent * slot;
        out[ZS_CONTEXT] = (open.slots() - sink - recent) * slot;
        out[ZS_QUERIES] = layer.kept ? layer.kept->bytes() / static_cast<int64_t>(layer.heads.size()) : 0;
        out[ZS_BOOKKEEPING] = head.bookkeeping_bytes() + zs::constant_bytes(*cache, layer, g);
        for (const zs::Segment& segment : head.segments) {
          const int64_t used =
              segment.format ? segment.page_bytes() : segment.slots() * segment.pages.geometry().slot_bytes();
          if (segment.merged)
            out[ZS_RESIDUAL] += used;
          else if (&segment != &open)
            out[ZS_CONTEXT] += used;
          out[ZS_SPARE] += segment.page_bytes() - used;
        }
        if (!layer.waiting.empty()) out[ZS_SPARE] += layer.waiting[g].page_bytes();
        out += ZS_REGIONS;
      }
  });
}

int64_t zs_cache_peak_bytes(const zs_cache* cache) { return cache ? cache->peak_bytes : 0; }

}  // extern "C"
