#include "core/prompt_on_device.h"

#include "core/device_pass.h"

namespace zs {
namespace {

// Rows come in whole blocks of any device's kernels, and of the CPU's units.
constexpr int64_t kLaunchRows = 64;

}  // namespace

std::unique_ptr<DevicePrompt> prompt_on_device(zs_cache& cache, const PageList& list,
                                               const std::vector<Segment*>& segments, zs_view q, int64_t from,
                                               int64_t tokens) {
  if (!cache.on_device || cache.needs.rotates) return nullptr;
  Device& device = *cache.engine->device;
  DevicePromptShape shape{cache.config.kv_heads,
                          cache.group(),
                          cache.config.head_dim,
                          cache.config.storage,
                          cache.scale(),
                          from,
                          tokens,
                          {},
                          list.start,
                          list.first_causal};
  const int64_t written = round_up(from + tokens, kChunk) / kChunk;  // chunks of a head's own tokens
  std::vector<Segment*> own;
  try {
    size_t g = 0;
    for (Segment* segment : segments) {
      if (!segment->plain()) return nullptr;
      const int32_t chunks = segment->chunks();
      const bool last = static_cast<int64_t>(shape.chunks.size()) + chunks == list.start[g + 1];
      const int32_t there = last ? static_cast<int32_t>(std::min<int64_t>(chunks, written)) : chunks;
      if (last) own.push_back(segment), ++g;
      segment->pages.go([&](const Page& page, const Geometry& geometry) { return device.twin(page, geometry); }, there);
      for (int32_t c = 0; c < there; ++c)
        shape.chunks.push_back(
            segment->pages.twin_chunk(c, segment->merged ? segment->bias.data() + int64_t{c} * kChunk : nullptr));
      shape.chunks.resize(shape.chunks.size() + static_cast<size_t>(chunks - there));
    }
    return device.prompt(shape, q);
  } catch (const Error& e) {
    if (e.status != ZS_OUT_OF_MEMORY) throw;
    for (Segment* segment : own) segment->pages.stay();
    return nullptr;
  }
}

void attend_on_device(DevicePrompt& there, const zs_cache& cache, const PageList& list, int64_t from, int64_t tokens,
                      zs_call* call, const Progress& progress) {
  const int64_t kv_heads = cache.config.kv_heads;
  int64_t old = 0;  // slots, at most, of all heads
  for (const int32_t chunks : list.first_causal) old += int64_t{chunks} * kChunk;
  for (int64_t begin = 0, end = 0; begin < tokens; begin = end) {
    check_abort(call);
    // Each counted as what the last of them sees.
    const auto products = [&](int64_t to) {
      return (to - begin) * 2 * (old + kv_heads * (from + to)) * cache.group() * cache.config.head_dim;
    };
    end = begin + kLaunchRows;
    while (end < tokens && products(end + kLaunchRows) <= kLaunchProducts) end += kLaunchRows;
    end = std::min(end, tokens);
    there.attend(begin, end);
    progress.more(kv_heads * (row_blocks(cache, end) - row_blocks(cache, begin)));
  }
  check_abort(call);
}

int64_t sum_on_device(DevicePrompt& there, int64_t to, int32_t group, int32_t d, int64_t units, zs_call* call,
                      const Progress& progress,
                      const std::function<ColumnsPlace(int64_t unit, ColumnsTask& task, Fade* fades)>& place) {
  std::vector<DeviceSums> together;
  for (int64_t done = 0; done < units; done += static_cast<int64_t>(together.size())) {
    check_abort(call);
    together.clear();
    for (int64_t unit = done, products = 0; unit < units && products < kLaunchProducts; ++unit) {
      ColumnsTask task{};
      Fade fades[kMostFades];
      task.fade_count = 1;
      const ColumnsPlace at = place(unit, task, fades);
      int64_t first = to;
      for (int32_t f = 0; f < task.fade_count; ++f) first = std::min(first, fades[f].from);
      products += std::max<int64_t>(to - std::max(first, task.first), 0) * group * d * kChunk;
      together.push_back({at.head, at.chunk, task.first, task.causal, {fades, fades + task.fade_count}});
    }
    try {
      there.sum(together, group, to);
    } catch (const Error& e) {
      if (e.status != ZS_OUT_OF_MEMORY) throw;
      return done;
    }
    progress.more(static_cast<int64_t>(together.size()));
  }
  return units;
}

}  // namespace zs
