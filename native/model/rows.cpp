#include "model/rows.h"

#include <cmath>
#include <cstring>

#include "core/prompt.h"
#include "model/runner.h"

namespace zs {
namespace {

constexpr int64_t kChunkRows = kPromptRows;  // rows of a chunk: bounds the memory of what lies between two products

Buffer zeros(int64_t floats) {
  Buffer buffer(floats);
  std::memset(buffer.data(), 0, static_cast<size_t>(buffer.bytes()));
  return buffer;
}

}  // namespace

Rows::Rows(const zs_model_config& config, const Weights& weights, int64_t tokens, bool prompt, int threads)
    : rows(std::min(kChunkRows, tokens)), stride(weights.layers[0].qkv.k) {
  const LayerWeights& w = weights.layers[0];
  const int64_t chunk = Products::padded(rows), together = prompt ? rows : tokens;
  const int64_t widest = std::max({w.qkv.k, w.attention_output.k, w.gate_up.k});
  qkv = Buffer(together * w.qkv.outputs());
  attended = zeros(Products::padded(together) * w.attention_output.k);
  angles = Buffer(tokens * config.rope_dims);
  if (threads == 0) return;
  hidden = zeros(tokens * stride);
  input = zeros(chunk * widest);
  active = zeros(chunk * w.down.k);
  for (int i = 0; i < threads; ++i) line.emplace_back(widest);
}

RowWork::RowWork(zs_model& model, Rows& rows, zs_call* stop)
    : model_(model),
      r_(rows),
      stop_(stop),
      pool_(model.engine->pool),
      linear_(*model.engine->linear),
      norm_(linear_.*model.architecture->norm) {}

void RowWork::embed(const int32_t* ids, int64_t count) {
  each_row(count, [&](int64_t row, int) {
    model_.weights.embedding.row(ids[row], model_.config.hidden, r_.hidden.data() + row * r_.stride);
  });
}

void RowWork::turn(int64_t row, int64_t count, int64_t first) {
  const int64_t pairs = model_.config.rope_dims / 2;
  each_row(count, [&](int64_t at, int) {
    float* to = r_.angles.data() + (row + at) * pairs * 2;
    for (int64_t i = 0; i < pairs; ++i) {
      const double angle = static_cast<double>(first + at) * model_.frequencies[static_cast<size_t>(i)];
      to[2 * i] = static_cast<float>(std::cos(angle));
      to[2 * i + 1] = static_cast<float>(std::sin(angle));
    }
  });
}

// Rows for a product with `w`: made by make(row, to) where to has `width` floats.
template <class F>
void RowWork::input(const Matrix& w, int64_t count, int64_t width, F make) {
  const bool rounded = model_.products->rounded(count);
  each_row(count, [&](int64_t row, int thread) {
    float* line = rounded ? r_.line[static_cast<size_t>(thread)].data() : r_.input.data() + row * w.k;
    make(row, line);
    std::fill(line + width, line + w.k, 0.0f);
    if (rounded) linear_.round_bf16(line, w.k, reinterpret_cast<uint16_t*>(r_.input.data()) + row * w.k);
  });
}

void RowWork::normed(const Matrix& w, int64_t row, int64_t count, const float* weight) {
  const int64_t hidden = model_.config.hidden;
  const float* x = r_.hidden.data() + row * r_.stride;
  input(w, count, hidden,
        [&](int64_t i, float* to) { norm_(x + i * r_.stride, weight, hidden, model_.config.norm_eps, to); });
}

void RowWork::project(int32_t layer, int64_t row, int64_t count, float* qkv) {
  const LayerWeights& w = model_.weights.layers[static_cast<size_t>(layer)];
  normed(w.qkv, row, count, w.attention_norm);
  model_.products->run({&w.qkv, r_.input.data(), count, Then::kStore, qkv, w.qkv.outputs()}, stop_);
}

void RowWork::rotate(int64_t row, int64_t count, int64_t period, float* qkv) {
  const zs_model_config& c = model_.config;
  const int64_t stride = model_.weights.layers[0].qkv.outputs(), pairs = c.rope_dims / 2;
  each_row(count, [&](int64_t i, int) {  // queries and keys lie side by side
    (linear_.*model_.architecture->rotation)(qkv + i * stride, r_.angles.data() + (row + i) % period * pairs * 2,
                                             c.heads + c.kv_heads, c.head_dim, pairs);
  });
}

void RowWork::feed_forward(int32_t layer, int64_t row, int64_t count, const float* attended) {
  const zs_model_config& c = model_.config;
  const LayerWeights& w = model_.weights.layers[static_cast<size_t>(layer)];
  float* hidden = r_.hidden.data() + row * r_.stride;
  const void* x = attended;  // as it is, unless it has to be rounded
  if (model_.products->rounded(count)) {
    const int64_t width = static_cast<int64_t>(c.heads) * c.head_dim;
    input(w.attention_output, count, width,
          [&](int64_t i, float* to) { std::copy_n(attended + i * w.attention_output.k, width, to); });
    x = r_.input.data();
  }
  model_.products->run({&w.attention_output, x, count, Then::kAdd, hidden, r_.stride}, stop_);
  normed(w.gate_up, row, count, w.feed_forward_norm);
  model_.products->run({&w.gate_up, r_.input.data(), count, Then::kActivate, r_.active.data(), w.down.k}, stop_);
  model_.products->run({&w.down, r_.active.data(), count, Then::kAdd, hidden, r_.stride}, stop_);
}

void need_logits(zs_model& model, int64_t rows) {
  model.head_input.need(rows * model.weights.output.k);
  model.scores.need(rows * model.weights.output.outputs());
}

const float* row_logits(zs_model& model, const float* const* hidden, int64_t rows, zs_call* stop) {
  const zs_model_config& c = model.config;
  const Matrix& w = model.weights.output;
  need_logits(model, rows);
  for (int64_t i = 0; i < rows; ++i) {
    float* to = model.head_input.data() + i * w.k;
    (model.engine->linear->*model.architecture->norm)(hidden[i], model.weights.output_norm, c.hidden, c.norm_eps, to);
    std::fill(to + c.hidden, to + w.k, 0.0f);
  }
  model.products->run({&w, model.head_input.data(), rows, Then::kStore, model.scores.data(), w.outputs(), true}, stop);
  return model.scores.data();
}

}  // namespace zs
