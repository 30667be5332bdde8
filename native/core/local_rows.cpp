// The arithmetic of LocalHead: a block of rows over everything, and over the policy's slots.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/local_head.h"

namespace zs {
namespace {

int32_t whole(int64_t slots) { return static_cast<int32_t>(round_up(slots, kLane)); }
void fill(Buffer& buffer, int64_t count, float value) { std::fill_n(buffer.data(), count, value); }

// |a / all - b| / |b|
template <class T>
double relative(const T* a, double all, const float* b, int32_t d) {
  double off = 0, length = 0;
  for (int32_t i = 0; i < d; ++i) {
    const double full = static_cast<double>(b[i]), one = static_cast<double>(a[i]) / all - full;
    off += one * one;
    length += full * full;
  }
  return off == 0 ? 0 : std::sqrt(off / length);
}

}  // namespace

// Logits of merged slots as they are at the row, without compensation, and what these read.
void LocalHead::merged_slots(int64_t row, int64_t first) {
  const Pages& pages = means_.pages();
  float *const e = few_.data(), *const highest = e + group_ * kChunk, *const out = highest + 2 * group_;
  std::vector<const float*> q;
  for (int32_t h = 0; h < group_; ++h) {
    q.push_back(query(row, h));
    Merged& merged = merged_[static_cast<size_t>(first + h)];
    merged.highest = -INFINITY, merged.sum = 0;
    merged.values.assign(static_cast<size_t>(d_), 0);
  }
  for (int32_t c = 0; c < pages.chunks(); ++c) {
    LogitsTask task{};
    task.chunk = pages.chunk(c, nullptr);
    const std::vector<int64_t> visible(static_cast<size_t>(group_), task.chunk.slots);
    task.q = q.data(), task.visible = visible.data();
    task.rows = group_, task.d = d_, task.scale = cache_.scale();
    task.out = e, task.stride = kChunk, task.highest = highest, task.scratch = scratch_.data();
    std::fill_n(highest, group_, -INFINITY), std::fill_n(out, group_ * padded_, 0.0f);
    kernels_.logits(task);
    for (int32_t h = 0; h < group_; ++h)
      highest[group_ + h] = kernels_.powers(e + h * kChunk, whole(task.chunk.slots), highest[h]);
    kernels_.weigh(static_cast<const float*>(task.chunk.values), padded_, task.chunk.slots, e, kChunk, group_, out);
    for (int32_t h = 0; h < group_; ++h) {
      Merged& merged = merged_[static_cast<size_t>(first + h)];
      const double here = static_cast<double>(highest[h]), top = std::max(here, merged.highest);
      const double old = std::exp(merged.highest - top), now = std::exp(here - top);
      merged.highest = top;
      merged.sum = merged.sum * old + static_cast<double>(highest[group_ + h]) * now;
      for (int32_t i = 0; i < d_; ++i) {
        double& value = merged.values[static_cast<size_t>(i)];
        value = value * old + static_cast<double>(out[h * padded_ + i]) * now;
      }
    }
  }
}

// e: exp(logit - highest) of every query and place; what these sum up to.
void LocalHead::attend(const Block& block) {
  std::vector<const float*> q;
  for (int64_t r = 0; r < block.rows; ++r)
    for (int32_t h = 0; h < group_; ++h) q.push_back(query(block.first + r, h));
  std::vector<int64_t> visible(static_cast<size_t>(block.queries));
  fill(highest_, block.queries, -INFINITY);
  const int64_t chunks = static_cast<int64_t>(chunks_.size());
  for (int64_t c = 0; c < chunks && !stopped(); ++c) {
    for (int64_t i = 0; i < block.queries; ++i) {
      const int64_t before = c * kChunk - given_from_ + prompt_;  // tokens before a chunk after the prompt
      const int64_t seen = l_.positions[block.first + i / group_] + 1 - before;
      visible[static_cast<size_t>(i)] =
          c * kChunk < given_from_ ? tokens_in(c) : std::clamp<int64_t>(seen, 0, tokens_in(c));
    }
    LogitsTask task{};
    task.chunk = chunks_[static_cast<size_t>(c)];
    task.q = q.data(), task.visible = visible.data();
    task.rows = static_cast<int32_t>(block.queries), task.d = d_, task.scale = cache_.scale();
    task.out = e(0, c), task.stride = places_, task.highest = highest_.data(), task.scratch = scratch_.data();
    kernels_.logits(task);
  }
  for (int64_t i = 0; i < block.queries; ++i) {
    double all = 0;
    for (int64_t c = 0; c < chunks; ++c) {
      float& sum = sums_.data()[i * chunks + c];
      sum = kernels_.powers(e(i, c), whole(tokens_in(c)), highest_.data()[i]);
      all += static_cast<double>(sum);
    }
    inverse_.data()[i] = static_cast<float>(1 / all);
  }
}

// Values by e: of everything, of tokens that stand alone, of what merged slots began with; and the shares of what is merged and gone.
void LocalHead::weigh(const Block& block) {
  for (Buffer* one : {&star_, &alone_, &seeded_}) fill(*one, block.queries * padded_, 0);
  for (Buffer* one : {&alone_sum_, &seeded_sum_, &blurred_, &missed_}) fill(*one, block.queries, 0);
  const int64_t chunks = static_cast<int64_t>(chunks_.size());
  for (int64_t c = 0; c < chunks && !stopped(); ++c) {
    const float* const values = values_.data() + c * kChunk * padded_;
    const int32_t slots = static_cast<int32_t>(tokens_in(c));
    kernels_.weigh(values, padded_, slots, e(0, c), places_, static_cast<int32_t>(block.queries), star_.data());
    for (int64_t r = 0; r < block.rows; ++r) {
      const Version& read = versions_[static_cast<size_t>(read_[static_cast<size_t>(r * chunks + c)])];
      const int64_t first = r * group_;
      const auto some = [&](const std::vector<int32_t>& list, Buffer& out, Buffer& sum) {
        kernels_.weigh_some(values, padded_, list.data(), static_cast<int32_t>(list.size()), e(first, c), places_,
                            group_, out.data() + first * padded_, sum.data() + first);
      };
      some(read.alone, alone_, alone_sum_);
      some(read.seeds, seeded_, seeded_sum_);
      for (int64_t i = first; i < first + group_; ++i) {
        blurred_.data()[i] += kernels_.dot(e(i, c), read.merged, whole(slots));
        missed_.data()[i] += kernels_.dot(e(i, c), read.gone, whole(slots));
      }
    }
  }
  for (int64_t i = 0; i < block.queries; ++i)
    for (int32_t x = 0; x < d_; ++x) star(i)[x] *= inverse_.data()[i];
}

void LocalHead::measure(const Block& block) {
  std::vector<double> of(static_cast<size_t>(d_));
  const int64_t heads = cache_.config.heads, before = heads + 2 * int64_t{cache_.config.kv_heads};
  for (int64_t i = 0; i < block.queries; ++i) {
    const int64_t row = block.first + i / group_, head = kv_head_ * int64_t{group_} + i % group_;
    const int64_t at = (row * cache_.config.layers + layer_) * heads + head;
    const double inverse = static_cast<double>(inverse_.data()[i]);
    l_.error[at] = relative(given(l_.positions[row] - prompt_, before + head), 1, star(i), d_);
    l_.blurred[at] = static_cast<double>(blurred_.data()[i]) * inverse;
    l_.missed[at] = static_cast<double>(missed_.data()[i]) * inverse;
    const double alone = static_cast<double>(alone_sum_.data()[i]);
    const float *const own = alone_.data() + i * padded_, *const seeded = seeded_.data() + i * padded_;
    for (size_t x = 0; x < of.size(); ++x) of[x] = static_cast<double>(own[x]) + static_cast<double>(seeded[x]);
    l_.dropped[at] = relative(of.data(), alone + static_cast<double>(seeded_sum_.data()[i]), star(i), d_);
    const Merged& merged = merged_[static_cast<size_t>(i)];
    const double factor = std::exp(merged.highest - static_cast<double>(highest_.data()[i]));
    for (size_t x = 0; x < of.size(); ++x) of[x] = static_cast<double>(own[x]) + factor * merged.values[x];
    l_.plain[at] = relative(of.data(), alone + factor * merged.sum, star(i), d_);
  }
}

void LocalHead::count_losses(const Block& block) {
  const int64_t chunks = static_cast<int64_t>(chunks_.size());
  std::vector<const float*> out;
  for (int64_t i = 0; i < block.queries; ++i) out.push_back(star(i));
  for (int64_t c = 0; c < chunks && !stopped(); ++c) {
    const int32_t slots = static_cast<int32_t>(tokens_in(c));
    kernels_.tiles(values_.data() + c * kChunk * padded_, padded_, slots, d_, tiles_.data(), lengths_.data());
    for (int64_t r = 0; r < block.rows; ++r) {
      LeaveOutTask task{};
      task.tiles = tiles_.data(), task.lengths = lengths_.data();
      task.slots = slots, task.d = d_, task.group = group_;
      task.e = e(r * group_, c), task.e_stride = places_, task.inverse = inverse_.data() + r * group_;
      task.out = out.data() + r * group_;
      task.p = p_.data() + r * places_ + c * kChunk, task.change = change_.data() + r * places_ + c * kChunk;
      kernels_.leave_out(task);
    }
  }
  for (int64_t r = 0; r < block.rows && !stopped(); ++r) {
    for (const auto& [at, loss] : lost_[static_cast<size_t>(r)]) loss < 0 ? losses_.end(at) : losses_.begin(at, loss);
    for (int64_t c = 0; c < chunks; ++c) {
      losses_.row(block.first + r, p_.data() + r * places_ + c * kChunk, change_.data() + r * places_ + c * kChunk,
                  c * kChunk, whole(tokens_in(c)));
      for (int64_t i = r * group_; i < (r + 1) * group_; ++i) {
        const float inverse = inverse_.data()[i];
        if (!(sums_.data()[i * chunks + c] * inverse >= 0.499f)) continue;
        for (int32_t slot = 0; slot < tokens_in(c); ++slot)
          if (e(i, c)[slot] * inverse >= 0.5f && losses_.lost(c * kChunk + slot))
            losses_.exact(c * kChunk + slot, without(i, c * kChunk + slot));
      }
    }
  }
  losses_.flush();
}

// |o - o*| of the output o without whoever is at `place`, where it has most: as p |o - v|, since both o* - v and 1 - p are then small.
double LocalHead::without(int64_t i, int64_t place) {
  float& own = e(i, 0)[place];
  const double p = static_cast<double>(own * inverse_.data()[i]);
  const float before = std::exchange(own, 0.0f);
  std::fill_n(one_.data(), padded_, 0.0f);
  double all = 0, off = 0;
  for (size_t c = 0; c < chunks_.size(); ++c) {
    const float* const at = e(i, static_cast<int64_t>(c));
    kernels_.weigh(values_.data() + static_cast<int64_t>(c) * kChunk * padded_, padded_, chunks_[c].slots, at, places_,
                   1, one_.data());
    for (int32_t slot = 0; slot < chunks_[c].slots; ++slot) all += static_cast<double>(at[slot]);
  }
  own = before;
  if (all == 0) return 0;
  const float* const value = values_.data() + place * padded_;
  for (int32_t x = 0; x < d_; ++x) {
    const double one = static_cast<double>(one_.data()[x]) / all - static_cast<double>(value[x]);
    off += one * one;
  }
  return p * std::sqrt(off);
}

}  // namespace zs
