// MiniCache (arXiv 2405.14366): layers in pairs, from some layer on. Once the upper layer of a pair has read a token, the two keep one
// direction for its keys and one for its values, a point of the arc between their own, and each layer the lengths of its own. Tokens whose
// keys lie too far apart in direction stay in both as they came.
#ifndef ZSLAB_POLICIES_MINICACHE_H
#define ZSLAB_POLICIES_MINICACHE_H

#include <algorithm>

#include "core/error.h"
#include "core/policy.h"
#include "policies/arcs.h"

namespace zs {
namespace minicache {

enum Retention { kTopk = 0, kRange = 1 };

struct Parameters {
  double start;   // first layer of the first pair, or share of the layers
  double t;       // where on the arc: 0 = the lower layer's direction, 1 = the upper's
  double retain;  // of a prompt's tokens (kTopk), or of the range of their distances (kRange)
  int32_t retention;
};

inline size_t at(int32_t i) { return static_cast<size_t>(i); }

using arcs::Arc;
using arcs::kPi;

// What two heads share: of each of their merged tokens the directions, in pages as those of any slot, and how far apart its keys were; and
// from the prompt on, the angle above which a token stays out.
class Directions : public SlotFormat {
 public:
  Directions(Geometry geometry, double stays_above) : pages_(geometry), stays_above_(stays_above) { joint = true; }
  std::shared_ptr<SlotFormat> copy() const override { return std::make_shared<Directions>(*this); }
  void reserve(int32_t slots) override {
    pages_.reserve(slots);
    grow(distances_, at(slots));
    for (int32_t slot = pages_.slots(); slot < slots; slot += kChunk - slot % kChunk) pages_.own_slot(slot);
  }
  void resize(int32_t slots) override {
    pages_.resize(std::min(slots, pages_.slots()));
    distances_.resize(at(pages_.slots()));
  }
  void read(int32_t first, int32_t count, float* keys, float* values, int64_t value_stride) const override {
    for (int32_t i = 0; i < count; ++i)
      pages_.read(first + i, keys + static_cast<int64_t>(i) * pages_.geometry().d, values + i * value_stride);
  }
  int64_t bytes() const override { return (pages_.bytes() + 4 * static_cast<int64_t>(distances_.capacity())) / 2; }
  bool finite() const override { return pages_.finite(); }

  double stays_above() const { return stays_above_; }
  const Column<float>& distances() const { return distances_; }  // angles as shares of a half turn
  void add(const Arc& key, const Arc& value, double t) {         // needs reserve()
    float rows[2][kMostDims];
    key.at(t, rows[0]);
    value.at(t, rows[1]);
    pages_.resize(pages_.slots() + 1);
    distances_.push_back(static_cast<float>(key.angle / kPi));
    pages_.write(pages_.slots() - 1, rows[0], rows[1]);
  }

 private:
  Pages pages_;
  Column<float> distances_;
  double stays_above_;
};

// A token in the same slot of the two heads' open segments.
class Token {
 public:
  Token(const Segment& below, const Segment& here, int32_t slot)
      : key_(rows_[0][0], rows_[0][1], read(below, here, slot)), value_(rows_[1][0], rows_[1][1], key_.d) {}
  Token(const Token&) = delete;
  Token& operator=(const Token&) = delete;
  // Between its keys; not a number where its keys or its values have no arc: it stays.
  double angle() const { return key_.whole && value_.whole ? key_.angle : static_cast<double>(kNone); }
  bool stays(double above) const { return !(angle() <= above); }
  // One more slot of both segments, which share `directions`.
  void merge(Directions& directions, Segment& below, Segment& here, int32_t position, double t) const {
    directions.add(key_, value_, t);
    Head::place(below, position, 0, key_.length(0), value_.length(0));
    Head::place(here, position, 0, key_.length(1), value_.length(1));
  }

 private:
  int32_t read(const Segment& below, const Segment& here, int32_t slot) {
    below.pages.read(slot, rows_[0][0], rows_[1][0]);
    here.pages.read(slot, rows_[0][1], rows_[1][1]);
    return here.pages.geometry().d;
  }
  float rows_[2][2][kMostDims];  // keys, values
  Arc key_, value_;
};

// Which tokens of a prompt stay: those whose angle is not a number, and those that lie farthest apart, the earliest of equals. Returns the
// angle above which later ones do.
inline double choose(const Parameters& p, const std::vector<double>& angles, std::vector<uint8_t>& stays) {
  constexpr double kNobody = 4, kAll = -1;  // pi is the largest
  std::vector<size_t> known;
  for (size_t t = 0; t < angles.size(); ++t) {
    stays[t] = p.retain == 1 || angles[t] != angles[t];
    if (!stays[t]) known.push_back(t);
  }
  if (p.retain == 1) return kAll;
  if (known.empty()) return kNobody;
  if (p.retention == kRange) {
    double least = kNobody, most = kAll;
    for (size_t t : known) least = std::min(least, angles[t]), most = std::max(most, angles[t]);
    const double above = most - p.retain * (most - least);
    for (size_t t : known) stays[t] = angles[t] > above;
    return above;
  }
  const double share = std::ceil(p.retain * static_cast<double>(angles.size()) - 1e-9);  // 0.07 of 100 is 7
  const size_t count = std::min(static_cast<size_t>(share), known.size());
  if (count == 0) return kNobody;
  const auto last = known.begin() + static_cast<std::ptrdiff_t>(count - 1);
  std::nth_element(known.begin(), last, known.end(),
                   [&](size_t a, size_t b) { return angles[a] > angles[b] || (angles[a] == angles[b] && a < b); });
  for (auto t = known.begin(); t <= last; ++t) stays[*t] = 1;
  return angles[*last];
}

// Throws before either head changes.
inline void merge_prompt(const Parameters& p, const HeadWork& lower, const HeadWork& upper) {
  Head &below = *lower.head, &here = *upper.head;
  const Geometry geometry = here.open().pages.geometry();
  const int32_t tokens = here.open().slots();
  std::vector<double> angles;
  std::vector<uint8_t> stays(static_cast<size_t>(tokens));
  for (int32_t t = 0; t < tokens; ++t) angles.push_back(Token(below.open(), here.open(), t).angle());
  const auto directions = std::make_shared<Directions>(geometry, choose(p, angles, stays));
  const int32_t kept = static_cast<int32_t>(std::count(stays.begin(), stays.end(), 1));
  Head made[] = {below.emptied(), here.emptied()};
  for (Head& head : made) {
    head.add_segment(directions, true).reserve(tokens - kept);
    head.open().reserve(kept);
    head.compressed = true;
  }
  for (int32_t t = 0; t < tokens; ++t) {
    if (!stays[at(t)]) {
      for (const HeadWork* w : {&lower, &upper}) w->note_move(ZS_SETTLE, t, t, made[0].segments[0].slots());
      Token(below.open(), here.open(), t).merge(*directions, made[0].segments[0], made[1].segments[0], t, p.t);
      continue;
    }
    for (int i = 0; i < 2; ++i) {
      Segment& open = made[i].open();
      open.resize(open.slots() + 1);
      open.pages.copy((i ? here : below).open().pages, t, open.slots() - 1);
      open.scores[at(open.slots() - 1)] = 0;
      open.positions[at(open.slots() - 1)] = t;
    }
  }
  below = std::move(made[0]);
  here = std::move(made[1]);
}

// The newest `fresh` tokens of both; never throws where there is room.
inline void merge_fresh(const Parameters& p, const HeadWork& under, const HeadWork& over, int32_t fresh) {
  Head &below = *under.head, &here = *over.head;
  Segment &lower = below.segments[0], &upper = here.segments[0], &open = here.open();
  const int32_t before = here.first_open();
  auto& directions = static_cast<Directions&>(*upper.format);
  int32_t kept = open.slots() - fresh;
  for (int32_t slot = kept; slot < open.slots(); ++slot) {
    const Token token(below.open(), here.open(), slot);
    if (token.stays(directions.stays_above())) {
      for (Segment* held : {&below.open(), &open})
        if (kept < slot)
          held->pages.copy(held->pages, slot, kept), held->positions[at(kept)] = held->positions[at(slot)];
      ++kept;
    } else {
      for (const HeadWork* w : {&under, &over})
        w->note_move(ZS_SETTLE, open.positions[at(slot)], before + slot, upper.slots());
      token.merge(directions, lower, upper, open.positions[at(slot)], p.t);
    }
  }
  below.move_out(kept, open.slots() - kept);
  here.move_out(kept, open.slots() - kept);
}

inline int32_t first_layer(const HeadWork& w) {
  const double start = w.own<Parameters>().start;
  return static_cast<int32_t>(start < 1 ? start * w.layers : start);
}

inline void across(HeadWork& below, HeadWork& here) {
  const int32_t above = here.layer - first_layer(here);
  if (above < 1 || above % 2 == 0) return;
  const Parameters& p = here.own<Parameters>();
  if (here.step == 0)
    merge_prompt(p, below, here);
  else
    merge_fresh(p, below, here, here.fresh);
}

// Of a paired layer: tokens merged, by slot, with their lengths here, and the angular distance, of 1, above which tokens stay.
inline void inspect(const Policy&, const Head& head, std::vector<Inspected>& out) {
  const Segment& merged = head.segments[0];
  const auto* const directions = dynamic_cast<const Directions*>(merged.format.get());
  if (!directions) return;
  out.push_back({"threshold", {1}, {static_cast<float>(directions->stays_above() / kPi)}});
  const Column<float>* const columns[] = {&directions->distances(), &merged.key_scales, &merged.value_scales};
  const char* const names[] = {"distances", "keyLengths", "valueLengths"};
  for (int i = 0; i < 3; ++i)
    out.push_back(
        {names[i], {merged.slots()}, std::vector<float>(columns[i]->begin(), columns[i]->begin() + merged.slots())});
}

inline void share_of_one(const char* name, double value) {
  if (!(value >= 0 && value <= 1)) fail(ZS_INVALID, "policy.%s is %g: expected a number from 0 to 1", name, value);
}

inline PolicyHooks hooks() {
  static const zs_field fields[] = {ZS_FIELD(Parameters, start, "start"), ZS_FIELD(Parameters, t, "t"),
                                    ZS_FIELD(Parameters, retain, "retain"),
                                    ZS_FIELD(Parameters, retention, "retention")};
  PolicyHooks hooks{};
  describe<Parameters>(hooks, "minicache", fields);
  hooks.check = [](const Policy& policy) {
    const Parameters& p = policy.own<Parameters>();
    is_share_or_count("start", p.start, true);
    share_of_one("t", p.t);
    share_of_one("retain", p.retain);
    in_range("retention", p.retention, 0, kRange);
  };
  hooks.needs = [](const Policy&, int64_t) {
    Needs needs;
    needs.alters = ZS_ACTS_ALWAYS;
    return needs;
  };
  hooks.prompt_read = [](HeadWork& w) {
    const int32_t first = first_layer(w);
    if (first + 1 >= w.layers)
      fail(ZS_INVALID, "start %g is layer %d of %d, so no layer has one above it to be merged with: lower start",
           w.own<Parameters>().start, first, w.layers);
  };
  hooks.across = across;
  hooks.inspect = inspect;
  return hooks;
}

}  // namespace minicache
ZS_POLICY(minicache)
}  // namespace zs
#endif
