// The engine against the double-precision reference on random configurations: decisions, states, outputs and events.
// Arguments: none, or the seed of one configuration to be looked at.
#include "test/judge.h"

int main(int count, char **arguments) {
  const uint64_t only = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 0;
  const int cases = count > 1 ? 1 : test::cases(10000, 1000, 60);
  const bool small = test::cases(0, 0, 1) == 1;
  int64_t decisions = 0, undecided = 0, followed = 0, tie_decisions = 0, tie_undecided = 0, events = 0, given_up = 0;
  double output = 0, element = 0, score = 0;
  try {
    const test::Engine engine(2);
    for (int i = 0; i < cases; ++i) {
      const test::Config config = test::random_config(only ? only : static_cast<uint64_t>(i) + 1, small);
      const test::Verdict v = test::Judge(engine, config).run();
      test::check(v.fault.empty(), "%s\n    %s", v.fault.c_str(), config.text().c_str());
      (config.ties ? tie_decisions : decisions) += v.decisions;
      (config.ties ? tie_undecided : undecided) += v.undecided;
      followed += v.followed, events += v.events, given_up += v.given_up;
      output = std::max(output, v.output), element = std::max(element, v.element), score = std::max(score, v.score);
    }
  } catch (const std::exception &e) {
    test::check(false, "%s", e.what());
  }
  const double share = decisions ? 1 - static_cast<double>(undecided) / static_cast<double>(decisions) : 0;
  std::printf("  %d configurations, %lld decisions, %.4f%% of them clear of float32 rounding (%lld of the others went another way); "
              "%lld decisions in configurations made of ties, %lld within rounding; %lld events\n",
              cases, static_cast<long long>(decisions), 100 * share, static_cast<long long>(followed), static_cast<long long>(tie_decisions),
              static_cast<long long>(tie_undecided), static_cast<long long>(events));
  std::printf("  largest differences: outputs %.2g, keys and values %.2g, scores %.2g; %lld configurations judged in part\n", output, element, score,
              static_cast<long long>(given_up));
  if (!only) {
    test::check(share >= 0.999, "only %.4f%% of the decisions are clear of float32 rounding", 100 * share);
    test::check(given_up * 200 <= cases, "%lld configurations could not be judged to their end", static_cast<long long>(given_up));
  }
  return test::finish("parity");
}
