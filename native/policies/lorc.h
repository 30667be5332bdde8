// LoRC (arXiv 2410.03111): every token stays, as two latents: since k = W x, the largest singular values of W tell which directions keys can
// have, and a key is kept as its parts along these (values alike). Keys are kept before rotation, made again as they are read, then turned.
// From memory of the field: the paper's text was not at hand and no code is public. It cuts the projections of a layer's heads as one
// matrix; here each head's own (granularity head), and no other granularity is built.
#ifndef ZSLAB_POLICIES_LORC_H
#define ZSLAB_POLICIES_LORC_H

#include "policies/lorc_bases.h"

namespace zs {
namespace lorc {

// Latents of a head's tokens, in pages of the head's storage.
class Latents : public SlotFormat {
 public:
  Latents(const Bases& bases, int32_t storage) : bases_(bases), pages_({bases.key.rank, storage}) {}
  std::shared_ptr<SlotFormat> copy() const override {
    auto made = std::make_shared<Latents>(*this);
    made->pages_.own_all();
    return made;
  }
  void reserve(int32_t slots) override {
    pages_.reserve(slots);
    if (slots > pages_.slots()) pages_.own_slot(pages_.slots());
  }
  void resize(int32_t slots) override { pages_.resize(slots); }
  void read(int32_t first, int32_t count, float* keys, float* values, int64_t value_stride) const override {
    float key[kMostDims], value[kMostDims];
    for (int32_t t = 0; t < count; ++t) {
      pages_.read(first + t, key, value);
      bases_.key.lengthen(key, keys + static_cast<int64_t>(t) * bases_.key.d);
      bases_.value.lengthen(value, values + t * value_stride);
    }
  }
  int64_t bytes() const override { return pages_.bytes(); }
  bool finite() const override { return pages_.finite(); }

  // The next slot; needs reserve().
  void add(const float* key, const float* value) {
    float short_key[kMostDims], short_value[kMostDims];
    bases_.key.shorten(key, short_key);
    bases_.value.shorten(value, short_value);
    const int32_t slot = pages_.slots();
    pages_.resize(slot + 1);
    pages_.write(slot, short_key, short_value);
  }
  const Bases& bases() const { return bases_; }

 private:
  const Bases& bases_;  // the cache's
  Pages pages_;
};

inline const Bases& bases_of(const HeadWork& w) {
  return static_cast<const LayerBases*>(w.constants)->heads[static_cast<size_t>(w.kv_head)];
}

// What the latents can say of a key and a value, instead of them.
inline void take(HeadWork& w, float* keys, float* values, int64_t count) {
  const Bases& bases = bases_of(w);
  float latents[kMostDims];
  for (int64_t t = 0; t < count; ++t) {
    float *const key = keys + t * bases.key.d, *const value = values + t * bases.value.d;
    bases.key.shorten(key, latents);
    bases.key.lengthen(latents, key);
    bases.value.shorten(value, latents);
    bases.value.lengthen(latents, value);
  }
}

// Tokens that have been attended become latents: a prompt's all at once, then one by one.
inline void settled(HeadWork& w) {
  Head& head = *w.head;
  const auto move = [](Head& from, Segment& to) {
    const Segment& open = from.open();
    Latents& latents = static_cast<Latents&>(*to.format);
    float key[kMostDims], value[kMostDims];
    for (int32_t slot = 0; slot < open.slots(); ++slot) {
      const size_t i = static_cast<size_t>(slot);
      open.pages.read(slot, key, value);
      latents.add(key, value);
      Head::place(to, open.positions[i], open.scores[i]);
    }
  };
  if (head.segments.size() > 1) {
    move(head, head.segments.front());
    head.move_out(0, head.open().slots());
    return;
  }
  Head made = head.emptied();  // so that the prompt's own pages go
  Segment& to = made.add_segment(std::make_shared<Latents>(bases_of(w), head.open().pages.geometry().storage), false);
  to.reserve(head.open().slots());
  move(head, to);
  made.compressed = true;
  head = std::move(made);
}

inline void inspect(const Policy&, const Head& head, std::vector<Inspected>& out) {
  const Bases& bases = static_cast<const Latents&>(*head.segments.front().format).bases();
  const auto show = [&](const char* basis, const char* spectrum, const Basis& of) {
    out.push_back({basis, {of.rank, of.d}, of.rows});
    out.push_back({spectrum, {of.d}, of.spectrum});
  };
  show("keyBasis", "keySpectrum", bases.key);
  show("valueBasis", "valueSpectrum", bases.value);
}

inline void check_dims(const char* name, double asked) {
  if (!(std::isfinite(asked) && asked >= 0 && asked <= kMostDims && (asked < 1 || asked == std::trunc(asked))))
    fail(ZS_INVALID, "policy.%s is %g: expected a share below 1 of a head's dims, or a whole count of them", name,
         asked);
}

inline PolicyHooks hooks() {
  static const zs_field fields[] = {ZS_FIELD(Parameters, rank, "rank"), ZS_FIELD(Parameters, least, "leastRank"),
                                    ZS_FIELD(Parameters, keep, "keep"), ZS_FIELD(Parameters, ramp, "ramp")};
  PolicyHooks hooks{};
  describe<Parameters>(hooks, "lorc", fields);
  hooks.check = [](const Policy& policy) {
    const Parameters& p = policy.own<Parameters>();
    check_dims("rank", p.rank);
    check_dims("leastRank", p.least);
    if (!(p.keep >= 0 && p.keep < 1)) fail(ZS_INVALID, "policy.keep is %g: expected a share below 1, or 0", p.keep);
    in_range("ramp", p.ramp, kProgressive, kFlat);
    if (p.ramp == kFlat ? p.least != 0 || p.keep != 0 : (p.least != 0) == (p.keep != 0))
      fail(ZS_INVALID, "leastRank is %g and keep %g: expected one of both, beside ramp flat none", p.least, p.keep);
  };
  hooks.needs = [](const Policy&, int64_t) {
    Needs needs;
    needs.alters = ZS_ACTS_ALWAYS;
    needs.rotates = true;
    return needs;
  };
  hooks.weights = weights;
  hooks.take = take;
  hooks.settled = settled;
  hooks.inspect = inspect;
  return hooks;
}

}  // namespace lorc
ZS_POLICY(lorc)
}  // namespace zs
#endif
