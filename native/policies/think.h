// ThinK (arXiv 2407.21018), around a policy that leaves a prompt's slots alone once it has chosen: the keys of the older ones lose the
// channels that the prompt's last queries hardly look at. What is newest, and all that comes later, stays whole; so do values.
#ifndef ZSLAB_POLICIES_THINK_H
#define ZSLAB_POLICIES_THINK_H

#include <cstring>

#include "core/half.h"
#include "policies/regions.h"

namespace zs {
namespace think {

struct Parameters {
  double ratio;    // of the channels are pruned, rounded down
  int32_t recent;  // newest slots of the prompt that stay whole
  int32_t window;  // of the prompt's last queries that say what matters
};

// Numbers in a storage type, zero at first.
class Numbers {
 public:
  Numbers(int32_t storage, size_t count)
      : storage_(storage),
        bytes_(static_cast<int64_t>(count) * (storage == ZS_F32 ? 4 : 2)),
        memory_(page_memory(bytes_)) {
    std::memset(memory_.get(), 0, static_cast<size_t>(bytes_));
  }
  void set(size_t i, float x) {
    if (storage_ == ZS_F32)
      at<float>()[i] = x;
    else
      at<uint16_t>()[i] = storage_ == ZS_F16 ? f16_of(x) : bf16_of(x);
  }
  // Every stride-th of them from `from` on.
  void read(size_t from, size_t stride, int32_t count, float* __restrict out) const {
    for (int32_t i = 0; i < count; ++i, from += stride)
      out[i] = storage_ == ZS_F32   ? at<float>()[from]
               : storage_ == ZS_F16 ? of_f16(at<uint16_t>()[from])
                                    : of_bf16(at<uint16_t>()[from]);
  }
  void read_lane(size_t from, float* __restrict out) const {
    const uint16_t* __restrict halves = at<uint16_t>() + from;
    if (storage_ == ZS_F32)
      std::copy_n(at<float>() + from, kLane, out);
    else if (storage_ == ZS_F16)
      for (int i = 0; i < kLane; ++i) out[i] = of_f16(halves[i]);
    else
      for (int i = 0; i < kLane; ++i) out[i] = of_bf16(halves[i]);
  }
  const char* data(size_t from) const {
    return static_cast<const char*>(memory_.get()) + from * (storage_ == ZS_F32 ? 4 : 2);
  }
  int32_t storage() const { return storage_; }
  int64_t bytes() const { return bytes_; }

 private:
  template <class T>
  T* at() const {
    return static_cast<T*>(memory_.get());
  }
  int32_t storage_;
  int64_t bytes_;
  std::shared_ptr<void> memory_;
};

// A prompt's older slots once the others' channels are gone. No slot is added later and none changes, so copies share them. Values lie as
// kernels read them, keys but for the channels that are missing: tile by tile [kept][kLane].
struct Content {
  std::vector<int32_t> kept;   // channels, ascending
  std::vector<double> scores;  // of every channel
  int64_t padded;
  Numbers keys, values;

  Content(const Geometry& g, std::vector<int32_t> channels, std::vector<double> scored, int64_t slots)
      : kept(std::move(channels)),
        scores(std::move(scored)),
        padded(g.padded()),
        keys(g.storage, kept.size() * static_cast<size_t>(round_up(slots, kLane))),
        values(g.storage, static_cast<size_t>(round_up(slots, kLane) * g.padded())) {}
  size_t key_at(int32_t slot) const {
    return static_cast<size_t>(slot / kLane) * kept.size() * kLane + static_cast<size_t>(slot % kLane);
  }
  size_t value_at(int32_t slot) const { return static_cast<size_t>(slot * padded); }
  void set(int32_t slot, const float* key, const float* value) {
    for (size_t i = 0; i < kept.size(); ++i) keys.set(key_at(slot) + i * kLane, key[kept[i]]);
    for (size_t i = 0; i < scores.size(); ++i) values.set(value_at(slot) + i, value[i]);
  }
};

class Pruned : public SlotFormat {
 public:
  Pruned(std::shared_ptr<const Content> content, int32_t slots) : content_(std::move(content)), slots_(slots) {}
  std::shared_ptr<SlotFormat> copy() const override { return std::make_shared<Pruned>(*this); }
  void reserve(int32_t) override {}
  void resize(int32_t slots) override { slots_ = std::min(slots, slots_); }
  void read(int32_t first, int32_t count, float* keys, float* values, int64_t value_stride) const override {
    const Content& c = *content_;
    const int32_t d = static_cast<int32_t>(c.scores.size()), width = static_cast<int32_t>(c.kept.size());
    std::fill_n(keys, count * d, 0.0f);
    float row[kMostDims];
    for (int32_t slot = first; slot < first + count; ++slot, keys += d, values += value_stride) {
      c.keys.read(c.key_at(slot), kLane, width, row);
      for (int32_t i = 0; i < width; ++i) keys[c.kept[static_cast<size_t>(i)]] = row[i];
      c.values.read(c.value_at(slot), 1, d, values);
    }
  }
  KeyChunk chunk(int32_t first, int32_t count, char* scratch) const override {
    const Content& c = *content_;
    const size_t d = c.scores.size(), width = c.kept.size();
    float* tile = reinterpret_cast<float*>(scratch);
    for (int32_t slot = first; slot < first + count; slot += kLane, tile += d * kLane) {
      std::fill_n(tile, d * kLane, 0.0f);
      for (size_t i = 0; i < width; ++i) c.keys.read_lane(c.key_at(slot) + i * kLane, tile + c.kept[i] * kLane);
    }
    return {scratch, c.values.data(c.value_at(first)), nullptr, count, c.values.storage(), true};
  }
  int64_t bytes() const override {
    return content_->keys.bytes() + content_->values.bytes() +
           static_cast<int64_t>(4 * content_->kept.capacity() + 8 * content_->scores.capacity());
  }
  bool finite() const override {
    const int64_t d = static_cast<int64_t>(content_->scores.size());
    float key[kMostDims], value[kMostDims];
    float zero = 0;  // a not-a-number in the end, where there is one or an infinity
    for (int32_t slot = 0; slot < slots_; ++slot) {
      read(slot, 1, key, value, d);
      for (int64_t i = 0; i < d; ++i) zero += key[i] * 0 + value[i] * 0;
    }
    return zero == 0;
  }
  const Content& content() const { return *content_; }

 private:
  std::shared_ptr<const Content> content_;
  int32_t slots_;
};

// Of each channel the mean of q^2 over the group's query heads and the last rows, times the mean of k^2 over the slots; in double, row by
// row and slot by slot in order.
inline std::vector<double> scores(const HeadWork& w) {
  const Segment& open = w.head->open();
  const int32_t d = open.pages.geometry().d, slots = open.slots();
  const int64_t rows = std::min<int64_t>(w.own<Parameters>().window, w.query_rows);
  std::vector<double> asked(static_cast<size_t>(d)), held(asked.size());
  const auto add = [d](std::vector<double>& to, const float* x) {
    for (int32_t i = 0; i < d; ++i) to[static_cast<size_t>(i)] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  };
  for (int32_t h = 0; h < w.group; ++h)
    for (int64_t row = w.query_rows - rows; row < w.query_rows; ++row)
      add(asked, w.queries + (h * w.query_rows + row) * d);
  for (int32_t slot = 0; slot < slots; ++slot) {
    open.pages.read(slot, w.scratch->key.data(), nullptr);
    add(held, w.scratch->key.data());
  }
  for (size_t i = 0; i < asked.size(); ++i)
    asked[i] = asked[i] / static_cast<double>(w.group * rows) * (held[i] / static_cast<double>(slots));
  return asked;
}

// All channels but the `pruned` of the smallest scores, of equals the lower; not-a-number is the largest. Ascending.
inline std::vector<int32_t> kept_of(const std::vector<double>& scores, int32_t pruned) {
  std::vector<int32_t> channels(scores.size());
  for (size_t i = 0; i < channels.size(); ++i) channels[i] = static_cast<int32_t>(i);
  const auto key = [&](int32_t i) {
    const double score = scores[static_cast<size_t>(i)];
    return score == score ? score : std::numeric_limits<double>::infinity();
  };
  std::stable_sort(channels.begin(), channels.end(), [&](int32_t a, int32_t b) { return key(a) < key(b); });
  std::vector<int32_t> kept(channels.begin() + pruned, channels.end());
  std::sort(kept.begin(), kept.end());
  return kept;
}

// Position from which on the newest `recent` tokens of the open segment are.
inline int32_t first_recent(const Segment& open, int32_t recent) {
  if (recent == 0) return INT32_MAX;
  std::vector<int32_t> positions(open.positions.begin(), open.positions.begin() + open.slots());
  const auto first = positions.end() - recent;
  std::nth_element(positions.begin(), first, positions.end());
  return *first;
}

inline void settled(HeadWork& w) {
  const Parameters& p = w.own<Parameters>();
  Head& head = *w.head;
  const Segment& old = head.open();
  const Geometry geometry = old.pages.geometry();
  const int32_t pruned = static_cast<int32_t>(p.ratio * geometry.d), n = old.slots(), older = n - p.recent;
  if (w.step != 0 || pruned == 0 || older <= 0) return;
  const int32_t whole_from = first_recent(old, p.recent);
  std::vector<double> scored = scores(w);
  std::vector<int32_t> kept = kept_of(scored, pruned);
  auto content = std::make_shared<Content>(geometry, std::move(kept), std::move(scored), older);
  Segment open(geometry);
  open.reserve(p.recent + 1);
  open.resize(p.recent);
  float *const key = w.scratch->key.data(), *const value = w.scratch->value.data();
  std::vector<int32_t> moved;
  for (int32_t slot = 0, stays = 0; slot < n; ++slot) {
    const size_t from = static_cast<size_t>(slot), to = static_cast<size_t>(stays);
    if (old.positions[from] >= whole_from) {
      open.pages.copy(old.pages, slot, stays++);
      open.scores[to] = old.scores[from];
      open.positions[to] = old.positions[from];
      continue;
    }
    old.pages.read(slot, key, value);
    content->set(static_cast<int32_t>(moved.size()), key, value);
    w.note_move(ZS_SETTLE, old.positions[from], slot, static_cast<int32_t>(moved.size()));
    moved.push_back(slot);
  }
  Segment& before = head.add_segment(std::make_shared<Pruned>(content, older), false);
  before.reserve(older);
  for (int32_t slot : moved) {
    const size_t from = static_cast<size_t>(slot);
    Head::place(before, head.open().positions[from], head.open().scores[from]);
  }
  head.open() = std::move(open);
  head.compressed = true;
}

inline void check(const Policy& policy) {
  const Parameters& p = policy.own<Parameters>();
  if (!(p.ratio >= 0 && p.ratio < 1))
    fail(ZS_INVALID, "policy.ratio is %g: expected a share of the channels from 0 to below 1", p.ratio);
  in_range("recent", p.recent, 0, INT32_MAX);
  in_range("window", p.window, 1, INT32_MAX);
  const char* const inner = policy.of->hooks->name;
  const Needs needs = needs_of(*policy.of, 1);
  const char* const advice =
      "work on one that is done with a prompt's slots once it has been read, such as full or snapkv";
  if (hook(*policy.of, &PolicyHooks::settled) || hook(*policy.of, &PolicyHooks::across))
    fail(ZS_INVALID, "think cannot work on %s, which gives slots a form of its own: %s", inner, advice);
  if (needs.rotates)
    fail(ZS_INVALID, "think cannot work on %s as it is set, since keys that lack channels cannot be rotated again: %s",
         inner, advice);
  if (needs.acts == ZS_ACTS_READING)
    fail(ZS_INVALID, "think cannot work on %s, which chooses what is read by whole keys: %s", inner, advice);
  if (needs.acts == ZS_ACTS_ALWAYS)
    fail(ZS_INVALID, "think cannot work on %s as it is set, which goes on choosing among its slots: %s", inner, advice);
}

inline PolicyHooks hooks() {
  static const zs_field fields[] = {ZS_FIELD(Parameters, ratio, "ratio"), ZS_FIELD(Parameters, recent, "recent"),
                                    ZS_FIELD(Parameters, window, "window")};
  PolicyHooks hooks{};
  describe<Parameters>(hooks, "think", fields);
  hooks.wraps = true;
  hooks.check = check;
  hooks.needs = [](const Policy& policy, int64_t tokens) {
    const Parameters& p = policy.own<Parameters>();
    Needs needs = needs_of(*policy.of, tokens);
    needs.queries = static_cast<int32_t>(std::min<int64_t>(p.window, tokens));
    if (p.ratio > 0) needs.alters = ZS_ACTS_PROMPT;
    return needs;
  };
  hooks.settled = settled;
  hooks.inspect = [](const Policy&, const Head& head, std::vector<Inspected>& out) {
    for (const Segment& segment : head.segments) {
      const auto* pruned = dynamic_cast<const Pruned*>(segment.format.get());
      if (!pruned) continue;
      const Content& content = pruned->content();
      Inspected scores{"channelScores", {head.open().pages.geometry().d}, {}}, mask{"channelMask", scores.shape, {}};
      for (double score : content.scores) scores.data.push_back(static_cast<float>(score));
      mask.data.resize(content.scores.size());
      for (int32_t channel : content.kept) mask.data[static_cast<size_t>(channel)] = 1;
      out.push_back(std::move(scores));
      out.push_back(std::move(mask));
    }
  };
  return hooks;
}

}  // namespace think
ZS_POLICY(think)
}  // namespace zs
#endif
