// Small random models in a file of their own, and their forward pass in double precision, written down as plainly as it can be.
#ifndef ZSLAB_TEST_TINY_MODEL_H
#define ZSLAB_TEST_TINY_MODEL_H

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "test/caches.h"
#include "zslab/model.h"

namespace test {

inline float rounded_to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  bits = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
  std::memcpy(&value, &bits, 4);
  return value;
}

struct TinyModel {
  zs_model_config config{};
  std::map<std::string, std::vector<float>> values;  // as a float32 model sees them
  std::vector<std::string> names;
  std::vector<zs_tensor> table;
  std::string path;

  TinyModel(zs_model_config sizes, uint64_t seed) : config(sizes), random_(seed) {
    config.struct_bytes = sizeof config;
    const int64_t queries = config.heads * config.head_dim, keys = config.kv_heads * config.head_dim;
    names.reserve(4 + 9 * static_cast<size_t>(config.layers));  // the table points into it
    bytes_.resize(7);                                           // tensors need not start at zero or aligned
    matrix("token_embd.weight", config.hidden, config.vocabulary);
    vector("output_norm.weight");
    if (!config.tied_output) matrix("output.weight", config.hidden, config.vocabulary);
    for (int i = 0; i < config.layers; ++i) {
      const std::string blk = "blk." + std::to_string(i) + ".";
      vector(blk + "attn_norm.weight");
      matrix(blk + "attn_q.weight", config.hidden, queries);
      matrix(blk + "attn_k.weight", config.hidden, keys);
      matrix(blk + "attn_v.weight", config.hidden, keys);
      matrix(blk + "attn_output.weight", queries, config.hidden);
      vector(blk + "ffn_norm.weight");
      matrix(blk + "ffn_gate.weight", config.hidden, config.feed_forward);
      matrix(blk + "ffn_up.weight", config.hidden, config.feed_forward);
      matrix(blk + "ffn_down.weight", config.feed_forward, config.hidden);
    }
    char name[] = "/tmp/zslab-model-XXXXXX";
    const int fd = mkstemp(name);
    if (fd < 0) throw std::runtime_error("no temporary file");
    path = name;
    size_t at = 0;
    while (at < bytes_.size()) {
      const ssize_t wrote = write(fd, bytes_.data() + at, bytes_.size() - at);
      if (wrote <= 0) throw std::runtime_error("cannot write the temporary file");
      at += static_cast<size_t>(wrote);
    }
    close(fd);
  }
  ~TinyModel() { std::remove(path.c_str()); }
  TinyModel(const TinyModel&) = delete;
  TinyModel& operator=(const TinyModel&) = delete;

  int64_t file_bytes() const { return static_cast<int64_t>(bytes_.size()); }

  CacheConfig cache_config(int32_t storage = ZS_F32) const {
    CacheConfig c;
    c.layers = config.layers, c.heads = config.heads, c.kv_heads = config.kv_heads, c.head_dim = config.head_dim;
    c.storage = storage;
    c.policy = fixed_policy();
    c.policy.name = "full";
    c.policy.chunk = 64;
    return c;
  }

  // Of a layer, before its output projection.
  struct Layer {
    int number;
    const std::vector<std::vector<double>>&queries, &keys, &turned;  // [tokens]: before rotation, and queries after it
    const std::vector<std::vector<std::vector<double>>>& probabilities;  // [heads][tokens]
    std::vector<std::vector<double>>& attended;                          // [tokens]; may be changed
    std::function<std::vector<double>(const std::vector<double>&)> projected;
  };

  // Logits of every row; weights rounded to bfloat16 first if `bf16`. `seen` looks at each layer.
  std::vector<std::vector<double>> logits(const std::vector<int32_t>& ids, bool bf16,
                                          const std::function<void(const Layer&)>& seen = {}) const {
    const size_t n = ids.size(), d = static_cast<size_t>(config.head_dim);
    const int group = config.heads / config.kv_heads;
    std::vector<std::vector<double>> x(n);
    for (size_t t = 0; t < n; ++t)
      for (int i = 0; i < config.hidden; ++i)
        x[t].push_back(weight("token_embd.weight",
                              static_cast<size_t>(ids[t]) * static_cast<size_t>(config.hidden) + static_cast<size_t>(i),
                              bf16));
    for (int layer = 0; layer < config.layers; ++layer) {
      const std::string blk = "blk." + std::to_string(layer) + ".";
      std::vector<std::vector<double>> q(n), k(n), v(n), queries(n), keys(n), attention(n);
      std::vector<std::vector<std::vector<double>>> probabilities(static_cast<size_t>(config.heads));
      for (size_t t = 0; t < n; ++t) {
        const auto a = norm(x[t], blk + "attn_norm.weight");
        queries[t] = times(blk + "attn_q.weight", a, bf16);
        keys[t] = times(blk + "attn_k.weight", a, bf16);
        q[t] = turned(queries[t], t);
        k[t] = turned(keys[t], t);
        v[t] = times(blk + "attn_v.weight", a, bf16);
      }
      for (size_t t = 0; t < n; ++t) {
        std::vector<double>& attended = attention[t];
        attended.resize(q[t].size());
        for (int h = 0; h < config.heads; ++h) {
          const size_t qa = static_cast<size_t>(h) * d, ka = static_cast<size_t>(h / group) * d;
          std::vector<double> p(t + 1);
          double highest = -INFINITY, sum = 0;
          for (size_t s = 0; s <= t; ++s) {
            for (size_t i = 0; i < d; ++i) p[s] += q[t][qa + i] * k[s][ka + i];
            p[s] /= std::sqrt(static_cast<double>(d));
            highest = std::max(highest, p[s]);
          }
          for (double& one : p) sum += one = std::exp(one - highest);
          for (double& one : p) one /= sum;
          for (size_t s = 0; s <= t; ++s)
            for (size_t i = 0; i < d; ++i) attended[qa + i] += p[s] * v[s][ka + i];
          probabilities[static_cast<size_t>(h)].push_back(p);
        }
      }
      const auto projected = [&](const Vector& y) { return times(blk + "attn_output.weight", y, bf16); };
      if (seen) seen({layer, queries, keys, q, probabilities, attention, projected});
      for (size_t t = 0; t < n; ++t) {
        add(x[t], projected(attention[t]));
        const auto f = norm(x[t], blk + "ffn_norm.weight");
        auto gate = times(blk + "ffn_gate.weight", f, bf16);
        const auto up = times(blk + "ffn_up.weight", f, bf16);
        for (size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
        add(x[t], times(blk + "ffn_down.weight", gate, bf16));
      }
    }
    std::vector<std::vector<double>> out;
    for (size_t t = 0; t < n; ++t)
      out.push_back(
          times(config.tied_output ? "token_embd.weight" : "output.weight", norm(x[t], "output_norm.weight"), bf16));
    return out;
  }

 private:
  using Vector = std::vector<double>;

  double weight(const std::string& name, size_t i, bool bf16) const {
    const float value = values.at(name)[i];
    return bf16 ? rounded_to_bf16(value) : value;
  }
  Vector times(const std::string& name, const Vector& x, bool bf16) const {
    const std::vector<float>& w = values.at(name);
    Vector y(w.size() / x.size());
    for (size_t o = 0; o < y.size(); ++o)
      for (size_t i = 0; i < x.size(); ++i)
        y[o] += x[i] * static_cast<double>(bf16 ? rounded_to_bf16(w[o * x.size() + i]) : w[o * x.size() + i]);
    return y;
  }
  Vector norm(const Vector& x, const std::string& name) const {
    double squares = 0;
    for (double one : x) squares += one * one;
    const double scale = 1 / std::sqrt(squares / static_cast<double>(x.size()) + static_cast<double>(config.norm_eps));
    Vector y = x;
    for (size_t i = 0; i < y.size(); ++i) y[i] *= scale * static_cast<double>(values.at(name)[i]);
    return y;
  }
  Vector turned(Vector x, size_t position) const {
    for (size_t head = 0; head < x.size(); head += static_cast<size_t>(config.head_dim))
      for (int i = 0; i < config.rope_dims; i += 2) {
        const double angle = static_cast<double>(position) * std::pow(static_cast<double>(config.rope_base),
                                                                      -static_cast<double>(i) / config.rope_dims);
        double &a = x[head + static_cast<size_t>(i)], &b = x[head + static_cast<size_t>(i) + 1];
        const double before = a;
        a = before * std::cos(angle) - b * std::sin(angle);
        b = before * std::sin(angle) + b * std::cos(angle);
      }
    return x;
  }
  static void add(Vector& x, const Vector& y) {
    for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }

  void push(const void* data, size_t size) {
    const uint8_t* from = static_cast<const uint8_t*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
  }
  // A power of two in float16, exact.
  void push_half(int exponent) {
    const uint16_t half = static_cast<uint16_t>((exponent + 15) << 10);
    push(&half, 2);
  }
  void entry(const std::string& name, int type, int dims, int64_t inputs, int64_t rows, size_t offset) {
    names.push_back(name);
    const int64_t start = static_cast<int64_t>(offset);
    table.push_back({names.back().c_str(), type, dims, {inputs, rows}, start, file_bytes() - start, 0});
  }
  void vector(const std::string& name) {
    const size_t offset = bytes_.size();
    std::vector<float>& to = values[name];
    for (int i = 0; i < config.hidden; ++i) to.push_back(1 + 0.25f * random_.element());
    push(to.data(), to.size() * 4);
    entry(name, ZS_T_F32, 1, config.hidden, 1, offset);
  }
  // Every type in turn; the quantised ones where rows are whole blocks.
  void matrix(const std::string& name, int64_t inputs, int64_t rows) {
    const int types[] = {ZS_T_F32, ZS_T_F16, ZS_T_Q8_0, ZS_T_Q4_1};
    const int type = types[random_.upto(0, inputs % 32 ? 1 : 3)];
    const size_t offset = bytes_.size();
    std::vector<float>& to = values[name];
    const int64_t count = inputs * rows;
    if (type == ZS_T_F32) {
      const float size = 1.5f / std::sqrt(static_cast<float>(inputs));
      for (int64_t i = 0; i < count; ++i) to.push_back(size * random_.element());
      push(to.data(), to.size() * 4);
    } else if (type == ZS_T_F16) {
      for (int64_t i = 0; i < count; ++i) {
        const int exponent = random_.upto(-6, -3), mantissa = random_.upto(0, 1023), sign = random_.upto(0, 1);
        const uint16_t half = static_cast<uint16_t>(sign << 15 | (exponent + 15) << 10 | mantissa);
        push(&half, 2);
        to.push_back(std::ldexp(static_cast<float>(1024 + mantissa), exponent - 10) *
                     static_cast<float>(sign ? -1 : 1));
      }
    } else if (type == ZS_T_Q8_0) {
      for (int64_t i = 0; i < count; i += 32) {
        const int exponent = random_.upto(-11, -9);
        push_half(exponent);
        for (int j = 0; j < 32; ++j) {
          const int8_t level = static_cast<int8_t>(random_.upto(-127, 127));
          push(&level, 1);
          to.push_back(std::ldexp(static_cast<float>(level), exponent));
        }
      }
    } else {
      for (int64_t i = 0; i < count; i += 32) {
        const int exponent = random_.upto(-7, -6);
        push_half(exponent);
        const uint16_t least = static_cast<uint16_t>(1 << 15 | (exponent + 3 + 15) << 10);  // - 8 steps
        push(&least, 2);
        int levels[32];
        for (int& level : levels) {
          level = random_.upto(0, 15);
          to.push_back(std::ldexp(static_cast<float>(level - 8), exponent));
        }
        for (int j = 0; j < 16; ++j) {
          const uint8_t both = static_cast<uint8_t>(levels[j] | levels[j + 16] << 4);
          push(&both, 1);
        }
      }
    }
    entry(name, type, 2, inputs, rows, offset);
  }

  Random random_;
  std::vector<uint8_t> bytes_;
};

// A loaded model.
struct Model {
  zs_model* handle = nullptr;
  int32_t vocabulary;
  Model(const Engine& engine, const TinyModel& tiny, int32_t weights) : vocabulary(tiny.config.vocabulary) {
    zs_model_config config = tiny.config;
    config.weights = weights;
    const char* path = tiny.path.c_str();
    must(zs_model_load(engine.handle, &path, 1, &config, tiny.table.data(), static_cast<int64_t>(tiny.table.size()),
                       &handle, nullptr),
         "load");
  }
  ~Model() { zs_model_destroy(handle); }
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // Logits of `rows` (all where empty) for one call.
  std::vector<float> forward(const Cache& cache, const std::vector<int32_t>& ids, std::vector<int64_t> rows = {},
                             zs_call* call = nullptr) const {
    if (rows.empty())
      for (size_t i = 0; i < ids.size(); ++i) rows.push_back(static_cast<int64_t>(i));
    std::vector<float> logits(rows.size() * static_cast<size_t>(vocabulary));
    zs_forward f{};
    f.struct_bytes = sizeof f, f.ids = ids.data(), f.tokens = static_cast<int64_t>(ids.size());
    f.rows = rows.data(), f.row_count = static_cast<int64_t>(rows.size()), f.logits = logits.data();
    must(zs_model_forward(handle, cache.handle, &f, call), "forward");
    return logits;
  }
};

inline zs_model_config sizes(int hidden, int heads, int kv_heads, int head_dim, int feed_forward, int vocabulary) {
  zs_model_config c{};
  c.arch = ZS_ARCH_LLAMA, c.layers = 2, c.heads = heads, c.kv_heads = kv_heads, c.head_dim = head_dim;
  c.hidden = hidden, c.feed_forward = feed_forward, c.vocabulary = vocabulary, c.context = 4096;
  c.rope_dims = head_dim, c.rope_base = 10000, c.norm_eps = 1e-5f, c.tied_output = 1;
  return c;
}

// Whole blocks of 32 and 16 everywhere, and nowhere.
inline zs_model_config even_sizes() { return sizes(64, 4, 2, 16, 96, 112); }
inline zs_model_config odd_sizes() {
  zs_model_config c = sizes(41, 3, 1, 10, 53, 77);
  c.rope_dims = 6, c.tied_output = 0, c.rope_base = 500;
  return c;
}

inline std::vector<int32_t> some_ids(const TinyModel& tiny, int count, uint64_t seed) {
  test::Random random(seed);
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i) ids.push_back(random.upto(0, tiny.config.vocabulary - 1));
  return ids;
}

// The largest difference of logits [rows][vocabulary] from those of the judge from row `from` on.
inline double worst(const std::vector<float>& given, const std::vector<std::vector<double>>& rows, size_t from) {
  double most = 0;
  const size_t width = rows[0].size();
  for (size_t i = 0; i < given.size(); ++i) {
    const double error = std::abs(static_cast<double>(given[i]) - rows[from + i / width][i % width]);
    most = error <= most ? most : error;  // NaN stays
  }
  return most;
}

}  // namespace test
#endif
