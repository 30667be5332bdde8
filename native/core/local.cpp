// What a head's queries would have read with nothing removed, beside what the policy's slots made of it (zs_cache_local).
#include <algorithm>
#include <cmath>
#include <utility>

#include "core/work.h"

namespace zs {
namespace {

constexpr int64_t kRowsTogether = 8;  // of a unit: what merged slots hold changes little from row to row

long long n(int64_t value) { return value; }

void check(const zs_local& l, const RecordedHead& head) {
  if (l.rows < 0) fail(ZS_INVALID, "rows is %lld: expected 0 or more", n(l.rows));
  if (l.losses < 0) fail(ZS_INVALID, "losses is %lld: expected 0 or more", n(l.losses));
  const bool given = l.positions && l.row_slots && l.slot_members && l.members && l.error && l.dropped && l.plain &&
                     l.missed && l.blurred;
  if (l.rows && !given) fail(ZS_INVALID, "an array of the rows is NULL: give all of them");
  if (l.losses && !(l.lost_positions && l.lost_rows && l.probability && l.worst && l.change && l.worst_row))
    fail(ZS_INVALID, "an array of the losses is NULL: give all of them");
  std::vector<int64_t> seen(static_cast<size_t>(head.tokens()), -1);  // the last row that has it
  for (int64_t r = 0; r < l.rows; ++r) {
    if (l.positions[r] < head.first_output() || l.positions[r] >= head.tokens())
      fail(ZS_INVALID, "positions[%lld] is %d: expected one whose output is recorded, %lld to %lld", n(r),
           l.positions[r], n(head.first_output()), n(head.tokens() - 1));
    if (l.row_slots[r] < 0 || l.row_slots[r + 1] <= l.row_slots[r])
      fail(ZS_INVALID, "row %lld read no slot: expected row_slots that ascend", n(r));
    for (int64_t s = l.row_slots[r]; s < l.row_slots[r + 1]; ++s) {
      if (l.slot_members[s] < 0 || l.slot_members[s + 1] <= l.slot_members[s])
        fail(ZS_INVALID, "slot %lld of row %lld stands for nothing", n(s - l.row_slots[r]), n(r));
      for (int64_t m = l.slot_members[s]; m < l.slot_members[s + 1]; ++m)
        if (const int32_t t = l.members[m];
            t < 0 || t > l.positions[r] || std::exchange(seen[static_cast<size_t>(t)], r) == r)
          fail(ZS_INVALID, "member %d of slot %lld, row %lld: expected positions from 0 to %d, each once", t,
               n(s - l.row_slots[r]), n(r), l.positions[r]);
    }
  }
  for (int64_t i = 0; i < l.losses; ++i)
    if (l.lost_positions[i] < 0 || l.lost_positions[i] >= head.tokens() || l.lost_rows[i] < 0 ||
        (l.lost_rows[i] < l.rows && l.lost_positions[i] > l.positions[l.lost_rows[i]]) ||
        (l.lost_ends && l.lost_ends[i] < l.lost_rows[i]))
      fail(ZS_INVALID,
           "loss %lld is of position %d, from row %d up to %d: expected one that its rows have seen, and rows that "
           "ascend",
           n(i), l.lost_positions[i], l.lost_rows[i], l.lost_ends ? l.lost_ends[i] : static_cast<int32_t>(l.rows));
}

// What was given, twice: as attention reads it, and values as it reads keys, for their distances.
struct Given {
  Pages full, values;
  Given(const RecordedHead& head, int32_t d) : full({d, ZS_F32}), values({d, ZS_F32}) {
    const int32_t tokens = static_cast<int32_t>(head.tokens());
    for (Pages* pages : {&full, &values}) {
      pages->reserve(tokens);
      pages->resize(tokens);
    }
    head.each_block([&](int64_t from, int64_t rows, const float* keys, const float* values_of) {
      for (int64_t at = 0, count; at < rows; at += count) {
        count = std::min(rows - at, kChunk - (from + at) % kChunk);
        const int32_t first = static_cast<int32_t>(from + at), many = static_cast<int32_t>(count);
        full.write_rows(keys + at * d, d, values_of + at * d, d, first, many);
        values.write_rows(values_of + at * d, d, values_of + at * d, d, first, many);
      }
    });
  }
  const float* value(int64_t t, int64_t padded) const {
    const KeyChunk chunk = full.chunk(static_cast<int32_t>(t / kChunk), nullptr);
    return static_cast<const float*>(chunk.values) + t % kChunk * padded;
  }
};

// A unit's share of what was lost.
struct Losses {
  std::vector<double> probability, worst, change;
  std::vector<int32_t> worst_row;
  explicit Losses(size_t count) : probability(count), worst(count), change(count), worst_row(count, -1) {}
};

// The rows of one unit, one after another.
class Rows {
 public:
  Rows(const zs_cache& cache, const zs_local& l, const RecordedHead& head, const Given& given)
      : kernels_(*cache.engine->attention),
        l_(l),
        head_(head),
        given_(given),
        d_(cache.config.head_dim),
        group_(cache.group()),
        padded_(round_up(d_, kLane)),
        scale_(cache.scale()),
        chunks_(given.full.chunks()),
        e_(chunks_ * group_ * kChunk),
        statistics_(3 * chunks_ * group_),
        partial_(chunks_ * group_ * padded_),
        out_(group_ * padded_),
        distances_(group_ * chunks_ * kChunk),
        stride_(chunks_ * kChunk),
        p_(static_cast<size_t>(group_ * stride_)),
        all_p_(static_cast<size_t>(stride_)),
        all_change_(static_cast<size_t>(stride_)),
        log_sum_(static_cast<size_t>(group_)),
        losses(static_cast<size_t>(l.losses)) {}

  void row(int64_t r) {
    seen_ = l_.positions[r] + 1;
    query_ = head_.query(l_.positions[r]);
    attend();
    means(r);
    for (int64_t h = 0; h < group_; ++h) {
      const int64_t at = r * group_ + h;
      l_.error[at] = relative(head_.output(l_.positions[r]) + h * d_, 1, h);
      slots(r, h);
    }
    lost(r);
  }

 private:
  float* star(int64_t h) { return out_.data() + h * padded_; }
  // Probability with nothing removed.
  double p(int64_t h, int64_t t) const { return static_cast<double>(p_[static_cast<size_t>(h * stride_ + t)]); }

  void attend() {
    const int64_t chunks = round_up(seen_, kChunk) / kChunk, stats = chunks * group_;
    float *highest = statistics_.data(), *sum = highest + stats, *factor = sum + stats;
    for (int64_t c = 0; c < chunks; ++c) {
      DecodeTask task{};
      task.chunk = given_.full.chunk(static_cast<int32_t>(c), nullptr);
      task.chunk.slots = static_cast<int32_t>(std::min<int64_t>(kChunk, seen_ - c * kChunk));
      task.q = query_;
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
    for (int64_t h = 0; h < group_; ++h) {
      double top = -INFINITY, all = 0;
      for (int64_t c = 0; c < chunks; ++c) top = std::max(top, static_cast<double>(highest[c * group_ + h]));
      for (int64_t c = 0; c < chunks; ++c)
        all += static_cast<double>(sum[c * group_ + h]) * std::exp(static_cast<double>(highest[c * group_ + h]) - top);
      for (int64_t c = 0; c < chunks; ++c) {
        const float weight = static_cast<float>(std::exp(static_cast<double>(highest[c * group_ + h]) - top) / all);
        const float* const e = e_.data() + (c * group_ + h) * kChunk;
        float* const p = p_.data() + h * stride_ + c * kChunk;
        for (int64_t i = 0; i < kChunk; ++i) p[i] = e[i] * weight;
      }
      log_sum_[static_cast<size_t>(h)] = top + std::log(all);
    }
  }

  int64_t count(int64_t slot) const { return l_.slot_members[slot + 1] - l_.slot_members[slot]; }
  const int32_t* members(int64_t slot) const { return l_.members + l_.slot_members[slot]; }

  // Key and value of each merged slot; made again only where its members are others than in the row before.
  struct Merged {
    std::vector<int32_t> of;
    std::vector<double> key, value;
  };
  void means(int64_t r) {
    merged_.resize(std::max(merged_.size(), static_cast<size_t>(l_.row_slots[r + 1] - l_.row_slots[r])));
    std::vector<float> key(static_cast<size_t>(d_)), value(static_cast<size_t>(d_));
    for (int64_t s = l_.row_slots[r]; s < l_.row_slots[r + 1]; ++s) {
      const int64_t many = count(s);
      const int32_t* const of = members(s);
      Merged& merged = merged_[static_cast<size_t>(s - l_.row_slots[r])];
      if (many == 1 || (static_cast<int64_t>(merged.of.size()) == many && std::equal(of, of + many, merged.of.begin())))
        continue;
      merged.of.assign(of, of + many);
      merged.key.assign(static_cast<size_t>(d_), 0), merged.value.assign(static_cast<size_t>(d_), 0);
      for (int64_t m = 0; m < many; ++m) {
        given_.full.read(of[m], key.data(), value.data());
        for (size_t i = 0; i < key.size(); ++i) {
          if (m == 0 || !l_.keys_fixed) merged.key[i] += static_cast<double>(key[i]);
          if (m == 0 || !l_.values_fixed) merged.value[i] += static_cast<double>(value[i]);
        }
      }
      for (size_t i = 0; i < key.size(); ++i) {
        if (!l_.keys_fixed) merged.key[i] /= static_cast<double>(many);
        if (!l_.values_fixed) merged.value[i] /= static_cast<double>(many);
      }
    }
  }

  // Probability of what is gone and of what is merged; outputs of each slot's first token alone, and of the slots without compensation.
  void slots(int64_t r, int64_t h) {
    const size_t d = static_cast<size_t>(d_);
    own_.assign(static_cast<size_t>(padded_), 0);
    std::vector<double>&first = sums_[0], &plain = sums_[1];
    first.assign(d, 0), plain.assign(d, 0);
    double of_own = 0, of_first = 0, of_plain = 0, blurred = 0;
    for (int64_t s = l_.row_slots[r]; s < l_.row_slots[r + 1]; ++s) {
      const int32_t* const of = members(s);
      const double seed = p(h, of[0]);
      const float* const value = given_.value(of[0], padded_);
      if (count(s) == 1) {
        of_own += seed;
        const float weight = static_cast<float>(seed);
        for (size_t i = 0; i < own_.size(); ++i) own_[i] += weight * value[i];
        continue;
      }
      for (int64_t m = 0; m < count(s); ++m) blurred += p(h, of[m]);
      const Merged& merged = merged_[static_cast<size_t>(s - l_.row_slots[r])];
      double logit = 0;
      for (size_t i = 0; i < d; ++i)
        logit += static_cast<double>(query_[h * d_ + static_cast<int64_t>(i)]) * merged.key[i];
      const double weight = std::exp(logit * static_cast<double>(scale_) - log_sum_[static_cast<size_t>(h)]);
      of_first += seed, of_plain += weight;
      for (size_t i = 0; i < d; ++i) {
        first[i] += seed * static_cast<double>(value[i]);
        plain[i] += weight * merged.value[i];
      }
    }
    for (size_t i = 0; i < d; ++i) first[i] += static_cast<double>(own_[i]), plain[i] += static_cast<double>(own_[i]);
    const int64_t at = r * group_ + h;
    l_.dropped[at] = relative(first.data(), of_own + of_first, h);
    l_.plain[at] = relative(plain.data(), of_own + of_plain, h);
    l_.blurred[at] = blurred;
    l_.missed[at] = std::max(0.0, missed(r, h, of_own + blurred));
  }

  // What neither has; where that is little, summed by itself.
  double missed(int64_t r, int64_t h, double rest) {
    if (rest < 0.99) return 1 - rest;
    if (l_.slot_members[l_.row_slots[r + 1]] - l_.slot_members[l_.row_slots[r]] == seen_) return 0;
    gone_.assign(static_cast<size_t>(seen_), 1);
    for (int64_t m = l_.slot_members[l_.row_slots[r]]; m < l_.slot_members[l_.row_slots[r + 1]]; ++m)
      gone_[static_cast<size_t>(l_.members[m])] = 0;
    double sum = 0;
    for (int64_t t = 0; t < seen_; ++t)
      if (gone_[static_cast<size_t>(t)]) sum += p(h, t);
    return sum;
  }

  void lost(int64_t r) {
    if (l_.losses == 0) return;
    for (int64_t h = 0; h < group_; ++h)
      for (int64_t c = 0; c * kChunk < seen_; ++c) {
        const KeyChunk chunk = given_.values.chunk(static_cast<int32_t>(c), nullptr);
        kernels_.similarity(ZS_L2, static_cast<const float*>(chunk.keys),
                            static_cast<int32_t>(std::min<int64_t>(kChunk, seen_ - c * kChunk)), d_, star(h),
                            distances_.data() + (h * chunks_ + c) * kChunk);
      }
    std::fill(all_p_.begin(), all_p_.end(), 0.0f), std::fill(all_change_.begin(), all_change_.end(), 0.0f);
    for (int64_t h = 0; h < group_; ++h) {
      const float *const of = p_.data() + h * stride_, *const distance = distances_.data() + h * stride_;
      for (int64_t t = 0; t < seen_; ++t) {  // a loop that becomes vectors
        const size_t at = static_cast<size_t>(t);
        all_p_[at] += of[t];
        all_change_[at] += of[t] < 0.5f ? of[t] / (1 - of[t]) * std::sqrt(std::fabs(distance[t])) : 0;
      }
      for (int64_t t = 0; t < seen_; ++t)
        if (of[t] >= 0.5f) all_change_[static_cast<size_t>(t)] += static_cast<float>(without(h, t));
    }
    const double share = 1 / static_cast<double>(group_);
    for (int64_t i = 0; i < l_.losses; ++i) {
      if (l_.lost_rows[i] > r || (l_.lost_ends && l_.lost_ends[i] <= r)) continue;
      const size_t at = static_cast<size_t>(i), t = static_cast<size_t>(l_.lost_positions[i]);
      const double probability = static_cast<double>(all_p_[t]);
      losses.probability[at] += probability * share;
      losses.change[at] += static_cast<double>(all_change_[t]) * share;
      if (losses.worst_row[at] >= 0 && probability * share <= losses.worst[at]) continue;
      losses.worst[at] = probability * share;
      losses.worst_row[at] = static_cast<int32_t>(r);
    }
  }

  // |o - o*| of the output o without t, where t has most: as p |o - v|, since both o* - v and 1 - p are then small.
  double without(int64_t h, int64_t t) {
    std::vector<double>& o = sums_[0];
    o.assign(static_cast<size_t>(d_), 0);
    double all = 0;
    for (int64_t i = 0; i < seen_; ++i) {
      if (i == t) continue;
      const float* const value = given_.value(i, padded_);
      for (size_t x = 0; x < o.size(); ++x) o[x] += p(h, i) * static_cast<double>(value[x]);
      all += p(h, i);
    }
    if (all == 0) return 0;
    const float* const value = given_.value(t, padded_);
    double sum = 0;
    for (size_t x = 0; x < o.size(); ++x) {
      const double off = o[x] / all - static_cast<double>(value[x]);
      sum += off * off;
    }
    return p(h, t) * std::sqrt(sum);
  }

  // |of / all - o*| / |o*| of query head h.
  template <class T>
  double relative(const T* of, double all, int64_t h) {
    double off = 0, length = 0;
    for (int32_t i = 0; i < d_; ++i) {
      const double full = static_cast<double>(star(h)[i]), one = static_cast<double>(of[i]) / all - full;
      off += one * one;
      length += full * full;
    }
    return off == 0 ? 0 : std::sqrt(off / length);
  }

  const AttentionKernels& kernels_;
  const zs_local& l_;
  const RecordedHead& head_;
  const Given& given_;
  const int32_t d_;
  const int64_t group_, padded_;
  const float scale_;
  const int64_t chunks_;
  Buffer e_, statistics_, partial_, out_, distances_;
  const int64_t stride_;
  std::vector<float> p_;                   // [group][stride_]: probability with nothing removed
  std::vector<float> all_p_, all_change_;  // [stride_]: sums of the group
  std::vector<double> log_sum_;            // ln of the sum of exp(logit)
  std::vector<double> sums_[2];
  std::vector<float> own_;
  std::vector<Merged> merged_;
  std::vector<uint8_t> gone_;
  const float* query_ = nullptr;
  int64_t seen_ = 0;

 public:
  Losses losses;
};

void measure(zs_cache& cache, const zs_local& l, zs_call* call) {
  const RecordedHead head(cache, l.layer, l.kv_head);
  check(l, head);
  const Given given(head, cache.config.head_dim);
  const int64_t units = (l.rows + kRowsTogether - 1) / kRowsTogether;
  std::vector<std::unique_ptr<Losses>> parts(static_cast<size_t>(units));
  cache.engine->run(units, call, [&](int64_t unit, int) {
    Rows rows(cache, l, head, given);
    for (int64_t r = unit * kRowsTogether; r < std::min(l.rows, (unit + 1) * kRowsTogether); ++r) rows.row(r);
    parts[static_cast<size_t>(unit)] = std::make_unique<Losses>(std::move(rows.losses));
  });
  check_abort(call);
  for (int64_t i = 0; i < l.losses; ++i) {
    const size_t at = static_cast<size_t>(i);
    l.probability[i] = l.worst[i] = l.change[i] = 0;
    l.worst_row[i] = -1;
    for (const auto& part : parts) {
      l.probability[i] += part->probability[at];
      l.change[i] += part->change[at];
      if (part->worst_row[at] < 0 || (l.worst_row[i] >= 0 && part->worst[at] <= l.worst[i])) continue;
      l.worst[i] = part->worst[at];
      l.worst_row[i] = part->worst_row[at];
    }
  }
}

}  // namespace
}  // namespace zs

extern "C" zs_status zs_cache_local(zs_cache* cache, const zs_local* local, zs_call* call) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    if (!local) zs::fail(ZS_INVALID, "local is NULL: expected what to measure");
    if (local->struct_bytes != static_cast<int32_t>(sizeof(zs_local)))
      zs::fail(ZS_INVALID, "struct_bytes is %d: expected sizeof(zs_local)", local->struct_bytes);
    const std::lock_guard<std::mutex> lock(cache->engine->busy);
    zs::measure(*cache, *local, call);
  });
}
