// Ways of doing the same thing are tried by turns, and the quickest does nearly all of the work; told by a clock of our own.
#include "cpu/trials.h"

#include <vector>

#include "test/check.h"

namespace {

uint64_t now = 0;
uint64_t clock_of_ours() { return now; }
using Trials = zs::Trials<3, clock_of_ours>;

// How many of `pieces` each way does, where way w takes cost[w] ticks for a unit and a piece is 10 units.
std::vector<int> work(Trials& trials, Trials::Turn& turn, int pieces, const std::vector<uint64_t>& cost) {
  std::vector<int> done(3);
  for (int i = 0; i < pieces; ++i) {
    const int way = trials.start(turn);
    now += 10 * cost[static_cast<size_t>(way)];
    trials.end(turn, 10);
    ++done[static_cast<size_t>(way)];
  }
  return done;
}

}  // namespace

int main() {
  for (size_t quick = 0; quick < 3; ++quick) {
    Trials trials;
    Trials::Turn turn;
    std::vector<uint64_t> cost{50, 50, 50};
    cost[quick] = 40;
    std::vector<int> done = work(trials, turn, 20000, cost);
    test::check(done[quick] > 19500, "way %zu is the quickest and did %d of 20000", quick, done[quick]);
    for (size_t way = 0; way < 3; ++way) test::check(done[way] >= 20, "way %zu was tried %d times", way, done[way]);

    Trials::Turn other;  // of a second thread: it starts with what the first has measured
    done = work(trials, other, 12 + 64, cost);
    test::check(done[quick] == 64 + 4, "a second thread did %d of 76 the quickest way", done[quick]);

    const size_t later = (quick + 1) % 3;  // the machine changes
    cost[later] = 20;
    done = work(trials, turn, 40000, cost);
    test::check(done[later] > 25000, "way %zu became the quickest and did %d of 40000", later, done[later]);
  }

  Trials trials;
  Trials::Turn turn;
  work(trials, turn, 12 + 64, {40, 50, 50});
  trials.start(turn);
  trials.start(turn);
  now += 1000000;  // the second piece of way 0 was interrupted
  trials.end(turn, 10);
  const std::vector<int> done = work(trials, turn, 10000, {40, 50, 50});
  test::check(done[0] > 9500, "after one interruption the quickest way did %d of 10000", done[0]);
  return test::finish("trials");
}
