// Reading a cache: its state as float32, its events, what held of it, its bytes.
#include <algorithm>
#include <cmath>

#include "core/work.h"
#include "zslab/device.h"

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

// The first position that is not in exactly one place; -1 = all are. `arrived`: tokens that are or were in the head.
int64_t misplaced(const Head& head, int64_t arrived) {
  const int64_t known = static_cast<int64_t>(head.links.size());
  if (known != arrived) return std::min(known, arrived);
  std::vector<uint8_t> seen(static_cast<size_t>(arrived));
  for (const Segment& segment : head.segments)
    for (int32_t slot = 0; slot < segment.slots(); ++slot)
      for (int32_t p = segment.position(slot); p != kLinkEnd; p = head.links[static_cast<size_t>(p)]) {
        if (p < 0 || p >= arrived) return segment.position(slot);  // a chain that goes nowhere
        if (seen[static_cast<size_t>(p)]) return p;
        seen[static_cast<size_t>(p)] = 1;
      }
  for (int64_t p = 0; p < arrived; ++p)
    if ((head.links[static_cast<size_t>(p)] == kLinkDropped) == (seen[static_cast<size_t>(p)] != 0)) return p;
  return -1;
}

// What a head's slots weigh, and what left for good.
double weight_of(const Head& head) {
  double weights = static_cast<double>(head.counters.dropped - head.counters.returned);
  for (const Segment& segment : head.segments)
    for (int32_t slot = 0; slot < segment.slots(); ++slot) weights += static_cast<double>(segment.weight(slot));
  return weights;
}

// One head's part; `index` and `g` say which it is.
void check_head(const Head& head, int64_t arrived, int32_t index, int32_t g, zs_receipt& r) {
  if (head.over_step >= 0 && (r.budget_held || head.over_step < r.budget_step)) {
    r.budget_held = 0;
    r.budget_layer = index, r.budget_head = g, r.budget_step = head.over_step;
  }
  const double weights = weight_of(head);
  if (r.weights_sum && weights != static_cast<double>(arrived)) {
    r.weights_sum = 0;
    r.weights_layer = index, r.weights_head = g, r.weights_found = weights;
  }
  const int64_t position = head.origins && r.positions_once == 1 ? misplaced(head, arrived) : -1;
  if (!head.origins) r.positions_once = -1;
  if (position >= 0) {
    r.positions_once = 0;
    r.once_layer = index, r.once_head = g, r.once_position = position;
  }
  const auto finite = [](const Segment& segment) { return segment.finite(); };
  if (r.finite && !std::all_of(head.segments.begin(), head.segments.end(), finite)) {
    r.finite = 0;
    r.bad_layer = index, r.bad_head = g;
  }
}

void receipt(const zs_cache& cache, zs_receipt& r) {
  r = {};
  r.weights_sum = r.positions_once = r.budget_held = r.finite = 1;
  r.once_position = r.budget_step = -1;
  r.once_layer = r.once_head = r.budget_layer = r.budget_head = r.weights_layer = r.weights_head = -1;
  r.bad_layer = cache.bad.layer, r.bad_head = cache.bad.head, r.bad_row = cache.bad.position;
  if (cache.bad.position >= 0) r.finite = 0;
  int32_t index = 0;
  for (const Layer& layer : cache.layers) {
    r.seq_len = std::max(r.seq_len, layer.seq_len);
    for (size_t g = 0; g < layer.heads.size(); ++g) {
      const Head& head = layer.heads[g];
      r.compressed |= head.compressed;
      r.admitted += head.counters.admitted;
      r.left += head.counters.left;
      r.merged += head.counters.merged;
      r.dropped += head.counters.dropped;
      const int64_t arrived = layer.seq_len - (layer.waiting.empty() ? 0 : layer.waiting[g].slots());
      check_head(head, arrived, index, static_cast<int32_t>(g), r);
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
    if (scores) zs::scores_home(*cache);
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
    zs::scores_home(*cache);
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

zs_status zs_cache_attended(const zs_cache* cache, int64_t* here, int64_t* there) {
  return zs::guard([&] {
    zs::layer_of(cache, 0);
    zs::needed(here && there ? here : nullptr, "the rows");
    *here = *there = 0;
    for (const zs::Layer& layer : cache->layers) *here += layer.here, *there += layer.there;
  });
}

zs_status zs_cache_receipt(const zs_cache* cache, zs_receipt* out) {
  return zs::guard([&] {
    zs::layer_of(cache, 0);
    zs::needed(out, "the receipt");
    zs::scores_home(*cache);
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
