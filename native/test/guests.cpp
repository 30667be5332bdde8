// Each policy beside ZSMerge against its own double-precision reference on random configurations: who is kept at every step, states,
// outputs and events. Arguments: none, or a policy and the seed of one configuration.
#include <atomic>
#include <mutex>
#include <thread>

#include "test/judge.h"

namespace {

using test::Config;
using test::Options;
using test::Random;

// Smallest budget in slots that the policy takes, with its options as drawn.
int snapkv(Random& r, Options& p, int prompt) {
  const int windows[] = {1, 2, 4, 8, 16, 32}, kernels[] = {1, 3, 5, 5, 7};
  const int variant = r.upto(0, 1);
  const int window = variant ? std::min(r.of(windows), prompt - 1) : std::min(r.of(windows), prompt);
  p.name = "snapkv";
  p.own = {{"window", window}, {"kernel", r.of(kernels)}, {"pooling", r.upto(0, 1)}, {"variant", variant}};
  return variant ? 1 : window + 1;
}
int tova(Random& r, Options& p, int) {
  p.name = "tova";
  p.own = {{"variant", r.one_in(3) ? 1 : 0}};
  return 1;
}
int random(Random& r, Options& p, int prompt) {
  const int recent = r.one_in(2) ? 1 : r.upto(1, std::max(1, prompt / 4));
  p.name = "random";
  p.own = {{"recent", recent}, {"seed", r.upto(-1000, 1000000)}};
  return recent;
}
int quest(Random& r, Options& p, int) {
  const int pages[] = {1, 2, 4, 16, 16, 16, 5};
  const int page = r.of(pages);
  p.name = "quest";
  p.own = {{"page", page}, {"wholeLayers", r.one_in(3) ? 1 : 0}, {"granularity", r.upto(0, 1)}};
  return page;
}
// None: it has no budget.
int minicache(Random& r, Options& p, int) {
  const double starts[] = {0, 0, 0.25, 0.5, 0.5, 1}, ts[] = {0.6, 0.6, 0.5, 0, 1}, parts[] = {0.05, 0.05, 0, 0.5, 1};
  p.name = "minicache";
  p.own = {{"start", r.of(starts)},
           {"t", r.one_in(3) ? r.unit() : r.of(ts)},
           {"retain", r.one_in(3) ? r.unit() : r.of(parts)},
           {"retention", r.upto(0, 1)}};
  return 0;
}
// The inner policy's least; zsmerge and evict-only as parity draws them.
int adakv(Random& r, Options& p, int prompt) {
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
int think(Random& r, Options& p, int prompt) {
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

using Draw = int (*)(Random&, Options&, int);
using DrawCache = int (*)(Random&, test::CacheConfig&, int);  // of policies that want more of the cache than its budget

struct Guest {
  const char* name;
  Draw draw;
  DrawCache draw_cache;
  int layers = 0;  // at least 3, at most so many; 0: 1 or 2
};

Config config_of(const Guest& guest, uint64_t seed, bool small) {
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
    test::resolved(p, prompt);
  } catch (const std::exception&) {
    p.budget = std::max(least, prompt / 2);  // a share that does not fit
    same_budgets();
  }
  if (p.name == "streaming" && r.one_in(4)) test::random_budgets(r, c.cache, prompt);
  c.calls.push_back(prompt);
  if (r.one_in(2))
    for (int rest = r.upto(2, small ? 10 : 60); rest > 0; rest -= p.chunk) c.calls.push_back(std::min(rest, p.chunk));
  for (int i = small ? 8 : r.upto(64, 72); i > 0; --i) c.calls.push_back(1);
  c.gain = r.one_in(3) ? 0 : 2 * r.unit();
  c.clusters = r.upto(1, 6);
  c.zeros = guest.layers && r.one_in(4);
  return c;
}

struct Totals {
  int64_t decisions = 0, undecided = 0, followed = 0, given_up = 0;
  double output = 0, element = 0, score = 0;
};

void judge(const Guest& guest, uint64_t only) {
  const char* const name = guest.name;
  const int cases = only ? 1 : test::cases(1000, 500, 12);
  const bool small = test::cases(0, 0, 1) == 1;
  Totals all;
  std::mutex mutex;
  std::atomic<int> next{0};
  const auto some = [&](int threads) {
    try {
      const test::Engine engine(threads);
      for (int i = next++; i < cases; i = next++) {
        const Config config = config_of(guest, only ? only : static_cast<uint64_t>(i) + 1, small);
        const test::Verdict v = test::Judge(engine, config).run();
        const std::lock_guard<std::mutex> lock(mutex);
        std::string chain, own;
        for (const Options* at = &config.cache.policy; at; at = at->of.get()) {
          chain += (chain.empty() ? "" : " of ") + at->name;
          for (const auto& [field, value] : at->own) own += " " + field + " " + std::to_string(value);
        }
        test::check(v.fault.empty(), "%s: %s\n    %s", chain.c_str(), v.fault.c_str(), (config.text() + own).c_str());
        all.decisions += v.decisions, all.undecided += v.undecided, all.followed += v.followed;
        all.given_up += v.given_up;
        all.output = std::max(all.output, v.output), all.element = std::max(all.element, v.element);
        all.score = std::max(all.score, v.score);
      }
    } catch (const std::exception& e) {
      const std::lock_guard<std::mutex> lock(mutex);
      test::check(false, "%s: %s", name, e.what());
    }
  };
  std::thread second(some, 2);
  some(1);
  second.join();
  std::printf(
      "  %s: %d configurations, %lld decisions, %.4f%% within float32 rounding (%lld of them went another way), %lld "
      "configurations judged in part; largest differences: outputs %.2g, keys and values %.2g, scores %.2g\n",
      name, cases, static_cast<long long>(all.decisions),
      100 * static_cast<double>(all.undecided) / static_cast<double>(std::max<int64_t>(1, all.decisions)),
      static_cast<long long>(all.followed), static_cast<long long>(all.given_up), all.output, all.element, all.score);
  if (only) return;
  // Who leaves by position is no question of rounding: the judge compares every event.
  test::check((all.decisions > 0 || !guest.draw) && all.undecided * 100 <= all.decisions,
              "%s: %lld of %lld decisions are undecided", name, static_cast<long long>(all.undecided),
              static_cast<long long>(all.decisions));
  test::check(all.given_up * 100 <= cases, "%s: %lld configurations could not be judged to their end", name,
              static_cast<long long>(all.given_up));
}

}  // namespace

int main(int count, char** arguments) {
  const Guest guests[] = {{"streaming", nullptr, test::random_streaming},
                          {"snapkv", snapkv, nullptr},
                          {"tova", tova, nullptr},
                          {"random", random, nullptr},
                          {"quest", quest, nullptr},
                          {"lorc", nullptr, test::random_lorc},
                          {"adakv", adakv, nullptr},
                          {"think", think, nullptr},
                          {"minicache", minicache, nullptr, 5}};
  for (const auto& guest : guests)
    if (count < 2 || !std::strcmp(arguments[1], guest.name))
      judge(guest, count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 0);
  return test::finish("guests");
}
