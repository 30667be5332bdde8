#include "cuda/backend/layer.h"

#include <algorithm>

#include "cuda/backend/merge_shape.h"
#include "cuda/backend/model.h"

namespace zs::cuda {
namespace {

const Segment* merged_of(const Head& head) { return head.segments.size() > 1 ? &head.segments.front() : nullptr; }

// Heads side by side.
zs_view side_by_side(float* data, int64_t d) { return {data, d, d}; }

}  // namespace

GpuLayer::GpuLayer(std::shared_ptr<Context> context, int32_t kv_heads)
    : context_(std::move(context)), books_(static_cast<size_t>(kv_heads)) {}

void GpuLayer::write(int32_t kv_head, const Head& head, int32_t room) {
  context_->here();
  Books& to = books_[static_cast<size_t>(kv_head)];
  const Segment* const merged = merged_of(head);
  const Segment& open = head.open();
  const int32_t merged_slots = merged ? merged->slots() : 0, slots = open.slots();
  const int64_t whole = round_up(merged_slots, kLane);
  if (merged_slots != to.merged || room > to.room || !to.memory) {
    Books made;
    const auto cut = [&](char* memory) {
      Cutter cutter(memory);
      made.merged_scores = cutter.take<float>(whole);
      made.weights = cutter.take<float>(whole);
      made.bias = cutter.take<float>(whole);
      made.scores = cutter.take<float>(round_up(room, kLane));
      made.positions = cutter.take<int32_t>(room);
      made.ring = cutter.take<int32_t>(1);
      return cutter.bytes();
    };
    // What is there stays until there is more: it may be all that knows the scores.
    made.memory = context_->pool->take(cut(nullptr));
    cut(as<char>(made.memory));
    made.merged = merged_slots;
    made.room = room;
    to = std::move(made);
  }
  const gpu::Stream stream = context_->stream;
  const auto put = [&](void* device, const void* host, int64_t count) {
    if (count) gpu::upload(device, host, static_cast<size_t>(4 * count), stream);
  };
  if (merged) {
    put(to.merged_scores, merged->scores.data(), whole);
    put(to.weights, merged->weights.data(), whole);
    put(to.bias, merged->bias.data(), whole);
  }
  put(to.scores, open.scores.data(), slots);
  put(to.positions, open.positions.data(), slots);
  put(to.ring, &head.ring, 1);
}

void GpuLayer::read(int32_t kv_head, Head& head) const {
  const std::lock_guard<std::mutex> lock(context_->recording);
  context_->here();
  const Books& from = books_[static_cast<size_t>(kv_head)];
  const auto get = [&](Segment& segment, const float* scores) {
    if (segment.slots())
      gpu::download(segment.scores.data(), scores, static_cast<size_t>(4 * segment.slots()), context_->stream);
  };
  if (from.merged) get(head.segments.front(), from.merged_scores);
  get(head.open(), from.scores);
  must(gpu::wait(context_->stream));
}

bool GpuLayer::same_lists(const std::vector<DeviceHead>& heads, const DeviceRows& views, const Found* found,
                          const float* choice) const {
  if (!prepared() || q_ != views.q.data || attended_ != views.out.data || found_ != found || choice_ != choice)
    return false;
  for (size_t g = 0; g < heads.size(); ++g)
    if (heads[g].changed || books_[g].leaves != (heads[g].leaving.from < heads[g].leaving.to) ||
        books_[g].pinned != *heads[g].pinned)
      return false;
  return true;
}

void GpuLayer::pin(Books& books, const std::vector<int32_t>& pinned) {
  if (books.pinned == pinned) return;
  books.pins = pinned.empty() ? nullptr : context_->pool->take(static_cast<int64_t>(4 * pinned.size()));
  if (!pinned.empty()) gpu::upload(books.pins.get(), pinned.data(), 4 * pinned.size(), context_->stream);
  books.pinned = pinned;
}

GpuLayer::Given GpuLayer::given(bool rows, char* memory) const {
  const int64_t kv_heads = static_cast<int64_t>(books_.size()), floats = rows ? kv_heads * shape_.d : 0;
  Cutter cut(memory);
  Given made{};
  made.appends = cut.take<AppendTask>(kv_heads);
  made.q = cut.take<float>(floats * shape_.group);
  made.k = cut.take<float>(floats);
  made.v = cut.take<float>(floats);
  made.bytes = cut.bytes();
  return made;
}

GpuLayer::Results GpuLayer::results(bool rows, char* memory) const {
  const int64_t kv_heads = static_cast<int64_t>(books_.size());
  Cutter cut(memory);
  Results made{};
  made.found = cut.take<Found>(kv_heads);
  made.out = cut.take<float>(rows ? kv_heads * shape_.group * shape_.d : 0);
  made.bytes = cut.bytes();
  return made;
}

Mail GpuLayer::mail_of(const DeviceRows& rows) {
  if (rows.model) return static_cast<GpuModel*>(rows.model)->mail(rows.layer);
  return {in_here_.data(), as<char>(in_), out_here_.data(), as<char>(out_)};
}

DeviceRows GpuLayer::there(const DeviceRows& rows) const {
  if (rows.model) return rows;
  const Given in = given(true, as<char>(in_));
  const Results out = results(true, as<char>(out_));
  return {side_by_side(in.q, shape_.d), side_by_side(in.k, shape_.d), side_by_side(in.v, shape_.d),
          side_by_side(out.out, shape_.d)};
}

void GpuLayer::build(const std::vector<DeviceHead>& heads, const DeviceRows& views, Found* found, float* choice) {
  lists_.reset();
  q_ = views.q.data;
  attended_ = views.out.data;
  found_ = found;
  choice_ = choice;
  lists_number_ = ++context_->lists;
  const size_t kv_heads = heads.size();
  start_.assign(1, 0);
  merged_.clear();
  for (size_t g = 0; g < kv_heads; ++g) {
    pin(books_[g], *heads[g].pinned);
    start_.push_back(start_.back() + static_cast<int32_t>(heads[g].chunks.size()));
    merged_.push_back(static_cast<int32_t>(round_up(heads[g].merged, kChunk) / kChunk));
  }
  const int64_t count = start_.back(), group = shape_.group, padded = round_up(shape_.d, kLane);
  float* const e = context_->work.need(count * group * (kChunk + 3 + padded));
  work_version_ = context_->work.version();
  float *const highest = e + count * group * kChunk, *const sum = highest + count * group,
               *const factor = sum + count * group, *const partial = factor + count * group;

  // Merged slots are float32 whatever the rest is: their tasks come first, for a launch of their own.
  const bool apart = shape_.storage != ZS_F32;
  apart_ = 0;
  decode_place_.assign(static_cast<size_t>(count), 0);
  if (apart)
    for (size_t g = 0; g < kv_heads; ++g)
      for (int32_t c = 0; c < merged_[g]; ++c) decode_place_[static_cast<size_t>(start_[g] + c)] = apart_++;
  int32_t next = apart_;
  for (size_t g = 0; g < kv_heads; ++g)
    for (int32_t i = start_[g] + (apart ? merged_[g] : 0); i < start_[g + 1]; ++i)
      decode_place_[static_cast<size_t>(i)] = next++;

  const bool by_layer = shape_.choice == DeviceChoice::kLayer;
  const auto cut = [&](char* memory) {
    Cutter cutter(memory);
    decode_ = cutter.take<DecodeTask>(count);
    upkeep_chunks_ = cutter.take<UpkeepChunk>(count);
    upkeep_ = cutter.take<UpkeepTask>(static_cast<int64_t>(kv_heads));
    choosing_ = by_layer ? cutter.take<ChoiceTask>(1) : nullptr;
    if (by_layer) choice = cutter.take<float>(int64_t{kChunk} * open_chunks());
    return cutter.bytes();
  };
  lists_ = context_->pool->take(cut(nullptr));
  cut(as<char>(lists_));

  std::vector<DecodeTask> decode(static_cast<size_t>(count));
  std::vector<UpkeepChunk> upkeep_chunks(static_cast<size_t>(count));
  tasks_.assign(kv_heads, {});
  for (size_t g = 0; g < kv_heads; ++g) {
    Books& books = books_[g];
    const DeviceHead& head = heads[g];
    for (int32_t i = start_[g]; i < start_[g + 1]; ++i) {
      const int32_t own = i - start_[g];
      const bool merged = own < merged_[g];
      const int64_t first = merged ? own * kChunk : (own - merged_[g]) * kChunk;
      KeyChunk chunk = head.chunks[static_cast<size_t>(own)];
      chunk.slots = static_cast<int32_t>(std::min<int64_t>(kChunk, (merged ? head.merged : head.slots) - first));
      if (merged) chunk.bias = books.bias + first;
      DecodeTask& task = decode[static_cast<size_t>(decode_place_[static_cast<size_t>(i)])];
      task.chunk = chunk;
      task.q = views.q.data + static_cast<int64_t>(g) * group * views.q.head_stride;
      task.q_stride = views.q.head_stride;
      task.group = shape_.group;
      task.d = shape_.d;
      task.scale = shape_.scale;
      task.e = e + i * group * kChunk;
      task.e_stride = kChunk;
      task.highest = highest + i * group;
      task.sum = sum + i * group;
      task.out = partial + i * group * padded;
      UpkeepChunk& kept_chunk = upkeep_chunks[static_cast<size_t>(i)];
      kept_chunk.chunk = chunk;
      kept_chunk.e = task.e;
      kept_chunk.e_stride = kChunk;
      kept_chunk.score = (merged ? books.merged_scores : books.scores) + first;
    }
    const int32_t from = start_[g];
    books.leaves = head.leaving.from < head.leaving.to;
    UpkeepTask& task = tasks_[g];
    const int64_t head_of_group = static_cast<int64_t>(g) * group;
    task.attention = {highest + from * group,
                      sum + from * group,
                      partial + from * group * padded,
                      start_[g + 1] - from,
                      factor + from * group,
                      views.out.data + head_of_group * views.out.head_stride,
                      views.out.head_stride,
                      views.q.data + head_of_group * views.q.head_stride,
                      views.q.head_stride};
    task.chunks = upkeep_chunks_ + from;
    task.merged = merged_[g];
    task.from = head.merged + head.leaving.from;
    task.to = head.merged + head.leaving.to;
    task.weights = books.weights;
    task.bias = books.bias;
    task.positions = books.positions;
    task.ring = head.ring.from < head.ring.to ? books.ring : nullptr;
    task.ring_first = head.ring.from;
    task.ring_end = head.ring.to;
    task.pins = as<int32_t>(books.pins);
    task.pin_count = static_cast<int32_t>(books.pinned.size());
    task.choice = choice;
    task.last = decode_ + decode_place_[static_cast<size_t>(start_[g + 1] - 1)];
    task.found = found + g;
  }
  const auto put = [&](auto* device, const auto& list) {
    gpu::upload(device, list.data(), list.size() * sizeof(list[0]), context_->stream);
  };
  put(decode_, decode);
  put(upkeep_chunks_, upkeep_chunks);
  put(upkeep_, tasks_);
  if (choosing_) put(choosing_, std::vector<ChoiceTask>{{upkeep_, static_cast<int32_t>(kv_heads), choice}});
  must(gpu::wait(context_->stream));  // the lists go with this call
}

AppendTask GpuLayer::append_of(const DeviceHead& head, size_t g) const {
  const int32_t last = start_[g + 1] - 1, slot = (head.slots - 1) % kChunk;
  const KeyChunk& chunk = head.chunks.back();
  AppendTask task{};
  task.keys = const_cast<void*>(chunk.keys);
  task.values = const_cast<void*>(chunk.values);
  task.slot = slot;
  task.score = books_[g].scores + head.slots - 1;
  task.position = books_[g].positions + head.slots - 1;
  task.counts[0] = &decode_[decode_place_[static_cast<size_t>(last)]].chunk.slots;
  task.counts[1] = &upkeep_chunks_[last].chunk.slots;
  task.given = head.given == head.given ? head.given : 0;
  task.at = head.position;
  return task;
}

void GpuLayer::prepare(const DeviceShape& shape, const std::vector<DeviceHead>& heads, const DeviceRows& rows) {
  context_->here();
  const bool own = !rows.model, same_shape = shape == shape_;
  shape_ = shape;
  if (own && !out_) {
    in_here_.resize(static_cast<size_t>(given(true, nullptr).bytes));
    out_here_.resize(static_cast<size_t>(results(true, nullptr).bytes));
    in_ = context_->pool->take(static_cast<int64_t>(in_here_.size()));
    out_ = context_->pool->take(static_cast<int64_t>(out_here_.size()));
  }
  const Mail mail = mail_of(rows);
  const DeviceRows views = there(rows);
  Found* const found = results(own, mail.out).found;
  auto* const model = static_cast<GpuModel*>(rows.model);
  // Heads that choose together have as many slots.
  float* const choice =
      model && shape_.choice == DeviceChoice::kModel ? model->choice(round_up(heads[0].slots, kChunk)) : nullptr;
  if (!same_shape || !same_lists(heads, views, found, choice)) build(heads, views, found, choice);
  if (model) model->will_launch(rows.layer, lists_number_, tasks_, choice && books_[0].leaves ? open_chunks() : 0);
  if (model)
    model->whole().set(rows.layer, {shape_.choice == DeviceChoice::kOwn || !books_[0].leaves,
                                    given(own, mail.in).appends,
                                    {decode_, apart_, start_.back()},
                                    {upkeep_, static_cast<int32_t>(heads.size()), upkeep_shape(UpkeepPart::kAll)}});

  const Given here = given(own, mail.in_here);
  for (size_t g = 0; g < heads.size(); ++g) {
    here.appends[g] = append_of(heads[g], g);
    here.appends[g].key = views.k.data + static_cast<int64_t>(g) * views.k.head_stride;
    here.appends[g].value = views.v.data + static_cast<int64_t>(g) * views.v.head_stride;
  }
  if (!own) return;
  const auto gather = [&](const zs_view& view, int64_t count, float* to) {
    for (int64_t h = 0; h < count; ++h) std::copy_n(view.data + h * view.head_stride, shape_.d, to + h * shape_.d);
  };
  const int64_t kv_heads = static_cast<int64_t>(heads.size());
  gather(rows.q, kv_heads * shape_.group, here.q);
  gather(rows.k, kv_heads, here.k);
  gather(rows.v, kv_heads, here.v);
}

void GpuLayer::launch(const DeviceRows& rows) {
  context_->here();
  const gpu::Stream stream = context_->stream;
  const int32_t kv_heads = static_cast<int32_t>(books_.size());
  const bool own = !rows.model;
  const Mail mail = mail_of(rows);
  if (own) gpu::upload(mail.in, mail.in_here, in_here_.size(), stream);
  must(append(given(own, mail.in).appends, kv_heads, {shape_.storage, shape_.d}, stream));
  if (apart_) must(decode(decode_, apart_, {ZS_F32, false, shape_.group, shape_.d}, stream));
  must(decode(decode_ + apart_, start_.back() - apart_, {shape_.storage, false, shape_.group, shape_.d}, stream));
  if (shape_.choice == DeviceChoice::kOwn || !books_[0].leaves) return keep_up(UpkeepPart::kAll);
  keep_up(UpkeepPart::kScores);
  if (shape_.choice == DeviceChoice::kModel) return;
  must(sum_scores(choosing_, 1, open_chunks(), stream));
  keep_up(UpkeepPart::kLeaving);
}

void GpuLayer::leave() {
  if (shape_.choice == DeviceChoice::kModel && books_[0].leaves) keep_up(UpkeepPart::kLeaving);
}

UpkeepShape GpuLayer::upkeep_shape(UpkeepPart part) const {
  UpkeepShape how{};
  how.storage = shape_.storage;
  how.group = shape_.group;
  how.d = shape_.d;
  how.decay = shape_.decay;
  how.scores = shape_.scores;
  how.by_age = shape_.by_age;
  how.told = shape_.told;
  how.merging = merge_shape(shape_.rule);
  how.alpha = shape_.rule.alpha;
  how.part = part;
  return how;
}

void GpuLayer::keep_up(UpkeepPart part) {
  must(upkeep(upkeep_, static_cast<int32_t>(books_.size()), upkeep_shape(part), context_->stream));
}

void GpuLayer::finish(const DeviceRows& rows, Found* found) {
  const bool own = !rows.model;
  const Mail mail = mail_of(rows);
  if (own) {
    context_->here();
    gpu::download(mail.out_here, mail.out, out_here_.size(), context_->stream);
    must(gpu::wait(context_->stream));
  }
  const Results done = results(own, mail.out_here);
  const int64_t heads = own ? static_cast<int64_t>(books_.size()) * shape_.group : 0;
  for (int64_t h = 0; h < heads; ++h)
    std::copy_n(done.out + h * shape_.d, shape_.d, rows.out.data + h * rows.out.head_stride);
  std::copy_n(done.found, books_.size(), found);
}

}  // namespace zs::cuda
