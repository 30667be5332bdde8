// What a head's queries would have read with nothing removed, beside what the policy's slots made of it (zs_local_measure).
#include <algorithm>
#include <cmath>
#include <utility>

#include "core/segment.h"
#include "core/work.h"

namespace zs {
namespace {

constexpr int64_t kRowsTogether = 8;  // of a unit: what merged slots hold changes little from row to row

enum class Where : uint8_t { kGone, kMerged, kOwn };

void check(const zs_local& l) {
  if (l.struct_bytes != static_cast<int32_t>(sizeof(zs_local)))
    fail(ZS_INVALID, "struct_bytes is %d: expected sizeof(zs_local)", l.struct_bytes);
  if (l.head_dim < 2 || l.head_dim % 2 || l.head_dim > kMostDims)
    fail(ZS_INVALID, "head_dim is %d: expected a multiple of 2, from 2 to %d", l.head_dim, kMostDims);
  if (l.group < 1) fail(ZS_INVALID, "group is %d: expected at least 1", l.group);
  if (l.tokens < 1 || l.tokens > INT32_MAX)
    fail(ZS_INVALID, "tokens is %lld: expected 1 or more", static_cast<long long>(l.tokens));
  if (l.rows < 0) fail(ZS_INVALID, "rows is %lld: expected 0 or more", static_cast<long long>(l.rows));
  if (!l.keys || !l.values || !l.positions || !l.queries || !l.row_slots || !l.slot_members || !l.members)
    fail(ZS_INVALID, "an array is NULL: keys, values, positions, queries and slots have to be given");
  if (l.error && !l.outputs) fail(ZS_INVALID, "error is asked for without outputs: give them");
  for (int64_t r = 0; r < l.rows; ++r) {
    if (l.positions[r] < 0 || l.positions[r] >= l.tokens)
      fail(ZS_INVALID, "positions[%lld] is %d of %lld tokens", static_cast<long long>(r), l.positions[r],
           static_cast<long long>(l.tokens));
    if (l.row_slots[r] < 0 || l.row_slots[r + 1] < l.row_slots[r])
      fail(ZS_INVALID, "row_slots do not ascend at row %lld", static_cast<long long>(r));
    std::vector<uint8_t> seen(static_cast<size_t>(l.positions[r]) + 1);
    for (int64_t s = l.row_slots[r]; s < l.row_slots[r + 1]; ++s) {
      if (l.slot_members[s] < 0 || l.slot_members[s + 1] <= l.slot_members[s])
        fail(ZS_INVALID, "slot %lld of row %lld stands for nothing", static_cast<long long>(s - l.row_slots[r]),
             static_cast<long long>(r));
      for (int64_t m = l.slot_members[s]; m < l.slot_members[s + 1]; ++m)
        if (const int32_t t = l.members[m];
            t < 0 || t > l.positions[r] || std::exchange(seen[static_cast<size_t>(t)], 1))
          fail(ZS_INVALID, "member %d of slot %lld, row %lld: expected positions from 0 to %d, each once", t,
               static_cast<long long>(s - l.row_slots[r]), static_cast<long long>(r), l.positions[r]);
    }
  }
}

double distance(const float* a, const double* b, int32_t d) {
  double sum = 0;
  for (int32_t i = 0; i < d; ++i) sum += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
  return std::sqrt(sum);
}

// The rows of one unit, one after another.
class Rows {
 public:
  Rows(const AttentionKernels& kernels, const zs_local& l, const Pages& full, const Pages& values)
      : kernels_(kernels),
        l_(l),
        full_(full),
        values_(values),
        d_(l.head_dim),
        group_(l.group),
        padded_(round_up(d_, kLane)),
        scale_(static_cast<float>(1 / std::sqrt(static_cast<double>(d_)))),
        chunks_(full.chunks()),
        e_(chunks_ * group_ * kChunk),
        statistics_(3 * chunks_ * group_),
        partial_(chunks_ * group_ * padded_),
        out_(group_ * padded_),
        distances_(kChunk),
        p_(group_, std::vector<double>(static_cast<size_t>(l.tokens))),
        where_(static_cast<size_t>(l.tokens)) {}

  void row(int64_t r) {
    seen_ = l_.positions[r] + 1;
    attend(l_.queries + r * group_ * d_);
    place(r);
    for (int64_t h = 0; h < group_; ++h) {
      const int64_t at = r * group_ + h;
      const float* const star = out_.data() + h * padded_;
      if (l_.full) std::copy_n(star, d_, l_.full + at * d_);
      const std::vector<double>& p = p_[static_cast<size_t>(h)];
      double missed = 0, blurred = 0;
      for (int64_t t = 0; t < seen_; ++t) {
        if (where_[static_cast<size_t>(t)] == Where::kGone) missed += p[static_cast<size_t>(t)];
        if (where_[static_cast<size_t>(t)] == Where::kMerged) blurred += p[static_cast<size_t>(t)];
      }
      if (l_.missed) l_.missed[at] = missed;
      if (l_.blurred) l_.blurred[at] = blurred;
      if (l_.error) l_.error[at] = relative(l_.outputs + at * d_, star);
      if (l_.dropped || l_.plain) slots(r, h, star);
      if (l_.probability || l_.change) lost(r, h, star);
    }
  }

 private:
  // Probabilities with nothing removed, and their output.
  void attend(const float* q) {
    const int64_t chunks = round_up(seen_, kChunk) / kChunk, stats = chunks * group_;
    float *highest = statistics_.data(), *sum = highest + stats, *factor = sum + stats;
    for (int64_t c = 0; c < chunks; ++c) {
      DecodeTask task{};
      task.chunk = full_.chunk(static_cast<int32_t>(c), nullptr);
      task.chunk.slots = static_cast<int32_t>(std::min<int64_t>(kChunk, seen_ - c * kChunk));
      task.q = q;
      task.q_stride = d_;
      task.group = static_cast<int32_t>(group_);
      task.d = d_;
      task.scale = scale_;
      task.e = e_.data() + c * group_ * kChunk;
      task.e_stride = kChunk;
      task.highest = highest + c * group_;
      task.sum = sum + c * group_;
      task.out = partial_.data() + c * group_ * padded_;
      kernels_.decode(task);
    }
    kernels_.merge(highest, sum, partial_.data(), static_cast<int32_t>(chunks), static_cast<int32_t>(group_), d_,
                   factor, out_.data(), padded_);
    log_sum_.assign(static_cast<size_t>(group_), 0);
    for (int64_t h = 0; h < group_; ++h) {
      double top = -INFINITY, all = 0;
      for (int64_t c = 0; c < chunks; ++c) top = std::max(top, static_cast<double>(highest[c * group_ + h]));
      std::vector<double>& p = p_[static_cast<size_t>(h)];
      for (int64_t c = 0; c < chunks; ++c) {
        const double shift = std::exp(static_cast<double>(highest[c * group_ + h]) - top);
        const float* const e = e_.data() + (c * group_ + h) * kChunk;
        const int64_t count = std::min<int64_t>(kChunk, seen_ - c * kChunk);
        for (int64_t i = 0; i < count; ++i)
          all += p[static_cast<size_t>(c * kChunk + i)] = static_cast<double>(e[i]) * shift;
      }
      for (int64_t t = 0; t < seen_; ++t) p[static_cast<size_t>(t)] /= all;
      log_sum_[static_cast<size_t>(h)] = top + std::log(all);
    }
  }

  int64_t count(int64_t slot) const { return l_.slot_members[slot + 1] - l_.slot_members[slot]; }
  const int32_t* members(int64_t slot) const { return l_.members + l_.slot_members[slot]; }

  void place(int64_t r) {
    std::fill(where_.begin(), where_.end(), Where::kGone);
    merged_.resize(std::max(merged_.size(), static_cast<size_t>(l_.row_slots[r + 1] - l_.row_slots[r])));
    for (int64_t s = l_.row_slots[r]; s < l_.row_slots[r + 1]; ++s) {
      const int64_t n = count(s);
      const int32_t* const of = members(s);
      for (int64_t m = 0; m < n; ++m) where_[static_cast<size_t>(of[m])] = n > 1 ? Where::kMerged : Where::kOwn;
      if (n > 1 && l_.plain) mean(merged_[static_cast<size_t>(s - l_.row_slots[r])], of, n);
    }
  }

  // Key and value of a merged slot; made again only where its members are others than in the row before.
  struct Merged {
    std::vector<int32_t> of;
    std::vector<double> key, value;
  };
  void mean(Merged& merged, const int32_t* of, int64_t n) const {
    if (static_cast<int64_t>(merged.of.size()) == n && std::equal(of, of + n, merged.of.begin())) return;
    const auto take = [&](const float* rows, bool fixed, std::vector<double>& to) {
      to.assign(static_cast<size_t>(d_), 0);
      const int64_t used = fixed ? 1 : n;
      for (int64_t m = 0; m < used; ++m) {
        const float* const row = rows + static_cast<int64_t>(of[m]) * d_;
        for (int32_t i = 0; i < d_; ++i) to[static_cast<size_t>(i)] += static_cast<double>(row[i]);
      }
      for (double& x : to) x /= static_cast<double>(used);
    };
    take(l_.keys, l_.keys_fixed != 0, merged.key);
    take(l_.values, l_.values_fixed != 0, merged.value);
    merged.of.assign(of, of + n);
  }

  // Outputs of the slots without compensation, and of each slot's first token alone.
  void slots(int64_t r, int64_t h, const float* star) {
    const std::vector<double>& p = p_[static_cast<size_t>(h)];
    const float* const q = l_.queries + (r * group_ + h) * d_;
    std::vector<double>&first = sums_[0], &plain = sums_[1];
    first.assign(static_cast<size_t>(d_), 0), plain.assign(static_cast<size_t>(d_), 0);
    double of_first = 0, of_plain = 0;
    const auto add = [&](std::vector<double>& to, double weight, const auto* value) {
      for (int32_t i = 0; i < d_; ++i) to[static_cast<size_t>(i)] += weight * static_cast<double>(value[i]);
    };
    for (int64_t s = l_.row_slots[r]; s < l_.row_slots[r + 1]; ++s) {
      const int32_t seed = members(s)[0];
      const double own = p[static_cast<size_t>(seed)];
      const float* const value = l_.values + static_cast<int64_t>(seed) * d_;
      of_first += own;
      add(first, own, value);
      if (!l_.plain) continue;
      if (count(s) == 1) {
        of_plain += own;
        add(plain, own, value);
        continue;
      }
      const Merged& merged = merged_[static_cast<size_t>(s - l_.row_slots[r])];
      double logit = 0;
      for (int32_t i = 0; i < d_; ++i) logit += static_cast<double>(q[i]) * merged.key[static_cast<size_t>(i)];
      const double weight = std::exp(logit * static_cast<double>(scale_) - log_sum_[static_cast<size_t>(h)]);
      of_plain += weight;
      add(plain, weight, merged.value.data());
    }
    if (l_.dropped) l_.dropped[r * group_ + h] = relative_sum(first, of_first, star);
    if (l_.plain) l_.plain[r * group_ + h] = relative_sum(plain, of_plain, star);
  }

  void lost(int64_t r, int64_t h, const float* star) {
    const std::vector<double>& p = p_[static_cast<size_t>(h)];
    const double share = 1 / static_cast<double>(group_);
    float* const probability = l_.probability ? l_.probability + r * l_.tokens : nullptr;
    float* const change = l_.change ? l_.change + r * l_.tokens : nullptr;
    if (h == 0) {
      if (probability) std::fill_n(probability, l_.tokens, 0.0f);
      if (change) std::fill_n(change, l_.tokens, 0.0f);
    }
    for (int64_t t = 0; probability && t < seen_; ++t)
      probability[t] += static_cast<float>(p[static_cast<size_t>(t)] * share);
    if (!change) return;
    for (int64_t c = 0; c * kChunk < seen_; ++c) {
      const int64_t first = c * kChunk, count = std::min<int64_t>(kChunk, seen_ - first);
      const auto from = where_.begin() + first;
      if (std::all_of(from, from + count, [](Where where) { return where == Where::kOwn; })) continue;
      const KeyChunk chunk = values_.chunk(static_cast<int32_t>(c), nullptr);
      kernels_.similarity(ZS_L2, static_cast<const float*>(chunk.keys), static_cast<int32_t>(count), d_, star,
                          distances_.data());
      for (int64_t i = 0; i < count; ++i) {
        const size_t t = static_cast<size_t>(first + i);
        if (where_[t] == Where::kOwn) continue;
        change[t] += static_cast<float>(share * p[t] / rest(p, t) *
                                        std::sqrt(std::max(0.0, -static_cast<double>(distances_.data()[i]))));
      }
    }
  }

  // 1 - p[t], of what the others have where it is small.
  double rest(const std::vector<double>& p, size_t t) const {
    if (p[t] < 0.5) return 1 - p[t];
    double sum = 0;
    for (size_t i = 0; i < static_cast<size_t>(seen_); ++i)
      if (i != t) sum += p[i];
    return std::max(sum, 1e-300);
  }

  double length(const float* star) const {
    double sum = 0;
    for (int32_t i = 0; i < d_; ++i) sum += static_cast<double>(star[i]) * static_cast<double>(star[i]);
    return std::sqrt(sum);
  }
  double relative(const float* o, const float* star) const {
    double sum = 0;
    for (int32_t i = 0; i < d_; ++i) {
      const double off = static_cast<double>(o[i]) - static_cast<double>(star[i]);
      sum += off * off;
    }
    return sum == 0 ? 0 : std::sqrt(sum) / length(star);
  }
  double relative_sum(std::vector<double>& sum, double all, const float* star) const {
    for (double& x : sum) x /= all;
    const double off = distance(star, sum.data(), d_);
    return off == 0 ? 0 : off / length(star);
  }

  const AttentionKernels& kernels_;
  const zs_local& l_;
  const Pages &full_, &values_;
  const int32_t d_;
  const int64_t group_, padded_;
  const float scale_;
  const int64_t chunks_;
  Buffer e_, statistics_, partial_, out_, distances_;
  std::vector<std::vector<double>> p_;  // [group][tokens]
  std::vector<Where> where_;
  std::vector<Merged> merged_;
  std::vector<double> log_sum_, sums_[2];
  int64_t seen_ = 0;
};

// Rows of `keys` as kernels read keys, `values` as they read values.
Pages pages_of(const zs_local& l, const float* keys, const float* values) {
  Pages pages({l.head_dim, ZS_F32});
  const int32_t tokens = static_cast<int32_t>(l.tokens);
  pages.reserve(tokens);
  pages.resize(tokens);
  for (int32_t from = 0; from < tokens; from += kChunk)
    pages.write_rows(keys + static_cast<int64_t>(from) * l.head_dim, l.head_dim,
                     values + static_cast<int64_t>(from) * l.head_dim, l.head_dim, from,
                     std::min(kChunk, tokens - from));
  return pages;
}

}  // namespace
}  // namespace zs

extern "C" zs_status zs_local_measure(zs_engine* engine, const zs_local* local, zs_call* call) {
  return zs::guard([&] {
    if (!engine) zs::fail(ZS_INVALID, "engine is NULL: expected one from zs_engine_create");
    if (!local) zs::fail(ZS_INVALID, "local is NULL: expected what to measure");
    zs::check(*local);
    const std::lock_guard<std::mutex> lock(engine->busy);
    const zs::Pages full = zs::pages_of(*local, local->keys, local->values);
    const zs::Pages values = local->change ? zs::pages_of(*local, local->values, local->values) : zs::Pages();
    const int64_t units = (local->rows + zs::kRowsTogether - 1) / zs::kRowsTogether;
    engine->run(units, call, [&](int64_t unit, int) {
      zs::Rows rows(*engine->attention, *local, full, values);
      const int64_t end = std::min(local->rows, (unit + 1) * zs::kRowsTogether);
      for (int64_t r = unit * zs::kRowsTogether; r < end; ++r) rows.row(r);
    });
    zs::check_abort(call);
  });
}
