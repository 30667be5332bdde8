// What the kernels take on a GPU: one JSON object a line (tell.h). --small: see benches.h. Names of benches: only these.
#include <cstdio>
#include <cstring>
#include <vector>

#include "cuda/bench/benches.h"

int main(int count, char** words) {
  using namespace zs::bench;
  Size size{false};
  std::vector<const char*> names;
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(words[i], "--small") == 0)
      size.small = true;
    else
      names.push_back(words[i]);
  }
  static const char* const kNames[] = {"attention", "prompts", "steps", "whole-steps", "traces"};
  const auto is = [](const char* a, const char* b) { return std::strcmp(a, b) == 0; };
  for (const char* name : names) {
    bool known = false;
    for (const char* one : kNames) known = known || is(name, one);
    if (!known) {
      std::fprintf(stderr, "bench_cuda has no bench %s: it has attention, prompts, steps, whole-steps, traces\n", name);
      return 2;
    }
  }
  const auto wanted = [&](const char* name) {
    bool found = names.empty();
    for (const char* one : names) found = found || is(one, name);
    return found;
  };
  Clock clock;
  if (wanted("attention")) attention(clock, size);
  if (wanted("prompts")) prompts(clock, size);
  if (wanted("steps")) steps(clock, size);
  if (wanted("whole-steps")) whole_steps(clock, size);
  if (wanted("traces")) traces(size);
  return 0;
}
