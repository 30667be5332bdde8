// Policies as tests set them: options by name, packed into a zs_policy by the fields that the library describes.
#ifndef ZSLAB_TEST_POLICIES_H
#define ZSLAB_TEST_POLICIES_H

#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "zslab/zslab.h"

namespace test {

using Fields = std::map<std::string, double>;

inline zs_policy_info described(const std::string& name) {
  zs_policy_info info{};
  for (int32_t i = 0; i < zs_policy_count(); ++i)
    if (zs_policy_describe(i, &info) == ZS_OK && name == info.name) return info;
  throw std::runtime_error("no policy is called " + name);
}

// A zs_policy that owns its parameters; every field of the policy must be given, others may be there too.
class NativePolicy {
 public:
  NativePolicy(const std::string& name, double budget, int chunk, const Fields& fields,
               std::shared_ptr<NativePolicy> of = nullptr)
      : name_(name), of_(std::move(of)) {
    const zs_policy_info info = described(name);
    block_.resize(static_cast<size_t>(info.parameter_bytes) / sizeof(double) + 1);
    char* const at = reinterpret_cast<char*>(block_.data());
    for (int32_t i = 0; i < info.field_count; ++i) {
      const zs_field& field = info.fields[i];
      const auto found = fields.find(field.name);
      if (found == fields.end()) throw std::runtime_error(name + " needs " + field.name);
      const double x = found->second;
      const int32_t whole = static_cast<int32_t>(x);
      const int64_t wide = static_cast<int64_t>(x);
      const float single = static_cast<float>(x);
      if (field.type == ZS_INT32) std::memcpy(at + field.offset, &whole, sizeof whole);
      if (field.type == ZS_INT64) std::memcpy(at + field.offset, &wide, sizeof wide);
      if (field.type == ZS_FLOAT32) std::memcpy(at + field.offset, &single, sizeof single);
      if (field.type == ZS_FLOAT64) std::memcpy(at + field.offset, &x, sizeof x);
    }
    policy.struct_bytes = sizeof policy;
    policy.chunk = chunk;
    policy.name = name_.c_str();
    policy.budget = budget;
    policy.parameters = block_.data();
    policy.parameter_bytes = info.parameter_bytes;
    policy.of = of_ ? &of_->policy : nullptr;
  }
  NativePolicy(const NativePolicy&) = delete;
  NativePolicy& operator=(const NativePolicy&) = delete;

  zs_policy policy{};

 private:
  std::string name_;
  std::vector<double> block_;
  std::shared_ptr<NativePolicy> of_;
};

// Every option of ZSMerge, of which others have some; `own` are those of other policies, `of` what a wrapper works on. A value below 1 is
// a share.
struct Options {
  std::string name = "zsmerge";
  int chunk = 256;
  double budget = 0.2, recent = 0.5, residual = 0.02;
  int sink = 0, least_budget = 16, least_recent = 1, least_residual = 1, raise_counts = 0;
  float alpha = 1, decay = 0.98f;
  int history = 1, window = 0;  // window: > 0 rows, 0 = smallest W with decay^W < 1e-7, -1 = all
  int similarity = 0, score_merge = 0, init = 0, underfull = 0, granularity = 0, aggregate = 0, keys = 0, values = 0;
  int positions = 0, stride = 0;  // streaming
  Fields own;
  std::shared_ptr<Options> of;

  bool full() const { return name == "full"; }
  bool unbounded() const { return full() || name == "lorc"; }
  Fields fields() const {
    Fields all = own;
    all.insert({{"recent", recent},
                {"residual", residual},
                {"sink", sink},
                {"leastBudget", least_budget},
                {"leastRecent", least_recent},
                {"leastResidual", least_residual},
                {"raiseCounts", raise_counts},
                {"alpha", static_cast<double>(alpha)},
                {"decay", static_cast<double>(decay)},
                {"history", history},
                {"window", window},
                {"similarity", similarity},
                {"scoreMerge", score_merge},
                {"init", init},
                {"underfull", underfull},
                {"granularity", granularity},
                {"aggregate", aggregate},
                {"keys", keys},
                {"values", values},
                {"positions", positions},
                {"stride", stride}});
    return all;
  }
  std::shared_ptr<NativePolicy> native() const {
    return std::make_shared<NativePolicy>(name, unbounded() ? 0 : budget, chunk, fields(), of ? of->native() : nullptr);
  }
};

// The preset `fixed` of spec 5a.
inline Options fixed_policy() { return {}; }
inline Options full_policy() {
  Options p;
  p.name = "full";
  return p;
}
// Slot counts, nothing raised.
inline Options count_policy(int budget, int recent, int residual) {
  Options p;
  p.budget = budget, p.recent = recent, p.residual = residual;
  return p;
}

// Frequencies of each pair; empty = not known.
struct Rotation {
  std::vector<double> frequencies;
  bool halves = false;

  // As the library takes it; this must outlive it.
  const zs_rotation& given() const {
    native_ = {};
    native_.struct_bytes = sizeof native_, native_.dims = static_cast<int32_t>(2 * frequencies.size());
    native_.halves = halves ? 1 : 0, native_.frequencies = frequencies.data();
    return native_;
  }

 private:
  mutable zs_rotation native_{};
};
inline Rotation rotation_of(int dims, double base, bool halves = false) {
  Rotation r;
  for (int i = 0; i < dims / 2; ++i) r.frequencies.push_back(std::pow(base, -2.0 * i / dims));
  r.halves = halves;
  return r;
}

// A model's, as reference::Projections; width 0 = not known.
struct Projections {
  int32_t width = 0;
  std::vector<std::vector<float>> keys, values, key_biases, value_biases;  // biases: empty = none

  // As the library takes it; this must outlive it.
  const zs_projections& given() const {
    pointers_.clear();
    for (const auto* all : {&keys, &values, &key_biases, &value_biases})
      for (const auto& one : *all) pointers_.push_back(one.data());
    const size_t layers = keys.size();
    const float* const* at = pointers_.data();
    native_ = {};
    native_.struct_bytes = sizeof native_, native_.width = width;
    native_.keys = at, native_.values = at + layers;
    if (!key_biases.empty()) native_.key_biases = at + 2 * layers, native_.value_biases = at + 3 * layers;
    return native_;
  }

 private:
  mutable std::vector<const float*> pointers_;
  mutable zs_projections native_{};
};

struct CacheConfig {
  int32_t layers = 1, heads = 1, kv_heads = 1, head_dim = 2, storage = 0, trace = 1, keep_queries = 0, origins = 1;
  Options policy;
  std::vector<double> budgets;  // [layers][kv_heads]; empty = policy.budget for all
  Rotation rotation;
  Projections projections;

  // As the library takes it; `policy` and this must outlive it.
  zs_cache_config native(const NativePolicy& policy) const {
    zs_cache_config c{};
    c.struct_bytes = sizeof c;
    c.layers = layers, c.heads = heads, c.kv_heads = kv_heads, c.head_dim = head_dim;
    c.storage = storage, c.trace = trace, c.keep_queries = keep_queries, c.origins = origins;
    c.budgets = budgets.empty() ? nullptr : budgets.data();
    c.rotation = rotation.frequencies.empty() ? nullptr : &rotation.given();
    c.projections = projections.width ? &projections.given() : nullptr;
    c.policy = policy.policy;
    return c;
  }
};

}  // namespace test
#endif
