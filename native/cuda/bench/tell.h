// What benches say: one JSON object a line, with what was timed and the result in words, and its numbers. Failures end the program. Spreads
// are tenth, half and ninetieth of a hundred.
#ifndef ZSLAB_CUDA_BENCH_TELL_H
#define ZSLAB_CUDA_BENCH_TELL_H

#include <string>
#include <vector>

namespace zs::bench {

void must(const std::string& error);

struct Spread {
  double low, median, high;
};
Spread spread_of(std::vector<double> values);
// With so many digits behind the point: "12.1 (11.9 to 12.6)".
std::string words_of(const Spread& spread, int digits);
std::string words_of(double value, int digits);

class Line {
 public:
  explicit Line(const std::string& bench);
  Line& number(const char* name, double value);
  Line& spread(const char* name, const Spread& value);
  void tell(const std::string& what, const std::string& result);
  // In the place of a result.
  void not_run(const std::string& what, const std::string& why);

 private:
  std::string members_;
};

}  // namespace zs::bench
#endif
