#include "cuda/backend/pass.h"

#include <algorithm>
#include <numeric>

#include "cuda/rows.h"

namespace zs::cuda {

GpuPass::GpuPass(GpuModel& model, int64_t tokens, int64_t chunk)
    : model_(model),
      context_(*model.context_),
      one_(model.layers_[0]),
      stride_(one_.qkv.k),
      library_(chunk > kFewRows && model.products_.need_library().empty()) {
  context_.here();
  const int64_t part = std::min(chunk, most_rows()), pairs = model.shape_.pairs, few = kDeviceLogits;
  const Matrix& output = model.output();
  const int64_t inputs =
      std::max({part * std::max({one_.qkv.k, one_.attention_output.k, one_.gate_up.k}), few * output.k});
  active_bytes_ = 4 * part * one_.down.k;
  const auto cut = [&](char* memory) {
    Cutter cutter(memory);
    hidden_ = cutter.take<float>(tokens * stride_);
    ids_ = cutter.take<int32_t>(tokens);
    positions_ = cutter.take<int32_t>(tokens);
    angles_ = cutter.take<float>(tokens * pairs * 2);
    qkv_ = cutter.take<float>(part * one_.qkv.outputs);
    attended_ = cutter.take<float>(part * one_.attention_output.k);
    input_ = cutter.take<float>(inputs);
    active_ = cutter.take<char>(active_bytes_);
    scratch_ = cutter.take<float>(library_ ? part * one_.gate_up.outputs : 0);
    logits_ = cutter.take<float>(few * output.outputs);
    return cutter.bytes();
  };
  memory_ = context_.pool->take(cut(nullptr));
  cut(as<char>(memory_));
  gpu::clear(active_, static_cast<size_t>(active_bytes_), context_.stream);  // what pads rows is never written
  std::vector<int32_t> positions(static_cast<size_t>(tokens));
  std::iota(positions.begin(), positions.end(), 0);
  gpu::upload(positions_, positions.data(), positions.size() * sizeof(int32_t), context_.stream);
  must(gpu::wait(context_.stream));
  if (!library_) return;
  for (int64_t row = 0; row < tokens; row += chunk) {  // full chunks, then the last
    if (row && row + chunk < tokens) continue;
    each_part(std::min(chunk, tokens - row), [] {}, [&](const Part& one) { prepare(one.rows); });
  }
}

// Multiply-adds of a part are kLaunchProducts at most.
int64_t GpuPass::most_rows() const {
  const auto of = [](const Matrix& w) { return w.outputs * w.k; };
  const int64_t row = of(one_.qkv) + of(one_.attention_output) + of(one_.gate_up) + of(one_.down);
  return std::max(kLaunchProducts / row, int64_t{2} * kFewRows);
}

int32_t GpuPass::storage_of(int64_t rows) const {
  return library_ ? rows_storage(one_.qkv, static_cast<int32_t>(rows)) : ZS_F32;
}

// Parts are about equal, so that none has few rows where the chunk has many.
template <class F>
void GpuPass::each_part(int64_t count, const GoOn& go_on, F f) {
  const int64_t most = most_rows(), parts = (count + most - 1) / most, each = (count + parts - 1) / parts;
  for (int64_t at = 0; at < count; at += each) {
    go_on();
    const int64_t rows = std::min(each, count - at);
    f(Part{at, rows, storage_of(rows)});
    must(gpu::wait(context_.stream));
  }
}

// What the library needs for products of so many rows.
void GpuPass::prepare(int64_t rows) {
  if (rows <= kFewRows) return;
  const auto take = [&](size_t bytes) { return context_.pool->take(static_cast<int64_t>(bytes)); };
  const auto need = [&](const Matrix& w, Then then, int64_t y_stride) {
    must(model_.products_.prepare({w, nullptr, static_cast<int32_t>(rows), then, nullptr, y_stride, scratch_}, take));
  };
  need(one_.qkv, Then::kStore, one_.qkv.outputs);
  need(one_.attention_output, Then::kAdd, stride_);
  need(one_.gate_up, Then::kActivate, one_.down.k);
  need(one_.down, Then::kAdd, stride_);
}

void GpuPass::norm(const float* weights, const Matrix& w, int64_t row, int64_t rows, int32_t storage, int64_t to) {
  const RmsNorm norm{hidden(row),
                     stride_,
                     weights,
                     model_.shape_.hidden,
                     model_.shape_.norm_eps,
                     storage,
                     static_cast<float*>(input_) + to * w.k,
                     w.k};
  must(rms_norm(norm, static_cast<int32_t>(rows), context_.stream));
}

// Without a library kFewRows at a time.
void GpuPass::multiply(const Matrix& w, const void* x, const Part& part, Then then, void* y, int64_t y_stride) {
  const int64_t together = library_ ? part.rows : kFewRows;
  for (int64_t at = 0; at < part.rows; at += together) {
    const Product product{
        w,       static_cast<const float*>(x) + at * w.k, static_cast<int32_t>(std::min(together, part.rows - at)),
        then,    static_cast<float*>(y) + at * y_stride,  y_stride,
        scratch_};
    must(model_.products_.multiply(product, context_.stream));
  }
}

void GpuPass::embed(const int32_t* ids, int64_t tokens, const float* angles) {
  context_.here();
  const gpu::Stream stream = context_.stream;
  gpu::upload(ids_, ids, static_cast<size_t>(tokens) * sizeof(int32_t), stream);
  gpu::upload(angles_, angles, static_cast<size_t>(tokens * model_.shape_.pairs * 2) * sizeof(float), stream);
  const Matrix& from = model_.embedding_;
  const Embed embed{ids_, from.data, from.k, model_.shape_.storage, model_.shape_.hidden, hidden_, stride_};
  must(cuda::embed(embed, static_cast<int32_t>(tokens), stream));
  must(gpu::wait(stream));
}

void GpuPass::project(int32_t layer, int64_t row, int64_t count, float* qkv, const GoOn& go_on) {
  context_.here();
  const GpuModel::Layer& w = model_.layers_[static_cast<size_t>(layer)];
  const DeviceModelShape& shape = model_.shape_;
  const int64_t wide = w.qkv.outputs;
  each_part(count, go_on, [&](const Part& part) {
    norm(w.attention_norm, w.qkv, row + part.at, part.rows, part.storage);
    multiply(w.qkv, input_, part, Then::kStore, qkv_, wide);
    const Rotate rotate{qkv_,        wide,    shape.heads + shape.kv_heads, shape.d,
                        shape.pairs, angles_, positions_ + row + part.at};
    must(cuda::rotate(rotate, static_cast<int32_t>(part.rows), context_.stream));
    gpu::download(qkv + part.at * wide, qkv_, static_cast<size_t>(part.rows * wide) * sizeof(float), context_.stream);
  });
}

void GpuPass::feed_forward(int32_t layer, int64_t row, int64_t count, const float* attended, const GoOn& go_on) {
  context_.here();
  const GpuModel::Layer& w = model_.layers_[static_cast<size_t>(layer)];
  const int64_t wide = w.attention_output.k;
  each_part(count, go_on, [&](const Part& part) {
    const auto rows = static_cast<int32_t>(part.rows);
    gpu::upload(attended_, attended + part.at * wide, static_cast<size_t>(part.rows * wide) * sizeof(float),
                context_.stream);
    const void* x = attended_;
    if (part.storage != ZS_F32) {
      must(narrow({attended_, wide, static_cast<int32_t>(wide), part.storage, input_, wide}, rows, context_.stream));
      x = input_;
    }
    float* const to = hidden(row + part.at);
    multiply(w.attention_output, x, part, Then::kAdd, to, stride_);
    norm(w.feed_forward_norm, w.gate_up, row + part.at, part.rows, part.storage);
    // What pads rows of one storage is not zero in the other.
    if (active_storage_ != part.storage) gpu::clear(active_, static_cast<size_t>(active_bytes_), context_.stream);
    active_storage_ = part.storage;
    multiply(w.gate_up, input_, part, Then::kActivate, active_, w.down.k);
    multiply(w.down, active_, part, Then::kAdd, to, stride_);
  });
}

void GpuPass::logits(const int64_t* rows, int64_t count, float* to) {
  context_.here();
  const Matrix& output = model_.output();
  for (int64_t from = 0, end = 0; from < count; from = end) {  // those side by side at once
    for (end = from + 1; end < count && rows[end] == rows[end - 1] + 1;) ++end;
    norm(model_.output_norm_, output, rows[from], end - from, ZS_F32, from);
  }
  multiply(output, input_, {0, count, ZS_F32}, Then::kStore, logits_, output.outputs);
  gpu::download(to, logits_, static_cast<size_t>(count * output.outputs) * sizeof(float), context_.stream);
  must(gpu::wait(context_.stream));
}

}  // namespace zs::cuda
