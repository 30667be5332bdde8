// The arithmetic of LocalHead: a block of rows over everything, and over the policy's slots.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/local_head.h"

namespace zs {
namespace {

// |a / all - b| / |b|, of each a(i) and b(i) up to d.
template <class A, class B>
double relative(int32_t d, double all, A a, B b) {
  double off = 0, length = 0;
  for (int32_t i = 0; i < d; ++i) {
    const double full = static_cast<double>(b(i)), one = static_cast<double>(a(i)) / all - full;
    off += one * one;
    length += full * full;
  }
  return off == 0 ? 0 : std::sqrt(off / length);
}

}  // namespace

// What the row's queries read in merged slots as they are then, without compensation.
void LocalHead::merged_slots(int64_t row, int in_block) {
  const Pages& pages = means_.pages();
  float *const e = few_.data(), *const highest = e + group_ * kChunk, *const sum = highest + group_,
               *const out = sum + group_;
  Merged* const merged = merged_.data() + in_block * group_;
  double* const values = merged_values_.data() + int64_t{in_block} * group_ * d_;
  std::fill_n(merged, group_, Merged{-INFINITY, 0});
  std::fill_n(values, group_ * d_, 0.0);
  for (int32_t c = 0; c < pages.chunks(); ++c) {
    DecodeTask task{};
    task.chunk = pages.chunk(c, nullptr);
    task.q = query(row), task.q_stride = d_;
    task.group = group_, task.d = d_, task.scale = cache_.scale();
    task.e = e, task.e_stride = kChunk, task.highest = highest, task.sum = sum, task.out = out;
    kernels_.decode(task);
    for (int32_t h = 0; h < group_; ++h) {
      const double here = static_cast<double>(highest[h]), top = std::max(here, merged[h].highest);
      const double old = std::exp(merged[h].highest - top), now = std::exp(here - top);
      merged[h] = {top, merged[h].sum * old + static_cast<double>(sum[h]) * now};
      for (int32_t i = 0; i < d_; ++i) {
        double& value = values[h * d_ + i];
        value = value * old + static_cast<double>(out[h * padded_ + i]) * now;
      }
    }
  }
}

// The block's outputs with nothing removed, and of what they are made.
void LocalHead::attend(const Block& block) {
  for (int row = 0; row < kLane; ++row) {
    const float* const q = query(block.first + std::min(row, block.rows - 1));
    for (int64_t i = 0; i < group_ * int64_t{d_}; ++i) queries_.data()[i * kLane + row] = q[i];
  }
  std::fill_n(top_.data(), lanes(1), -INFINITY);
  std::fill_n(outs_.data(), lanes(kKinds * padded_), 0.0f);
  std::fill(totals_.begin(), totals_.end(), 0.0);
  for (size_t c = 0; c < chunks_.size() && !stopped(); ++c) attend_chunk(static_cast<int64_t>(c));
  put_together();
}

void LocalHead::attend_chunk(int64_t c) {
  const KeyChunk& chunk = chunks_[static_cast<size_t>(c)];
  const int64_t first = c * kChunk;
  const float* const all = keys(c);
  for (int32_t slot = 0, end = static_cast<int32_t>(round_up(chunk.slots, kLane)); slot < end; ++slot)
    from_[slot] = all + slot / kLane * int64_t{d_} * kLane + slot % kLane;
  ProductsTask task{};
  task.from = from_, task.stride = kLane, task.count = chunk.slots;
  task.x = queries_.data(), task.group = group_, task.d = d_, task.scale = cache_.scale();
  task.out = e(first);
  kernels_.products(task);
  uint16_t seen[kChunk];
  for (int32_t slot = 0; slot < chunk.slots; ++slot) {
    const size_t at = static_cast<size_t>(first + slot);
    seen[slot] = rows_[kOwn][at] | rows_[kIn][at] | rows_[kLost][at];
  }
  float* const factor = factors_.data() + lanes(c);  // for a moment
  kernels_.powers(e(first), chunk.slots, group_, seen, top_.data(), factor);
  std::copy_n(top_.data(), lanes(1), highest_.data() + lanes(c));
  const bool higher = std::any_of(factor, factor + lanes(1), [](float by) { return by != 1.0f; });
  for (int kind = 0; higher && kind < kKinds; ++kind) {
    for (int32_t h = 0; h < group_; ++h) kernels_.times(out(kind) + h * padded_ * kLane, padded_, factor + h * kLane);
    for (int64_t i = 0; i < lanes(1); ++i) total(kind)[i] *= static_cast<double>(factor[i]);
  }
  weigh_chunk(c);
}

// Values by e, and e: of tokens that the rows find as they came, merged, gone, and of what merged slots began with.
void LocalHead::weigh_chunk(int64_t c) {
  const KeyChunk& chunk = chunks_[static_cast<size_t>(c)];
  const size_t first = static_cast<size_t>(c * kChunk);
  int32_t list[kChunk];
  uint16_t seeds[kChunk];
  for (int32_t slot = 0; slot < chunk.slots; ++slot)
    seeds[slot] = rows_[kSeed][first + static_cast<size_t>(slot)] & rows_[kIn][first + static_cast<size_t>(slot)];
  WeighTask task{};
  task.values = values(c);
  task.padded = padded_, task.list = list;
  task.e = e(c * kChunk), task.group = group_, task.d = d_, task.sum = few_.data();
  for (int kind = 0; kind < kKinds; ++kind) {
    task.rows = kind == kSeed ? seeds : rows_[kind].data() + first;
    task.count = 0;
    for (int32_t slot = 0; slot < chunk.slots; ++slot) {
      list[task.count] = slot;
      task.count += task.rows[slot] != 0;
    }
    if (task.count == 0) continue;
    task.out = out(kind);
    kernels_.weigh(task);
    for (int64_t i = 0; i < lanes(1); ++i) total(kind)[i] += static_cast<double>(task.sum[i]);
  }
}

void LocalHead::put_together() {
  const int64_t each = lanes(1), chunks = static_cast<int64_t>(chunks_.size());
  for (int64_t i = 0; i < each; ++i) {
    const double all = total(kOwn)[i] + total(kIn)[i] + total(kLost)[i];
    for (int64_t c = 0; c < chunks; ++c) {
      const double under = static_cast<double>(highest_.data()[c * each + i]) - static_cast<double>(top_.data()[i]);
      factors_.data()[c * each + i] = static_cast<float>(std::exp(under) / all);
    }
    const int64_t head = i / kLane, row = i % kLane;
    float length = 0;
    for (int64_t x = 0; x < d_; ++x) {
      const int64_t at = (head * padded_ + x) * kLane + row;
      const float sum = out(kOwn)[at] + out(kIn)[at] + out(kLost)[at];
      const float one = static_cast<float>(static_cast<double>(sum) / all);
      star_.data()[(head * d_ + x) * kLane + row] = one;
      length += one * one;
    }
    lengths_.data()[i] = length;
  }
}

void LocalHead::measure(const Block& block) {
  const int64_t heads = cache_.config.heads, before = heads + 2 * int64_t{cache_.config.kv_heads};
  for (int row = 0; row < block.rows; ++row)
    for (int32_t h = 0; h < group_; ++h) {
      const int64_t r = block.first + row, head = kv_head_ * int64_t{group_} + h, i = h * kLane + row;
      const int64_t at = (r * cache_.config.layers + layer_) * heads + head;
      const double own = total(kOwn)[i], seeds = total(kSeed)[i], in = total(kIn)[i], lost = total(kLost)[i];
      const double all = own + in + lost;
      const float* const star = star_.data() + h * int64_t{d_} * kLane + row;
      const auto off = [&](double of, auto a) {
        return relative(d_, of, a, [&](int32_t x) { return star[x * kLane]; });
      };
      const float* const policy = given(l_.positions[r] - prompt_, before + head);
      const auto of = [&](Kind kind, int32_t x) {
        return static_cast<double>(out(kind)[(h * padded_ + x) * kLane + row]);
      };
      const Merged& merged = merged_[static_cast<size_t>(row * group_ + h)];
      const double* const values = merged_values_.data() + (row * int64_t{group_} + h) * d_;
      const double factor = std::exp(merged.highest - static_cast<double>(top_.data()[i]));
      l_.error[at] = off(1, [&](int32_t x) { return policy[x]; });
      l_.dropped[at] = off(own + seeds, [&](int32_t x) { return of(kOwn, x) + of(kSeed, x); });
      l_.plain[at] = off(own + factor * merged.sum, [&](int32_t x) { return of(kOwn, x) + factor * values[x]; });
      l_.missed[at] = lost / all;
      l_.blurred[at] = in / all;
    }
}

void LocalHead::count_losses(const Block& block) {
  // The last chunk first: what it takes was just used.
  for (int64_t c = static_cast<int64_t>(chunks_.size()) - 1; c >= 0 && !stopped(); --c) {
    losses_.entries(c * kChunk, tokens_in(c), block.all, entries_);
    for (size_t i = 0; i < entries_.size(); i += kChunk) count_chunk(block, c, i);
  }
}

// Entries of the chunk from number `from` on, as many as there is room for.
void LocalHead::count_chunk(const Block& block, int64_t c, size_t from) {
  const LocalLosses::Entry* const entries = entries_.data() + from;
  const int32_t count = static_cast<int32_t>(std::min<size_t>(kChunk, entries_.size() - from));
  const int64_t first = c * kChunk;
  const float* const all = values(c);
  int32_t list[kChunk];
  uint16_t rows[kChunk], most_rows[kChunk], heavy[kChunk];
  float p[kChunk], change[kChunk], most[kChunk];
  for (int32_t j = 0; j < count; ++j) {
    list[j] = static_cast<int32_t>(entries[j].place - first), rows[j] = static_cast<uint16_t>(entries[j].rows);
    from_[j] = all + list[j] * padded_;
  }
  std::fill_n(from_ + count, round_up(count, kBeside) - count, all);
  ProductsTask products{};
  products.from = from_, products.stride = 1, products.count = count;
  products.x = star_.data(), products.group = group_, products.d = d_, products.scale = 1;
  products.out = products_.data();
  kernels_.products(products);
  LeaveOutTask task{};
  task.list = list, task.rows = rows, task.count = count;
  task.values = all, task.squares = squares_.data() + first, task.padded = padded_;
  task.e = e(first), task.factor = factors_.data() + lanes(c);
  task.out = star_.data(), task.own = lengths_.data(), task.products = products_.data();
  task.group = group_, task.d = d_;
  task.p = p, task.change = change, task.most = most, task.most_rows = most_rows, task.heavy = heavy;
  kernels_.leave_out(task);
  const double share = 1.0 / group_;
  for (int32_t j = 0; j < count; ++j) {
    double changed = static_cast<double>(change[j]);
    for (int row = 0; heavy[j] >> row; ++row)
      for (int32_t h = 0; (heavy[j] >> row & 1) && h < group_; ++h) changed += without(entries[j].place, h, row);
    const int64_t most_row = block.first + __builtin_ctz(most_rows[j]);
    losses_.add(entries[j].loss, share * static_cast<double>(p[j]), share * changed,
                share * static_cast<double>(most[j]), most_row);
  }
}

// |o - o*| of the output o without whoever is at `place`, where it has most; else 0. Of what the others have: p |o - v|, and o* - v and
// 1 - p are both small.
double LocalHead::without(int64_t place, int32_t h, int row) {
  const auto share = [&](int64_t at) {
    const int64_t i = h * kLane + row;
    return e(at)[i] * factors_.data()[lanes(at / kChunk) + i];
  };
  const float p = share(place);
  if (p < 0.5f) return 0;
  std::vector<double> off(static_cast<size_t>(d_));
  std::vector<float> own(off.size()), value(off.size());
  const auto read = [&](int64_t at, std::vector<float>& to) {
    const bool prompt = at < given_from_;
    (prompt ? prompt_pages() : own_).read(static_cast<int32_t>(prompt ? at : at - given_from_), nullptr, to.data());
  };
  read(place, own);
  double others = 0;
  for (size_t c = 0; c < chunks_.size(); ++c)
    for (int64_t at = static_cast<int64_t>(c) * kChunk, end = at + chunks_[c].slots; at < end; ++at) {
      const size_t i = static_cast<size_t>(at);
      if (at == place || !((rows_[kOwn][i] | rows_[kIn][i] | rows_[kLost][i]) >> row & 1)) continue;
      const double one = static_cast<double>(share(at));
      if (one == 0) continue;
      read(at, value);
      others += one;
      for (size_t x = 0; x < off.size(); ++x)
        off[x] += one * (static_cast<double>(value[x]) - static_cast<double>(own[x]));
    }
  if (others == 0) return 0;
  double square = 0;
  for (const double x : off) square += x * x;
  return static_cast<double>(p) * std::sqrt(square) / others;
}

}  // namespace zs
