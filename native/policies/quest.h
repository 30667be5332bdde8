// Quest (arXiv 2406.10774): nothing leaves; each token reads the pages of slots that could matter most to it, by an upper bound of its
// logits: of each page the least and the largest value of every dim of its keys are kept. The page of the newest token is always read.
#ifndef ZSLAB_POLICIES_QUEST_H
#define ZSLAB_POLICIES_QUEST_H

#include "policies/regions.h"

namespace zs {
namespace quest {

enum Granularity { kByQuery = 0, kByHead = 1 };

struct Parameters {
  int32_t page, whole, granularity;
};

// Of each page, the ends of its keys by dim: [pages / kLane][d][kLane], so that pages are bounded side by side.
class Ends : public HeadIndex {
 public:
  Ends(int32_t d, int32_t page) : d_(d), page_(page) {}
  std::shared_ptr<HeadIndex> copy() const override { return std::make_shared<Ends>(*this); }
  void reserve(int32_t slots) override {
    const size_t size = static_cast<size_t>(round_up(pages(slots), kLane)) * static_cast<size_t>(d_);
    grow(least_, size);
    grow(largest_, size);
  }
  int64_t bytes() const override { return static_cast<int64_t>(4 * (least_.capacity() + largest_.capacity())); }
  int32_t pages(int32_t slots) const { return (slots + page_ - 1) / page_; }

  // The key at `slot`, the next one; needs reserve().
  void add(int32_t slot, const float* key) {
    const int32_t page = slot / page_;
    const size_t tiles = static_cast<size_t>(page / kLane + 1) * static_cast<size_t>(d_) * kLane;
    if (least_.size() < tiles) least_.resize(tiles), largest_.resize(tiles);
    const size_t at = tiles - static_cast<size_t>(d_) * kLane + static_cast<size_t>(page % kLane);
    const bool first = slot % page_ == 0;
    for (size_t i = 0; i < static_cast<size_t>(d_); ++i) {
      float &low = least_[at + i * kLane], &high = largest_[at + i * kLane];
      low = first || key[i] < low ? key[i] : low;
      high = first || key[i] > high ? key[i] : high;
    }
  }
  // [pages][d] of the least or the largest, for people.
  Inspected inspected(bool largest, int32_t slots) const {
    const Column<float>& ends = largest ? largest_ : least_;
    Inspected out{largest ? "pageLargest" : "pageLeast", {pages(slots), d_}, {}};
    out.data.reserve(static_cast<size_t>(pages(slots)) * static_cast<size_t>(d_));
    for (int32_t page = 0; page < pages(slots); ++page)
      for (int32_t i = 0; i < d_; ++i)
        out.data.push_back(ends[static_cast<size_t>((page / kLane * d_ + i) * kLane + page % kLane)]);
    return out;
  }
  // bounds[page] += sum over dims, in order, of the larger of q times either end, which q's sign tells; for whole tiles of pages.
  void bound(const float* q, int32_t pages, float* bounds) const {
    for (int32_t page = 0; page < pages; page += kLane) {
      const float* low = least_.data() + static_cast<int64_t>(page) * d_;
      const float* high = largest_.data() + static_cast<int64_t>(page) * d_;
      float sum[kLane] = {};
      for (int32_t i = 0; i < d_; ++i, low += kLane, high += kLane) {
        const float* const end = q[i] < 0 ? low : high;
        for (int lane = 0; lane < kLane; ++lane) sum[lane] += q[i] * end[lane];
      }
      for (int lane = 0; lane < kLane; ++lane) bounds[page + lane] += sum[lane];
    }
  }

 private:
  int32_t d_, page_;
  Column<float> least_, largest_;
};

inline void keep(HeadWork& w, Ends& ends, int32_t from) {
  const Segment& open = w.head->open();
  for (int32_t slot = from; slot < open.slots(); ++slot) {
    open.pages.read(slot, w.scratch->key.data(), nullptr);
    ends.add(slot, w.scratch->key.data());
  }
}

inline void prompt_read(HeadWork& w) {
  const Segment& open = w.head->open();
  auto ends = std::make_shared<Ends>(open.pages.geometry().d, w.own<Parameters>().page);
  ends->reserve(open.slots());
  keep(w, *ends, 0);
  w.head->index = std::move(ends);
}

// The slots of the `places` pages with the largest bounds, the lowest of equals, and of the last page; the list is filled in place.
inline void take(const float* bounds, int32_t pages, int32_t places, int32_t page, int32_t slots,
                 std::vector<int32_t>& list) {
  for (int32_t p = 0; p < pages - 1; ++p) list.push_back(p);
  std::nth_element(list.begin(), list.begin() + (places - 1), list.end(), regions::Higher{bounds});
  list.resize(static_cast<size_t>(places - 1));
  std::sort(list.begin(), list.end());
  list.push_back(pages - 1);
  list.resize(static_cast<size_t>((places - 1) * page + slots - (pages - 1) * page));
  for (int32_t i = places - 1, end = static_cast<int32_t>(list.size()); i >= 0; end = i * page, --i) {
    const int32_t first = list[static_cast<size_t>(i)] * page;
    for (int32_t slot = end - 1; slot >= i * page; --slot) list[static_cast<size_t>(slot)] = first + slot - i * page;
  }
}

inline bool select(HeadWork& w, const float* q, int64_t q_stride, Selection& out) {
  const Parameters& p = w.own<Parameters>();
  const Ends& ends = static_cast<const Ends&>(*w.head->index);
  const int32_t slots = w.head->slots(), pages = ends.pages(slots), places = w.sizes().read / p.page;
  if (w.layer < p.whole || pages <= places) return false;
  const bool by_query = p.granularity == kByQuery;
  float* const bounds = w.scratch->selecting.data();
  out.count = by_query ? w.group : 1;
  for (int32_t h = 0; h < w.group; ++h) {
    if (by_query || h == 0) std::fill_n(bounds, round_up(pages, kLane), 0.0f);
    ends.bound(q + h * q_stride, pages, bounds);
    if (by_query || h + 1 == w.group)
      take(bounds, pages, places, p.page, slots, out.lists[static_cast<size_t>(by_query ? h : 0)]);
  }
  return true;
}

inline PolicyHooks hooks() {
  static const zs_field fields[] = {ZS_FIELD(Parameters, page, "page"), ZS_FIELD(Parameters, whole, "wholeLayers"),
                                    ZS_FIELD(Parameters, granularity, "granularity")};
  PolicyHooks hooks{};
  describe<Parameters>(hooks, "quest", fields);
  hooks.check = [](const Policy& policy) {
    const Parameters& p = policy.own<Parameters>();
    in_range("page", p.page, 1, 1 << 20);
    in_range("wholeLayers", p.whole, 0, INT32_MAX);
    in_range("granularity", p.granularity, 0, kByHead);
  };
  hooks.needs = [](const Policy&, int64_t) {
    Needs needs;
    needs.acts = ZS_ACTS_READING;
    return needs;
  };
  hooks.resolve = [](const Policy& policy, double budget, int64_t tokens) {
    const int32_t page = policy.own<Parameters>().page;
    const int64_t slots =
        budget < 1 ? std::max<int64_t>(regions::share(budget, tokens), page) : static_cast<int64_t>(budget);
    if (slots < page)
      fail(ZS_INVALID, "budget is %lld slots, less than a page of %d: raise budget to at least %d, or lower page",
           static_cast<long long>(slots), page, page);
    zs_resolved r{};
    r.read = static_cast<int32_t>(std::min<int64_t>(slots, INT32_MAX));
    return r;
  };
  hooks.prompt_read = prompt_read;
  hooks.arrive = [](HeadWork& w) { keep(w, static_cast<Ends&>(*w.head->index), w.head->open().slots() - 1); };
  hooks.select = select;
  hooks.rollback = [](HeadWork& w) {  // the last page again
    const int32_t page = w.own<Parameters>().page, last = w.head->open().slots() - 1;
    keep(w, static_cast<Ends&>(*w.head->index), last / page * page);
  };
  hooks.inspect = [](const Policy&, const Head& head, std::vector<Inspected>& out) {
    if (!head.index) return;
    const Ends& ends = static_cast<const Ends&>(*head.index);
    for (bool largest : {false, true}) out.push_back(ends.inspected(largest, head.slots()));
  };
  return hooks;
}

}  // namespace quest
ZS_POLICY(quest)
}  // namespace zs
#endif
