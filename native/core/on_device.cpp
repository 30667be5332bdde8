#include "core/on_device.h"

#include <algorithm>
#include <cmath>

#include "core/device.h"
#include "core/work.h"

namespace zs {

OnDevice::OnDevice() = default;
OnDevice::~OnDevice() = default;
OnDevice::OnDevice(OnDevice&&) noexcept = default;
OnDevice& OnDevice::operator=(OnDevice&&) noexcept = default;
OnDevice::OnDevice(const OnDevice& other) {
  if (other.away)
    fail(ZS_INTERNAL, "a layer is copied while its scores are on a device: please report what you called");
}
OnDevice& OnDevice::operator=(const OnDevice& other) { return *this = OnDevice(other); }

namespace {

// The rule of the cache's policy; false: it has none.
bool rule_of(const zs_cache& cache, DeviceRule& rule) {
  return cache.policy->hooks->device && cache.policy->hooks->device(*cache.policy, rule);
}

// Nobody leaves, or one who can be found on the device does.
bool settles(const zs_cache& cache, const Head& head) {
  if (!acts_always(cache)) return true;
  const int32_t slots = head.slots();
  if (!head.compressed) return slots < head.sizes.budget;
  return slots == head.sizes.budget && head.missing == 0;
}

// Another after any change: a list of pages that changes has a number above all former ones.
uint64_t version_of(const Head& head) {
  uint64_t version = 0;
  for (const Segment& segment : head.segments) version = std::max(version, segment.pages.version());
  return version;
}

// Slots that the open segment may come to have before `write` is due again.
int32_t room_for(const zs_cache& cache, const Head& head) {
  const int32_t slots = head.open().slots();
  if (head.sizes.budget && acts_always(cache)) return head.sizes.budget - (head.slots() - slots) + 1;
  return static_cast<int32_t>(round_up(slots + slots / 4, kChunk));
}

DeviceShape shape_of(const zs_cache& cache) {
  const Needs& needs = cache.needs;
  DeviceShape shape{};
  if (!rule_of(cache, shape.rule)) fail(ZS_INTERNAL, "a cache without a rule for devices is on one");
  shape.group = cache.group();
  shape.d = cache.config.head_dim;
  shape.storage = cache.config.storage;
  shape.scale = cache.scale();
  shape.scores = needs.scores && needs.upkeep;
  shape.by_age = !needs.scores && !hook(*cache.policy, &PolicyHooks::score);
  shape.told = kTape && cache.config.trace;
  const int32_t layers = cache.by_model() ? cache.config.layers : 1;
  if (needs.granularity != ZS_PER_HEAD && layers * cache.config.kv_heads > 1 && !shape.by_age)
    shape.choice = cache.by_model() ? DeviceChoice::kModel : DeviceChoice::kLayer;
  shape.decay = needs.decay;
  return shape;
}

// Pages and books of a head on the device, and what the step is to know of it.
void prepare(zs_cache& cache, Layer& layer, size_t g, const DeviceRule& rule) {
  OnDevice& device = layer.device;
  Head& head = layer.heads[g];
  DeviceHead& to = device.heads[g];
  const auto twin = [&](const Page& page, const Geometry& geometry) {
    return cache.engine->device->twin(page, geometry);
  };
  for (Segment& segment : head.segments) segment.pages.go(twin);
  const Segment& open = head.open();
  const uint64_t version = version_of(head);
  to.merged = head.first_open();
  to.changed = device.versions[g] != version || to.slots == 0 || to.chunks.size() != static_cast<size_t>(head.chunks());
  device.versions[g] = version;
  to.slots = open.slots();
  if (to.changed) {
    to.chunks.clear();
    for (const Segment& segment : head.segments)
      for (int32_t c = 0; c < segment.chunks(); ++c) to.chunks.push_back(segment.pages.twin_chunk(c, nullptr));
  }
  to.position = open.positions[static_cast<size_t>(to.slots - 1)];
  to.pinned = &head.pinned;
  to.leaving = to.ring = {0, 0};
  if (!acts_always(cache) || head.slots() <= head.sizes.budget) return;
  to.leaving = rule.candidates(head);
  to.ring = rule.ring(head);
}

// The device's part of a step is done: what it found, in the books.
void enter_found(zs_cache& cache, int32_t index, Layer& layer, size_t g, const Found& found) {
  Head& head = layer.heads[g];
  Segment& open = head.open();
  const int32_t last = open.slots() - 1;
  open.scores[static_cast<size_t>(last)] = found.newest;
  if (found.leaving >= 0) {
    open.scores[static_cast<size_t>(found.leaving)] = found.score;
    if (head.ring >= 0) open.scores[static_cast<size_t>(head.ring - head.first_open())] = found.leaver;
    if (found.target >= 0) head.segments[0].scores[static_cast<size_t>(found.target)] = found.target_score;
  }
  head.read = 0;
  HeadWork work = work_on(cache, head, index, static_cast<int32_t>(g), 0, layer.step_of(0), &cache.notes[g]);
  work.found = &found;
  enter(cache, &work, 1);
}

}  // namespace

void check_on_device(const zs_cache& cache) {
  DeviceRule rule;
  const char* const name = cache.policy->hooks->name;
  if (!rule_of(cache, rule))
    fail(ZS_UNSUPPORTED, "%s does not run on a device yet: make the cache on an engine without one (device 'cpu')",
         name);
  if (cache.needs.rotates)
    fail(ZS_UNSUPPORTED,
         "%s as it is set keeps keys before rotation, which no device does yet: take another setting, or an engine "
         "without a device (device 'cpu')",
         name);
  const std::string refusal = cache.engine->device->refusal(cache.group(), cache.config.head_dim, cache.config.storage);
  if (!refusal.empty()) fail(ZS_UNSUPPORTED, "%s", refusal.c_str());
}

bool steps_on_device(const zs_cache& cache, const Layer& layer, bool whole) {
  if (!cache.on_device || layer.reading || !layer.waiting.empty()) return false;
  if (cache.by_model() && !whole) return false;  // who leaves depends on layers that the token has not come to
  if (cache.scores) return false;                // probabilities of slots are wanted
  return std::all_of(layer.heads.begin(), layer.heads.end(), [&](const Head& head) { return settles(cache, head); });
}

void forget_on_device(Layer& layer) {
  for (Head& head : layer.heads) head.remove_last(true);
  layer.device.versions.assign(layer.heads.size(), 0);
  layer.device.there = layer.device.away;
}

namespace {

// Bytes on the device of what all heads hold there.
int64_t bytes_there(const zs_cache& cache) {
  int64_t bytes = 0;
  for (const Layer& layer : cache.layers)
    for (const Head& head : layer.heads)
      for (const Segment& segment : head.segments) bytes += segment.pages.twin_bytes();
  return bytes;
}

// Slots of each kv head for which the device has room, with a tenth of it for what steps work in.
int64_t fitting_budget(const zs_cache& cache) {
  constexpr int64_t kBooks = 16;  // of a slot: score, position, weight, bias
  const int64_t heads = int64_t{cache.config.layers} * cache.config.kv_heads,
                slot = cache.geometry().slot_bytes() + kBooks;
  return (cache.engine->device->left() + bytes_there(cache)) / 10 * 9 / (heads * slot);
}

void prepare_layer(zs_cache& cache, int32_t index, Layer& layer, const DeviceRows& rows) {
  OnDevice& device = layer.device;
  const size_t kv_heads = layer.heads.size();
  const DeviceShape shape = shape_of(cache);
  if (!device.held) {
    device.held = cache.engine->device->layer(static_cast<int32_t>(kv_heads));
    device.heads.assign(kv_heads, DeviceHead{});
    device.found.assign(kv_heads, Found{});
    device.versions.assign(kv_heads, 0);
    device.room.assign(kv_heads, 0);
    device.there = false;
  }
  for (size_t g = 0; g < kv_heads; ++g) {
    Head& head = layer.heads[g];
    if (device.there && head.open().slots() + 1 <= device.room[g]) continue;
    if (device.away) device.held->read(static_cast<int32_t>(g), head);
    const int32_t room = room_for(cache, head);
    device.held->write(static_cast<int32_t>(g), head, room);
    device.room[g] = room;
    device.heads[g].slots = 0;  // its lists are made again
  }
  device.there = true;
  const bool given = cache.needs.upkeep && hook(*cache.policy, &PolicyHooks::score);
  for (Head& head : layer.heads) head.append_books(static_cast<int32_t>(layer.seq_len));
  try {
    for (size_t g = 0; g < kv_heads; ++g) {
      Head& head = layer.heads[g];
      HeadWork work = work_on(cache, head, index, static_cast<int32_t>(g), 0, layer.step_of(0), nullptr);
      score_newest(cache, work);
      device.heads[g].given = given ? head.open().scores[static_cast<size_t>(head.open().slots() - 1)] : kNone;
      prepare(cache, layer, g, shape.rule);
    }
    device.held->prepare(shape, device.heads, rows);
  } catch (...) {
    forget_on_device(layer);
    throw;
  }
}

}  // namespace

void prepare_on_device(zs_cache& cache, int32_t index, Layer& layer, const DeviceRows& rows) {
  try {
    prepare_layer(cache, index, layer, rows);
  } catch (const Error& wrong) {
    if (wrong.status != ZS_OUT_OF_MEMORY) throw;
    fail(ZS_OUT_OF_MEMORY, "%s; here a budget of about %lld slots a kv head fits", wrong.message.c_str(),
         static_cast<long long>(fitting_budget(cache)));
  }
}

void prepare_anew(zs_cache& cache, Layer& layer, const DeviceRows& rows) {
  OnDevice& device = layer.device;
  if (!device.held->prepared()) device.held->prepare(shape_of(cache), device.heads, rows);
}

void finish_on_device(zs_cache& cache, int32_t index, Layer& layer, const DeviceRows& rows, zs_view q) {
  OnDevice& device = layer.device;
  device.held->finish(rows, device.found.data());
  device.away = true;
  for (size_t g = 0; g < layer.heads.size(); ++g) {
    Head& head = layer.heads[g];
    if (device.found[g].leaving >= 0) {
      for (Segment& segment : head.segments) segment.pages.leave(0);
    } else {
      head.open().pages.leave((head.open().slots() - 1) / kChunk);
    }
    enter_found(cache, index, layer, g, device.found[g]);
    device.heads[g].slots = head.open().slots();
  }
  for (int32_t h = 0; q.data && h < cache.config.heads && cache.bad.position < 0; ++h)
    if (!is_finite(q.data + h * q.head_stride, cache.config.head_dim))
      cache.bad = {index, h, static_cast<int32_t>(layer.seq_len)};
  layer.step = layer.step_of(0);
  ++layer.seq_len;
  ++layer.there;
  layer.kept.reset();
  layer.scores.commit();
}

void step_on_device(zs_cache& cache, int32_t index, Layer& layer, const DeviceRows& rows) {
  prepare_on_device(cache, index, layer, rows);
  try {
    layer.device.held->launch(rows);
    finish_on_device(cache, index, layer, rows, rows.q);
  } catch (...) {
    forget_on_device(layer);
    throw;
  }
}

namespace {

void read_scores(Layer& layer) {
  if (!layer.device.away) return;
  for (size_t g = 0; g < layer.heads.size(); ++g) layer.device.held->read(static_cast<int32_t>(g), layer.heads[g]);
  layer.device.away = false;
}

}  // namespace

void scores_home(const zs_cache& cache) {
  for (const Layer& layer : cache.layers) read_scores(const_cast<Layer&>(layer));  // the same scores, elsewhere
}

void books_home(Layer& layer) {
  read_scores(layer);
  layer.device.there = false;
}

}  // namespace zs
