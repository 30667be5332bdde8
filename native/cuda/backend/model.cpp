#include "cuda/backend/model.h"

#include <algorithm>
#include <utility>

#include "cuda/backend/pass.h"
#include "cuda/rows.h"

namespace zs::cuda {
GpuModel::GpuModel(std::shared_ptr<Context> context, const DeviceModelShape& shape)
    : context_(std::move(context)),
      shape_(shape),
      layers_(static_cast<size_t>(shape.layers)),
      whole_(context_, shape.layers),
      lists_(static_cast<size_t>(shape.layers) + 1),
      recording_(context_->recording, std::defer_lock) {
  last_lists_.reserve(lists_.size());  // what is known of a token is kept once it is done
  graph_lists_.reserve(lists_.size());
}

void* GpuModel::upload(const void* place, const void* from, int64_t bytes) {
  context_->here();
  if (!place) weights_.push_back(context_->pool->take(bytes)), place = weights_.back().get();
  gpu::upload(const_cast<void*>(place), from, static_cast<size_t>(bytes), context_->stream);
  must(gpu::wait(context_->stream));
  return const_cast<void*>(place);
}

void GpuModel::load(DevicePart part, int32_t layer, int64_t outputs, int64_t k, const void* rows) {
  Layer& to = layers_[static_cast<size_t>(layer)];
  Matrix* const places[] = {&embedding_, &output_, &to.qkv, &to.attention_output, &to.gate_up, &to.down};
  Matrix& place = *places[static_cast<int>(part)];
  place = {place.data, shape_.storage, outputs, k};
  place.data = upload(place.data, rows, place.bytes());
}

void GpuModel::load(DeviceNorm norm, int32_t layer, const float* weights) {
  Layer& to = layers_[static_cast<size_t>(layer)];
  float** const places[] = {&output_norm_, &to.attention_norm, &to.feed_forward_norm};
  float*& place = *places[static_cast<int>(norm)];
  place = static_cast<float*>(upload(place, weights, 4 * int64_t{shape_.hidden}));
}

// What pads rows is never written, and must be zero.
Memory GpuModel::cleared(int64_t floats) {
  Memory memory = context_->pool->take(4 * floats);
  gpu::clear(memory.get(), static_cast<size_t>(4 * floats), context_->stream);
  return memory;
}

void GpuModel::loaded() {
  context_->here();
  const Layer& one = layers_[0];
  in_here_.resize(static_cast<size_t>(in(nullptr).bytes));
  out_here_.resize(static_cast<size_t>(out(nullptr).bytes));
  taken_here_.resize(static_cast<size_t>(shape_.layers * taken_floats()));
  in_ = context_->pool->take(static_cast<int64_t>(in_here_.size()));
  out_ = context_->pool->take(static_cast<int64_t>(out_here_.size()));
  taken_ = cleared(shape_.layers * taken_floats());
  input_ = cleared(std::max({one.qkv.k, one.gate_up.k, output().k}));
  active_ = cleared(one.down.k);
  must(gpu::wait(context_->stream));
}

// The mail begins with layers' parts, each as GpuLayer cuts it.
GpuModel::In GpuModel::in(char* memory) const {
  Cutter cut(memory);
  In made{};
  cut.leave_each<AppendTask>(shape_.layers, shape_.kv_heads);
  made.id = cut.take<int32_t>(1);
  made.position = cut.take<int32_t>(1);
  made.angles = cut.take<float>(int64_t{2} * shape_.pairs);
  made.bytes = cut.bytes();
  return made;
}

GpuModel::Out GpuModel::out(char* memory) const {
  Cutter cut(memory);
  Out made{};
  cut.leave_each<Found>(shape_.layers, shape_.kv_heads);
  made.residual = cut.take<float>(layers_[0].qkv.k);
  made.logits = cut.take<float>(output().outputs);
  made.bytes = cut.bytes();
  return made;
}

Mail GpuModel::mail(int32_t layer) {
  const auto part = [&](char* memory, int64_t bytes) { return memory + layer * round_up(bytes, kAlign); };
  const int64_t in_bytes = shape_.kv_heads * static_cast<int64_t>(sizeof(AppendTask)),
                out_bytes = shape_.kv_heads * static_cast<int64_t>(sizeof(Found));
  return {part(in_here_.data(), in_bytes), part(as<char>(in_), in_bytes), part(out_here_.data(), out_bytes),
          part(as<char>(out_), out_bytes)};
}

DeviceRows GpuModel::rows(int32_t layer) {
  float* const from = as<float>(taken_) + layer * taken_floats();
  const int64_t d = shape_.d;
  const auto view = [&](int64_t head) { return zs_view{from + head * d, d, d}; };
  return {view(0), view(shape_.heads), view(shape_.heads + shape_.kv_heads), {from + projected(), d, d}, this, layer};
}

float* GpuModel::choice(int64_t slots) {
  if (slots > choice_slots_) {
    Memory more = context_->pool->take(4 * slots);
    choice_ = std::move(more);
    choice_slots_ = slots;
  }
  return as<float>(choice_);
}

void GpuModel::will_launch(int32_t layer, int64_t lists, const std::vector<UpkeepTask>& tasks, int32_t chunks) {
  lists_[static_cast<size_t>(layer)] = lists;
  choosing_chunks_ = chunks;
  if (!chunks) return;
  tasks_here_.resize(layers_.size() * tasks.size());
  std::copy(tasks.begin(), tasks.end(), tasks_here_.begin() + static_cast<std::ptrdiff_t>(layer * tasks.size()));
  if (!choosing_) choosing_ = context_->pool->take(choosing(nullptr).bytes);
}

GpuModel::Choosing GpuModel::choosing(char* memory) const {
  Cutter cut(memory);
  Choosing made{};
  made.task = cut.take<ChoiceTask>(1);
  made.heads = cut.take<UpkeepTask>(int64_t{shape_.layers} * shape_.kv_heads);
  made.bytes = cut.bytes();
  return made;
}

void GpuModel::begin(int32_t id, const float* angles, bool logits) {
  context_->here();
  const In here = in(in_here_.data());
  *here.id = id;
  *here.position = 0;
  std::copy_n(angles, int64_t{2} * shape_.pairs, here.angles);
  gpu::upload(as<char>(in_), in_here_.data(), in_here_.size(), context_->stream);
  lists_.back() = logits;
  launches_ = Launches::kNone;
  at_once_ = prepare_whole();
  if (!choosing_chunks_ || choosing_lists_ == lists_) return;
  const Choosing there = choosing(as<char>(choosing_));
  choice_task_ = {there.heads, static_cast<int32_t>(tasks_here_.size()), as<float>(choice_)};
  gpu::upload(there.task, &choice_task_, sizeof choice_task_, context_->stream);
  gpu::upload(there.heads, tasks_here_.data(), tasks_here_.size() * sizeof(UpkeepTask), context_->stream);
  choosing_lists_ = lists_;
}

void GpuModel::choose() {
  if (!choosing_chunks_) return;
  must(sum_scores(choosing(as<char>(choosing_)).task, 1, choosing_chunks_, context_->stream));
}

bool GpuModel::launches() {
  const gpu::Stream stream = context_->stream;
  if (std::exchange(at_once_, false) && whole_.launch()) return false;
  switch (std::exchange(launches_, Launches::kMade)) {
    case Launches::kMade:
      last_lists_ = lists_;
      return false;
    case Launches::kRecorded: {
      can_record_ = graph_.end(stream).empty();
      recording_.unlock();
      if (!can_record_) return true;
      graph_lists_ = lists_;
      break;
    }
    case Launches::kNone:
      if (graph_ && graph_lists_ == lists_) break;
      if (!can_record_ || last_lists_ != lists_) return true;
      graph_lists_.clear();
      recording_.lock();
      can_record_ = graph_.begin(stream).empty();
      if (can_record_)
        launches_ = Launches::kRecorded;
      else
        recording_.unlock();
      return true;
  }
  can_record_ = graph_.launch(stream).empty();
  if (can_record_) return false;
  graph_.clear();  // it may lack memory: nothing of it was done
  return true;
}

void GpuModel::abandon() {
  if (launches_ == Launches::kRecorded) graph_.end(context_->stream), recording_.unlock();
  graph_.clear();
  launches_ = Launches::kNone;
  at_once_ = false;
  whole_.forget();
}

void GpuModel::norm(const float* weights, const Matrix& w) {
  const RmsNorm norm{residual(), layers_[0].qkv.k, weights, shape_.hidden, shape_.norm_eps, ZS_F32, input_.get(), w.k};
  must(rms_norm(norm, 1, context_->stream));
}

void GpuModel::multiply(const Matrix& w, const float* x, Then then, float* y, int64_t y_stride) {
  must(products_.multiply({w, x, 1, then, y, y_stride}, context_->stream));
}

void GpuModel::embed() {
  const Embed embed{in(as<char>(in_)).id, embedding_.data, embedding_.k,    shape_.storage,
                    shape_.hidden,        residual(),      layers_[0].qkv.k};
  must(cuda::embed(embed, 1, context_->stream));
}

void GpuModel::project(int32_t layer) {
  const Layer& w = layers_[static_cast<size_t>(layer)];
  float* const to = rows(layer).q.data;
  norm(w.attention_norm, w.qkv);
  multiply(w.qkv, as<float>(input_), Then::kStore, to, w.qkv.outputs);
  const In given = in(as<char>(in_));
  const Rotate rotate{to,           w.qkv.outputs, shape_.heads + shape_.kv_heads, shape_.d, shape_.pairs,
                      given.angles, given.position};
  must(cuda::rotate(rotate, 1, context_->stream));
}

void GpuModel::feed_forward(int32_t layer) {
  const Layer& w = layers_[static_cast<size_t>(layer)];
  multiply(w.attention_output, rows(layer).out.data, Then::kAdd, residual(), layers_[0].qkv.k);
  norm(w.feed_forward_norm, w.gate_up);
  multiply(w.gate_up, as<float>(input_), Then::kActivate, as<float>(active_), w.down.k);
  multiply(w.down, as<float>(active_), Then::kAdd, residual(), layers_[0].qkv.k);
}

void GpuModel::head() {
  norm(output_norm_, output());
  multiply(output(), as<float>(input_), Then::kStore, out(as<char>(out_)).logits, output().outputs);
}

bool GpuModel::end(float* logits) {
  context_->here();
  const Out here = out(out_here_.data());
  const char* const to = reinterpret_cast<const char*>(lists_.back() ? here.logits + output().outputs : here.logits);
  gpu::download(out_here_.data(), as<char>(out_), static_cast<size_t>(to - out_here_.data()), context_->stream);
  must(gpu::wait(context_->stream));
  if (logits) std::copy_n(here.logits, output().outputs, logits);
  return std::all_of(here.residual, here.residual + shape_.hidden, [](float x) { return x - x == 0; });
}

void GpuModel::take() {
  gpu::download(taken_here_.data(), taken_.get(), taken_here_.size() * sizeof(float), context_->stream);
  must(gpu::wait(context_->stream));
}

DeviceTaken GpuModel::taken(int32_t layer) {
  float* const from = taken_here_.data() + layer * taken_floats();
  return {from, from + projected()};
}

std::unique_ptr<DevicePass> GpuModel::pass(int64_t tokens, int64_t chunk) {
  context_->here();  // a library that begins now begins on this device
  return std::make_unique<GpuPass>(*this, tokens, chunk);
}

}  // namespace zs::cuda
