// Attention (spec 3), the prompt (spec 4) and chunks (spec 5, 5b). What happens to tokens that do not fit:
// compression.cpp.
#include "reference/zsmerge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace reference {

namespace {
constexpr double kUnit = 5.9604644775390625e-8;  // 2^-24: half a unit in the last place of float32
constexpr double kTiny = 1e-36;                  // float32 exponentials end about here
}  // namespace

Cache::Cache(Shape shape, Options options)
    : shape_(shape),
      options_(options),
      heads_(static_cast<size_t>(shape.layers * shape.kv_heads)),
      seq_len_(static_cast<size_t>(shape.layers)),
      steps_(static_cast<size_t>(shape.layers)) {}

// Relative error of one float32 dot product over head_dim, summed in 16 lanes.
double Cache::rounding() const { return kUnit * (shape_.head_dim / 16.0 + 6); }

Slot Cache::make(const std::vector<float>& k, const std::vector<float>& v, int kv_head, int64_t row, int64_t tokens,
                 int64_t position) const {
  Slot slot;
  const size_t from = static_cast<size_t>((kv_head * tokens + row) * shape_.head_dim);
  for (int i = 0; i < shape_.head_dim; ++i) {
    slot.key.push_back(stored(k[from + static_cast<size_t>(i)], options_.storage));
    slot.value.push_back(stored(v[from + static_cast<size_t>(i)], options_.storage));
  }
  slot.origins.push_back(static_cast<int>(position));
  return slot;
}

// One query over all of `old` and fresh[0..row]: logit = q.k / sqrt(d) + alpha ln w. prob and error get old.size() +
// row + 1 values.
void Cache::attend(const std::vector<Slot>& old, const std::vector<Slot>& fresh, int64_t row, const float* query,
                   double* out, std::vector<double>& prob, std::vector<double>& error) const {
  const size_t count = old.size() + static_cast<size_t>(row) + 1;
  const auto slot = [&](size_t i) -> const Slot& { return i < old.size() ? old[i] : fresh[i - old.size()]; };
  const double scale = 1 / std::sqrt(static_cast<double>(shape_.head_dim));
  std::vector<double> logit(count);
  prob.assign(count, 0);
  error.assign(count, 0);
  double largest = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < count; ++i) {
    double dot = 0, size = 0, query_size = 0;
    for (int e = 0; e < shape_.head_dim; ++e) {
      const double q = query[e], product = q * slot(i).key[static_cast<size_t>(e)];
      dot += product;
      size += std::fabs(product);
      query_size += std::fabs(q);
    }
    const double compensation = options_.alpha * std::log(slot(i).weight);
    logit[i] = dot * scale + compensation;
    error[i] = (rounding() * size + slot(i).key_error * query_size) * scale +
               kUnit * (std::fabs(logit[i]) + 2 * std::fabs(compensation));
    largest = std::max(largest, logit[i]);
  }
  double sum = 0, mean_error = 0;
  for (size_t i = 0; i < count; ++i) {
    prob[i] = std::exp(logit[i] - largest);
    sum += prob[i];
  }
  for (size_t i = 0; i < count; ++i) {
    prob[i] /= sum;
    mean_error += prob[i] * error[i];
  }
  for (int e = 0; e < shape_.head_dim; ++e) out[e] = 0;
  for (size_t i = 0; i < count; ++i) {
    for (int e = 0; e < shape_.head_dim; ++e) out[e] += prob[i] * slot(i).value[static_cast<size_t>(e)];
    error[i] = prob[i] * (error[i] + mean_error + kUnit * (8 + std::fabs(logit[i] - largest))) + kTiny;
  }
}

std::vector<double> Cache::prefill(int layer, const std::vector<float>& q, const std::vector<float>& k,
                                   const std::vector<float>& v, int64_t tokens, int64_t share_of) {
  if (!started_) resolved_ = resolve(options_, share_of ? share_of : tokens);
  started_ = true;
  const int d = shape_.head_dim, group = shape_.heads / shape_.kv_heads;
  std::vector<double> out(q.size()), prob, error;
  for (int g = 0; g < shape_.kv_heads; ++g) {
    std::vector<Slot> prompt;
    for (int64_t t = 0; t < tokens; ++t) prompt.push_back(make(k, v, g, t, tokens, t));
    for (int h = g * group; h < (g + 1) * group; ++h) {
      for (int64_t row = 0; row < tokens; ++row) {
        const size_t at = static_cast<size_t>((h * tokens + row) * d);
        attend({}, prompt, row, &q[at], &out[at], prob, error);
        if (tokens - row > resolved_.window) continue;
        const double faded = std::pow(options_.decay, static_cast<double>(tokens - 1 - row));
        for (int64_t j = 0; j <= row; ++j) {
          Slot& slot = prompt[static_cast<size_t>(j)];
          const double part = faded * prob[static_cast<size_t>(j)];
          slot.score += part;
          slot.score_error += faded * error[static_cast<size_t>(j)] + kUnit * (2 * part + slot.score / group);
        }
      }
    }
    Head& head = heads_[static_cast<size_t>(layer * shape_.kv_heads + g)];
    if (!options_.full && tokens > resolved_.budget) {
      compress(layer, g, prompt, 0);
    } else {
      for (const Slot& slot : prompt) {
        note(0, layer, g, Action::kAdmit, slot, static_cast<int64_t>(head.slots.size()), -1, NAN, 0);
        head.slots.push_back(slot);
      }
    }
  }
  seq_len_[static_cast<size_t>(layer)] = tokens;
  return out;
}

std::vector<double> Cache::extend(int layer, const std::vector<float>& q, const std::vector<float>& k,
                                  const std::vector<float>& v, int64_t tokens) {
  const int d = shape_.head_dim, group = shape_.heads / shape_.kv_heads;
  int64_t& seq_len = seq_len_[static_cast<size_t>(layer)];
  std::vector<double> out(q.size()), prob, error;
  for (int g = 0; g < shape_.kv_heads; ++g) {
    Head& head = heads_[static_cast<size_t>(layer * shape_.kv_heads + g)];
    std::vector<Slot> fresh;
    for (int64_t t = 0; t < tokens; ++t) fresh.push_back(make(k, v, g, t, tokens, seq_len + t));

    const size_t old = head.slots.size();
    std::vector<double> gain(old + fresh.size()), gain_error(old + fresh.size());
    for (int h = g * group; h < (g + 1) * group; ++h) {
      for (int64_t row = 0; row < tokens; ++row) {
        const size_t at = static_cast<size_t>((h * tokens + row) * d);
        attend(head.slots, fresh, row, &q[at], &out[at], prob, error);
        const double faded = std::pow(options_.decay, static_cast<double>(tokens - 1 - row));
        for (size_t i = 0; i < prob.size(); ++i) {
          gain[i] += faded * prob[i];
          gain_error[i] += faded * error[i] + kUnit * (2 * faded * prob[i] + gain[i] / group);
        }
      }
    }
    if (options_.history) {
      const double faded = std::pow(options_.decay, static_cast<double>(tokens));
      for (size_t i = 0; i < gain.size(); ++i) {
        Slot& slot = i < old ? head.slots[i] : fresh[i - old];
        const double before = faded * slot.score;
        slot.score_error =
            faded * slot.score_error + kUnit * static_cast<double>(1 + (tokens > 1 ? tokens : 0)) * before;
        slot.score = before + gain[i];
        slot.score_error += gain_error[i] + kUnit * slot.score;
      }
    }
    const int64_t first_step = steps_[static_cast<size_t>(layer)];
    for (const Slot& slot : fresh) {
      ++steps_[static_cast<size_t>(layer)];
      enter(layer, g, slot);
    }
    if (g + 1 < shape_.kv_heads) steps_[static_cast<size_t>(layer)] = first_step;
  }
  seq_len += tokens;
  return out;
}

}  // namespace reference
