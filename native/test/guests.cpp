// Each policy beside ZSMerge against its own double-precision reference on random configurations: who is kept at every step, states,
// outputs and events. Arguments: none, or a policy and the seed of one configuration.
#include "test/guests.h"

#include <atomic>
#include <mutex>
#include <thread>

#include "test/judge.h"

namespace {

using test::Config;
using test::Guest;
using test::Options;

struct Totals {
  int64_t decisions = 0, undecided = 0, followed = 0, given_up = 0;
  double output = 0, element = 0, score = 0;
};

void judge(const Guest& guest, uint64_t only) {
  const char* const name = guest.name;
  const int cases = only ? 1 : test::alike(1000, 200, 6);
  const bool small = test::cases(0, 0, 1) == 1;
  Totals all;
  std::mutex mutex;
  std::atomic<int> next{0};
  const auto some = [&](int threads) {
    try {
      const test::Engine engine(threads);
      for (int i = next++; i < cases; i = next++) {
        const Config config = test::guest_config(guest, only ? only : static_cast<uint64_t>(i) + 1, small);
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
  for (const auto& guest : test::kGuests)
    if (count < 2 || !std::strcmp(arguments[1], guest.name))
      judge(guest, count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 0);
  return test::finish("guests");
}
