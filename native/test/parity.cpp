// The engine against the double-precision reference on random configurations: decisions, states, outputs and events.
// Arguments: none, or the seed of one configuration to be looked at.
#include <atomic>
#include <mutex>
#include <thread>

#include "test/judge.h"

namespace {

struct Totals {
  int64_t decisions = 0, undecided = 0, followed = 0, tie_decisions = 0, tie_undecided = 0, events = 0, given_up = 0;
  double output = 0, element = 0, score = 0;
};

void add(Totals& all, const test::Config& config, const test::Verdict& v) {
  test::check(v.fault.empty(), "%s\n    %s", v.fault.c_str(), config.text().c_str());
  (config.ties ? all.tie_decisions : all.decisions) += v.decisions;
  (config.ties ? all.tie_undecided : all.undecided) += v.undecided;
  all.followed += v.followed, all.events += v.events, all.given_up += v.given_up;
  all.output = std::max(all.output, v.output), all.element = std::max(all.element, v.element),
  all.score = std::max(all.score, v.score);
}

}  // namespace

int main(int count, char** arguments) {
  const uint64_t only = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 0;
  const int cases = only ? 1 : test::cases(10000, 1000, 60);
  const bool small = test::cases(0, 0, 1) == 1;
  Totals all;
  std::mutex mutex;
  std::atomic<int> next{0};
  // Two judges with an engine each, of one and of two threads: the reference is what takes the time.
  const auto judge = [&](int threads) {
    try {
      const test::Engine engine(threads);
      for (int i = next++; i < cases; i = next++) {
        const test::Config config = test::random_config(only ? only : static_cast<uint64_t>(i) + 1, small);
        const test::Verdict verdict = test::Judge(engine, config).run();
        const std::lock_guard<std::mutex> lock(mutex);
        add(all, config, verdict);
      }
    } catch (const std::exception& e) {
      const std::lock_guard<std::mutex> lock(mutex);
      test::check(false, "%s", e.what());
    }
  };
  std::thread second(judge, 2);
  judge(1);
  second.join();

  const double share = all.decisions ? 1 - static_cast<double>(all.undecided) / static_cast<double>(all.decisions) : 0;
  std::printf(
      "  %d configurations, %lld decisions, %.4f%% of them clear of float32 rounding (%lld of the others went another "
      "way); "
      "%lld decisions in configurations made of ties, %lld within rounding; %lld events\n",
      cases, static_cast<long long>(all.decisions), 100 * share, static_cast<long long>(all.followed),
      static_cast<long long>(all.tie_decisions), static_cast<long long>(all.tie_undecided),
      static_cast<long long>(all.events));
  std::printf(
      "  largest differences: outputs %.2g, keys and values %.2g, scores %.2g; %lld configurations judged in part\n",
      all.output, all.element, all.score, static_cast<long long>(all.given_up));
  if (!only) {
    test::check(share >= 0.999, "only %.4f%% of the decisions are clear of float32 rounding", 100 * share);
    test::check(all.given_up * 100 <= cases, "%lld configurations could not be judged to their end",
                static_cast<long long>(all.given_up));
  }
  return test::finish("parity");
}
