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

template <class T>
void needed(const T* out, const char* what) {
  if (!out) fail(ZS_INVALID, "out is NULL: expected a place for %s", what);
}

// Every position of a residual slot, in order.
template <class F>
void each_origin(const Head& head, int32_t slot, F f) {
  for (int32_t p = head.first[static_cast<size_t>(slot)]; p >= 0; p = head.links[static_cast<size_t>(p)]) f(p);
}

int64_t origin_count(const Layer& layer) {
  int64_t count = 0;
  for (const Head& head : layer.heads) {
    count += head.rest.slots();
    for (int32_t slot = 0; slot < head.residual.slots(); ++slot) each_origin(head, slot, [&](int32_t) { ++count; });
  }
  return count;
}

bool books_once(const Head& head, int64_t seq_len) {
  std::vector<uint8_t> seen(static_cast<size_t>(seq_len));
  bool once = static_cast<int64_t>(head.links.size()) == seq_len;
  const auto mark = [&](int32_t position) {
    once = once && position >= 0 && position < seq_len && !seen[static_cast<size_t>(position)];
    if (once) seen[static_cast<size_t>(position)] = 1;
    return once;
  };
  for (int32_t slot = 0; slot < head.rest.slots(); ++slot) mark(head.positions[static_cast<size_t>(slot)]);
  for (int32_t slot = 0; once && slot < head.residual.slots(); ++slot)
    for (int32_t p = head.first[static_cast<size_t>(slot)]; p >= 0 && mark(p);) p = head.links[static_cast<size_t>(p)];
  for (int64_t p = 0; once && p < seq_len; ++p) {
    const bool dropped = head.links[static_cast<size_t>(p)] == kLinkDropped;
    once = dropped != (seen[static_cast<size_t>(p)] != 0);
  }
  return once;
}

bool all_finite(const float* x, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (!std::isfinite(x[i])) return false;
  return true;
}

void receipt(const zs_cache& cache, zs_receipt& r) {
  r = {};
  r.weights_sum = r.positions_once = r.budget_held = r.finite = 1;
  for (const Layer& layer : cache.layers) {
    r.seq_len = std::max(r.seq_len, layer.seq_len);
    r.compressed |= layer.compressed;
    r.budget_held &= !layer.over_budget;
    for (const Head& head : layer.heads) {
      r.admitted += head.counters.admitted;
      r.left += head.counters.left;
      r.merged += head.counters.merged;
      r.dropped += head.counters.dropped;
      double weights = head.rest.slots() + static_cast<double>(head.counters.dropped);
      for (int32_t slot = 0; slot < head.residual.slots(); ++slot)
        weights += static_cast<double>(head.weights[static_cast<size_t>(slot)]);
      r.weights_sum &= weights == static_cast<double>(layer.seq_len);
      r.positions_once &= books_once(head, layer.seq_len);
      const size_t rest = static_cast<size_t>(head.rest.slots()), residual = static_cast<size_t>(head.residual.slots());
      r.finite &= head.rest.finite() && head.residual.finite() && all_finite(head.rest_scores.data(), rest) &&
                  all_finite(head.residual_scores.data(), residual) && all_finite(head.weights.data(), residual);
    }
  }
}

}  // namespace
}  // namespace zs

extern "C" {

zs_status zs_cache_layer(const zs_cache* cache, int32_t index, zs_layer_state* out) {
  return zs::guard([&] {
    const zs::Layer& layer = zs::layer_of(cache, index);
    zs::needed(out, "the layer's state");
    *out = {layer.seq_len, layer.slots(), layer.residual(), layer.ring, zs::origin_count(layer)};
  });
}

zs_status zs_cache_state(const zs_cache* cache, int32_t index, float* keys, float* values, float* weights,
                         float* scores, int64_t* origin_offsets, int32_t* origin_positions) {
  return zs::guard([&] {
    const zs::Layer& layer = zs::layer_of(cache, index);
    const int64_t d = cache->config.head_dim;
    int64_t at = 0, origins = 0;
    const auto origin = [&](int32_t position) {
      if (origin_positions) origin_positions[origins] = position;
      ++origins;
    };
    for (const zs::Head& head : layer.heads)
      for (int32_t slot = 0; slot < head.slots(); ++slot, ++at) {
        const bool merged = slot < head.residual.slots();
        const int32_t own = merged ? slot : slot - head.residual.slots();
        const size_t i = static_cast<size_t>(own);
        (merged ? head.residual : head.rest)
            .read(own, keys ? keys + at * d : nullptr, values ? values + at * d : nullptr);
        if (weights) weights[at] = merged ? head.weights[i] : 1;
        if (scores) scores[at] = merged ? head.residual_scores[i] : head.rest_scores[i];
        if (origin_offsets) origin_offsets[at] = origins;
        if (merged)
          zs::each_origin(head, own, origin);
        else
          origin(head.positions[i]);
      }
    if (origin_offsets) origin_offsets[at] = origins;
  });
}

zs_status zs_cache_resolved(const zs_cache* cache, zs_resolved* out) {
  return zs::guard([&] {
    zs::layer_of(cache, 0);
    zs::needed(out, "the resolved policy");
    if (!cache->is_resolved)
      zs::fail(ZS_INVALID, "the policy is not resolved yet: shares refer to the first prompt, so prefill first");
    *out = cache->resolved;
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
      for (const zs::Head& head : layer.heads) {
        const zs_resolved& r = cache->resolved;
        const int64_t slot = head.rest.geometry().slot_bytes(), merged = head.residual.geometry().slot_bytes();
        const int64_t sink = std::min(r.sink, head.rest.slots());
        // Before anything was compressed the newest are recent, too.
        const int64_t recent = r.budget ? std::min<int64_t>(r.recent, head.rest.slots() - sink) : 0;
        std::fill(out, out + ZS_REGIONS, 0);
        out[ZS_RESIDUAL] = head.residual.slots() * merged;
        out[ZS_SINK] = sink * slot;
        out[ZS_RECENT] = recent * slot;
        out[ZS_CONTEXT] = (head.rest.slots() - sink - recent) * slot;
        out[ZS_QUERIES] = layer.kept ? layer.kept->bytes() / static_cast<int64_t>(layer.heads.size()) : 0;
        out[ZS_BOOKKEEPING] = head.bookkeeping_bytes();
        out[ZS_SPARE] = (head.rest.allocated() - head.rest.slots()) * slot +
                        (head.residual.allocated() - head.residual.slots()) * merged;
        out += ZS_REGIONS;
      }
  });
}

int64_t zs_cache_peak_bytes(const zs_cache* cache) { return cache ? cache->peak_bytes : 0; }

}  // extern "C"
