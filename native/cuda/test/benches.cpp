// Every bench in small sizes: its launches are in order, whatever they take. What is wrong ends the program.
#include "cuda/bench/benches.h"

#include "test/check.h"

int main() {
  using namespace zs::bench;
  Clock clock;
  const auto runs = [&](const char* name, auto bench) {
    bench();
    const std::string wrong = zs::gpu::wait(clock.stream);
    test::check(wrong.empty(), "%s: %s", name, wrong.c_str());
  };
  const Size size{true};
  runs("attention", [&] { attention(clock, size); });
  runs("prompts", [&] { prompts(clock, size); });
  runs("steps", [&] { steps(clock, size); });
  runs("whole-steps", [&] { whole_steps(clock, size); });
  runs("traces", [&] { traces(size); });
  return test::finish("benches");
}
