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
#include "test/tiny_blocks.h"
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

  TinyModel(zs_model_config sizes, uint64_t seed) : config(sizes), turn_(seed), random_(seed) {
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
      matrix(blk + "attn_k.weight", config.hidden, keys, seed % 2);
      matrix(blk + "attn_v.weight", config.hidden, keys, seed % 2);
      matrix(blk + "attn_output.weight", queries, config.hidden);
      vector(blk + "ffn_norm.weight");
      matrix(blk + "ffn_gate.weight", config.hidden, config.feed_forward);
      matrix(blk + "ffn_up.weight", config.hidden, config.feed_forward, seed % 2);
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
    auto weights = values;
    if (bf16)
      for (const zs_tensor& tensor : table)
        if (tensor.dims == 2)
          for (float& one : weights[tensor.name]) one = rounded_to_bf16(one);
    const auto times = [&](const std::string& name, const Vector& y) { return product(weights.at(name), y); };
    std::vector<std::vector<double>> x(n);
    for (size_t t = 0; t < n; ++t) {
      const auto row = weights.at("token_embd.weight").begin() + ids[t] * config.hidden;
      x[t].assign(row, row + config.hidden);
    }
    for (int layer = 0; layer < config.layers; ++layer) {
      const std::string blk = "blk." + std::to_string(layer) + ".";
      std::vector<std::vector<double>> q(n), k(n), v(n), queries(n), keys(n), attention(n);
      std::vector<std::vector<std::vector<double>>> probabilities(static_cast<size_t>(config.heads));
      for (size_t t = 0; t < n; ++t) {
        const auto a = norm(x[t], blk + "attn_norm.weight");
        queries[t] = times(blk + "attn_q.weight", a);
        keys[t] = times(blk + "attn_k.weight", a);
        q[t] = turned(queries[t], t);
        k[t] = turned(keys[t], t);
        v[t] = times(blk + "attn_v.weight", a);
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
      const auto projected = [&](const Vector& y) { return times(blk + "attn_output.weight", y); };
      if (seen) seen({layer, queries, keys, q, probabilities, attention, projected});
      for (size_t t = 0; t < n; ++t) {
        add(x[t], projected(attention[t]));
        const auto f = norm(x[t], blk + "ffn_norm.weight");
        auto gate = times(blk + "ffn_gate.weight", f);
        const auto up = times(blk + "ffn_up.weight", f);
        for (size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
        add(x[t], times(blk + "ffn_down.weight", gate));
      }
    }
    std::vector<std::vector<double>> out;
    for (size_t t = 0; t < n; ++t)
      out.push_back(
          times(config.tied_output ? "token_embd.weight" : "output.weight", norm(x[t], "output_norm.weight")));
    return out;
  }

 private:
  using Vector = std::vector<double>;

  static Vector product(const std::vector<float>& w, const Vector& x) {
    Vector y(w.size() / x.size());
    for (size_t o = 0; o < y.size(); ++o) {
      double sum = 0;
      for (size_t i = 0; i < x.size(); ++i) sum += x[i] * static_cast<double>(w[o * x.size() + i]);
      y[o] = sum;
    }
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
  // Every type in turn that has whole blocks in these rows; `next` false: that of the matrix before, which is read together with it.
  void matrix(const std::string& name, int64_t inputs, int64_t rows, bool next = true) {
    turn_ += next;
    const int type = kBlockTypes[turn_ % static_cast<uint64_t>(types_for(inputs))];
    const size_t offset = bytes_.size();
    BlockWriter(random_, bytes_, values[name]).rows(type, inputs, rows);
    entry(name, type, 2, inputs, rows, offset);
  }

  uint64_t turn_;
  Random random_;
  std::vector<uint8_t> bytes_;
};

// A loaded model; `packed`: the path of its packed weights, "" = none.
struct Model {
  zs_model* handle = nullptr;
  int32_t vocabulary;
  Model(const Engine& engine, const TinyModel& tiny, int32_t weights, const std::string& packed = "")
      : vocabulary(tiny.config.vocabulary) {
    zs_model_config config = tiny.config;
    config.weights = weights;
    config.packed = packed.empty() ? nullptr : packed.c_str();
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

// Whole blocks of 32 and 16 everywhere, nowhere, and of 256 everywhere.
inline zs_model_config even_sizes() { return sizes(64, 4, 2, 16, 96, 112); }
inline zs_model_config odd_sizes() {
  zs_model_config c = sizes(41, 3, 1, 10, 53, 77);
  c.rope_dims = 6, c.tied_output = 0, c.rope_base = 500;
  return c;
}

inline zs_model_config super_sizes() { return sizes(256, 4, 2, 64, 512, 70); }

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
