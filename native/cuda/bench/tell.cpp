#include "cuda/bench/tell.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace zs::bench {
namespace {

std::string digits(double value, const char* format) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

}  // namespace

void must(const std::string& error) {
  if (error.empty()) return;
  std::fprintf(stderr, "%s\n", error.c_str());
  std::exit(1);
}

Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
  };
  return {at(0.1), at(0.5), at(0.9)};
}

std::string words_of(double value, int places) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", places, value);
  return text;
}

std::string words_of(const Spread& s, int places) {
  return words_of(s.median, places) + " (" + words_of(s.low, places) + " to " + words_of(s.high, places) + ")";
}

Line::Line(const std::string& bench) : members_("\"bench\":\"" + bench + "\"") {}

Line& Line::number(const char* name, double value) {
  members_ += std::string(",\"") + name + "\":" + digits(value, "%.10g");
  return *this;
}

Line& Line::spread(const char* name, const Spread& s) {
  members_ += std::string(",\"") + name + "\":[" + digits(s.low, "%.5g") + "," + digits(s.median, "%.5g") + "," +
              digits(s.high, "%.5g") + "]";
  return *this;
}

void Line::tell(const std::string& what, const std::string& result) {
  std::printf("{\"what\":\"%s\",\"result\":\"%s\",%s}\n", what.c_str(), result.c_str(), members_.c_str());
  std::fflush(stdout);
}

void Line::not_run(const std::string& what, const std::string& why) {
  std::printf("{\"what\":\"%s\",\"notRun\":\"%s\",%s}\n", what.c_str(), why.c_str(), members_.c_str());
  std::fflush(stdout);
}

}  // namespace zs::bench
