#include "core/compress_on_device.h"

#include <algorithm>

#include "core/device_compress.h"

namespace zs {
namespace {

bool compresses(const zs_cache& cache, const Layer& layer, DeviceRule& rule) {
  if (!cache.on_device || cache.by_model()) return false;
  if (!cache.policy->hooks->device || !cache.policy->hooks->device(*cache.policy, rule) || !rule.compresses)
    return false;
  return std::all_of(layer.heads.begin(), layer.heads.end(), [](const Head& head) {
    return head.segments.size() == 1 && head.plain() && head.pinned.empty() && head.open().pages.have_gone();
  });
}

std::vector<KeyChunk> chunks_there(const Pages& pages) {
  std::vector<KeyChunk> chunks;
  for (int32_t c = 0; c < pages.chunks(); ++c) chunks.push_back(pages.twin_chunk(c, nullptr));
  return chunks;
}

}  // namespace

std::vector<Compressed> compress_on_device(zs_cache& cache, const Layer& layer, const float* choice, zs_call* call) {
  DeviceCompressionShape shape{};
  if (!compresses(cache, layer, shape.rule)) return {};
  shape.storage = cache.config.storage;
  shape.d = cache.config.head_dim;
  shape.by_age = !cache.needs.scores && !hook(*cache.policy, &PolicyHooks::score);
  shape.between = [call] { check_abort(call); };
  Device& device = *cache.engine->device;
  const auto blank = [&](const Page& page, const Geometry& geometry) { return device.blank_twin(page, geometry); };
  std::vector<Compressed> made(layer.heads.size());
  std::vector<DeviceCompression> heads;
  try {
    for (size_t g = 0; g < made.size(); ++g) {
      const Segment& prompt = layer.heads[g].open();
      const zs_resolved& sizes = layer.heads[g].sizes;
      if (prompt.slots() <= sizes.budget) continue;
      Compressed& to = made[g];
      to.open = Pages(cache.geometry());
      to.open.reserve(sizes.budget - sizes.residual + 1);  // the next token's, too
      to.open.resize(sizes.budget - sizes.residual);
      to.open.go(blank);
      if (sizes.residual) {
        to.merged = Pages(Geometry{shape.d, ZS_F32});
        to.merged.fix(sizes.residual);
        to.merged.go(blank);
      }
      const float* const scores = prompt.scores.data();
      heads.push_back({chunks_there(prompt.pages), chunks_there(to.open), chunks_there(to.merged), prompt.slots(),
                       sizes, scores, choice ? choice : scores, &to});
    }
    if (heads.empty()) return {};
    device.compress(shape, heads);
  } catch (const Error& e) {
    if (e.status != ZS_OUT_OF_MEMORY) throw;
    return {};
  }
  for (Compressed& one : made) one.open.leave(0), one.merged.leave(0);
  return made;
}

}  // namespace zs
