// Random configurations of the policies beside ZSMerge and those that are drawn with it.
#ifndef ZSLAB_TEST_GUESTS_H
#define ZSLAB_TEST_GUESTS_H

#include "test/configs.h"

namespace test {
namespace draw {

// Smallest budget in slots that the policy takes, with its options as drawn.
inline int snapkv(Random& r, Options& p, int prompt) {
  const int windows[] = {1, 2, 4, 8, 16, 32}, kernels[] = {1, 3, 5, 5, 7};
  const int variant = r.upto(0, 1);
  const int window = variant ? std::min(r.of(windows), prompt - 1) : std::min(r.of(windows), prompt);
  p.name = "snapkv";
  p.own = {{"window", window}, {"kernel", r.of(kernels)}, {"pooling", r.upto(0, 1)}, {"variant", variant}};
  return variant ? 1 : window + 1;
}
inline int tova(Random& r, Options& p, int) {
  p.name = "tova";
  p.own = {{"variant", r.one_in(3) ? 1 : 0}};
  return 1;
}
inline int random(Random& r, Options& p, int prompt) {
  const int recent = r.one_in(2) ? 1 : r.upto(1, std::max(1, prompt / 4));
  p.name = "random";
  p.own = {{"recent", recent}, {"seed", r.upto(-1000, 1000000)}};
  return recent;
}
inline int quest(Random& r, Options& p, int) {
  const int pages[] = {1, 2, 4, 16, 16, 16, 5};
  const int page = r.of(pages);
  p.name = "quest";
  p.own = {{"page", page}, {"wholeLayers", r.one_in(3) ? 1 : 0}, {"granularity", r.upto(0, 1)}};
  return page;
}
// None: it has no budget.
inline int minicache(Random& r, Options& p, int) {
  const double starts[] = {0, 0, 0.25, 0.5, 0.5, 1}, ts[] = {0.6, 0.6, 0.5, 0, 1}, parts[] = {0.05, 0.05, 0, 0.5, 1};
  p.name = "minicache";
  p.own = {{"start", r.of(starts)},
           {"t", r.one_in(3) ? r.unit() : r.of(ts)},
           {"retain", r.one_in(3) ? r.unit() : r.of(parts)},
           {"retention", r.upto(0, 1)}};
  return 0;
}
// The inner policy's least; zsmerge and evict-only as parity draws them.
inline int adakv(Random& r, Options& p, int prompt) {
  auto inner = std::make_shared<Options>();
  int least;
  const int which = r.upto(0, 3);
  if (which == 0) {
    least = snapkv(r, *inner, prompt);
  } else if (which == 1) {
    least = random(r, *inner, prompt);
  } else {
    const float decays[] = {1, 0.98f, 0.9f, 0.5f}, alphas[] = {0, 0.6f, 1};
    inner->name = which == 2 ? "evict-only" : "zsmerge";
    inner->recent = r.upto(1, std::max(1, prompt / 4)), inner->sink = r.one_in(3) ? r.upto(1, 4) : 0;
    inner->residual = which == 2 ? 0 : r.upto(0, std::max(1, prompt / 8));
    inner->decay = r.of(decays), inner->alpha = r.of(alphas), inner->underfull = r.upto(0, 1);
    inner->init = r.upto(0, 1), inner->similarity = r.upto(0, 2), inner->score_merge = r.upto(0, 1);
    inner->aggregate = r.one_in(4) ? 2 : 0;
    least = static_cast<int>(inner->recent + inner->residual) + inner->sink + 1;
  }
  const double floors[] = {0, 0.2, 0.2, 0.5, 1};
  p = *inner;  // what the judge looks at; the name and what is its own follow
  p.name = "adakv";
  p.own = {{"floor", r.one_in(3) ? r.unit() : r.of(floors)}};
  p.of = inner;
  return least;
}

// Around policies that are done with the prompt, one of them a wrapper itself.
inline int think(Random& r, Options& p, int prompt) {
  auto inner = std::make_shared<Options>();
  const int which = r.upto(0, 3);
  int least = 1;
  if (which == 0) inner->name = "full", inner->history = r.upto(0, 1);
  if (which == 1) least = snapkv(r, *inner, prompt);
  if (which == 2) inner->name = "tova", inner->own = {{"variant", 1}};
  while (which == 3 && (!inner->of || inner->of->name != "snapkv")) *inner = {}, least = adakv(r, *inner, prompt);
  const double ratios[] = {0.4, 0.4, 0.5, 0.25, 0.9, 0};
  const int windows[] = {1, 4, 32, 32, 1000}, recents[] = {0, 1, 4, 32, prompt / 2, prompt};
  p = *inner;  // what the judge looks at
  p.name = "think";
  p.own = {
      {"ratio", r.one_in(3) ? 0.999 * r.unit() : r.of(ratios)}, {"recent", r.of(recents)}, {"window", r.of(windows)}};
  p.of = inner;
  return least;
}

}  // namespace draw

using Draw = int (*)(Random&, Options&, int);
using DrawCache = int (*)(Random&, CacheConfig&, int);  // of policies that want more of the cache than its budget

struct Guest {
  const char* name;
  Draw draw;
  DrawCache draw_cache;
  int layers = 0;  // at least 3, at most so many; 0: 1 or 2
};

inline Config guest_config(const Guest& guest, uint64_t seed, bool small) {
  Random r(seed);
  Config c;
  c.seed = seed;
  const int groups[] = {1, 3, 4, 8}, dims[] = {4, 16, 18, 32, 64};
  c.cache.layers = guest.layers ? r.upto(3, guest.layers) : r.one_in(4) ? 2 : 1;
  c.cache.kv_heads = r.upto(1, 3);
  c.cache.heads = c.cache.kv_heads * (small ? r.upto(1, 3) : r.of(groups));
  c.cache.head_dim = r.of(dims);
  c.cache.storage = r.one_in(3) ? r.upto(1, 2) : 0;
  const int prompt = small ? r.upto(2, 40) : r.one_in(20) ? r.upto(150, 400) : r.upto(2, 110);
  Options& p = c.cache.policy;
  const int least = guest.draw ? guest.draw(r, p, prompt) : guest.draw_cache(r, c.cache, prompt);
  const int budgets[] = {least,      least + 1,  prompt - 1, prompt,     prompt + 5,
                         prompt / 2, prompt / 3, prompt / 5, prompt / 10};
  p.budget = std::max(least, r.of(budgets));
  if (r.one_in(3)) p.budget = 0.02 + 0.97 * r.unit();
  if (least == 0) p.budget = 0;
  const int chunks[] = {1, 3, 16, 64, 256};
  p.chunk = r.of(chunks);
  const auto same_budgets = [&p] {
    for (Options* at = p.of.get(); at; at = at->of.get()) at->budget = p.budget, at->chunk = p.chunk;
  };
  same_budgets();
  try {
    resolved(p, prompt);
  } catch (const std::exception&) {
    p.budget = std::max(least, prompt / 2);  // a share that does not fit
    same_budgets();
  }
  if (p.name == "streaming" && r.one_in(4)) random_budgets(r, c.cache, prompt);
  c.calls.push_back(prompt);
  if (r.one_in(2))
    for (int rest = r.upto(2, small ? 10 : 60); rest > 0; rest -= p.chunk) c.calls.push_back(std::min(rest, p.chunk));
  for (int i = small ? 8 : r.upto(64, 72); i > 0; --i) c.calls.push_back(1);
  c.gain = r.one_in(3) ? 0 : 2 * r.unit();
  c.clusters = r.upto(1, 6);
  c.zeros = guest.layers && r.one_in(4);
  return c;
}

inline const Guest kGuests[] = {{"streaming", nullptr, random_streaming},
                                {"snapkv", draw::snapkv, nullptr},
                                {"tova", draw::tova, nullptr},
                                {"random", draw::random, nullptr},
                                {"quest", draw::quest, nullptr},
                                {"lorc", nullptr, random_lorc},
                                {"adakv", draw::adakv, nullptr},
                                {"think", draw::think, nullptr},
                                {"minicache", draw::minicache, nullptr, 5}};

}  // namespace test
#endif
