// The whole test harness: counted checks, "name: N passed, M failed" at the end, an exit status, and how much to run.
#ifndef ZSLAB_TEST_CHECK_H
#define ZSLAB_TEST_CHECK_H

#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace test {

struct Tally {
  int64_t passed = 0, failed = 0;
};
inline Tally& tally() {
  static Tally it;
  return it;
}

// Counts a check; the first twenty failures are told.
inline bool check(bool held, const char* format, ...) __attribute__((format(printf, 2, 3)));
inline bool check(bool held, const char* format, ...) {
  if (held) {
    ++tally().passed;
    return true;
  }
  if (++tally().failed <= 20) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    std::fprintf(stderr, "  failed: %s\n", text);
  }
  return false;
}

// Last line of every program; its value is main's.
inline int finish(const char* name) {
  if (tally().passed == 0) check(false, "%s made no check at all", name);
  std::printf("%s: %lld passed, %lld failed\n", name, static_cast<long long>(tally().passed),
              static_cast<long long>(tally().failed));
  return tally().failed ? 1 : 0;
}

// ZSLAB_TEST_SCALE = full (everything), ci (the same, but of what is much alike a fifth), tenfold, a number, else a sample; after
// "sanitizer" or "sanitizer-ci" a few.
inline std::string_view scale() {
  const char* given = std::getenv("ZSLAB_TEST_SCALE");
  return given ? given : "";
}

// How many random cases.
inline int cases(int full, int sample, int sanitizer) {
  if (scale() == "full" || scale() == "ci") return full;
  if (scale() == "tenfold") return 10 * full;
  if (scale() == "sanitizer" || scale() == "sanitizer-ci") return sanitizer;
  const int number = std::atoi(scale().data());
  return number > 0 ? number : sample;
}

// As cases(), of such as are much alike and take long: CI takes a fifth of all, but no fewer than a sample (test/scale.ts has the same).
inline int alike(int full, int sample, int sanitizer) {
  const int all = cases(full, sample, sanitizer);
  const bool fifth = scale() == "ci" || scale() == "sanitizer-ci";
  return fifth ? std::max((all + 4) / 5, std::min(all, sample)) : all;
}

// xoshiro-like in spirit, small in fact: splitmix64, seeded by program and case.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ull + 0x1234567) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  int upto(int low, int high) {
    return low + static_cast<int>(next() % static_cast<uint64_t>(high - low + 1));
  }  // both ends in
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }  // [0, 1)
  float element() { return static_cast<float>(unit() * 2 - 1); }         // [-1, 1)
  bool one_in(int n) { return upto(1, n) == 1; }
  template <class T, size_t N>
  T of(const T (&choices)[N]) {
    return choices[next() % N];
  }

 private:
  uint64_t state_;
};

}  // namespace test
#endif
