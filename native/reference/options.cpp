// What options come to: shares and least sizes (spec 1, 5a), the prefill window (spec 4), and storage rounding.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "reference/zsmerge.h"

namespace reference {

Resolved resolve(const Options& options, int64_t tokens) {
  Resolved resolved;
  if (!options.history) {
    resolved.window = 0;
  } else if (options.window > 0) {
    resolved.window = options.window;
  } else if (options.window < 0 || options.decay == 1) {
    resolved.window = std::numeric_limits<int64_t>::max();
  } else {
    double power = 1;
    while (power >= 1e-7) {
      power *= options.decay;
      ++resolved.window;
    }
  }
  if (options.full) return resolved;

  const auto share = [](double part, int64_t of) {
    return static_cast<int64_t>(std::trunc(part * static_cast<double>(of)));
  };
  const auto least = [](int64_t value, int64_t least) { return value < least ? least : value; };

  if (options.budget < 1) {
    resolved.budget = least(share(options.budget, tokens), options.least_budget);
  } else {
    resolved.budget = static_cast<int64_t>(options.budget);
  }
  const bool recent_is_share = options.recent > 0 && options.recent < 1;
  resolved.recent = recent_is_share ? share(options.recent, resolved.budget) : static_cast<int64_t>(options.recent);
  if (recent_is_share || options.raise_counts) resolved.recent = least(resolved.recent, options.least_recent);
  if (resolved.recent < 1) throw std::invalid_argument("recent must be at least 1");

  const bool residual_is_share = options.residual > 0 && options.residual < 1;
  resolved.residual = residual_is_share ? share(options.residual, resolved.budget - resolved.recent)
                                        : static_cast<int64_t>(options.residual);
  if (residual_is_share || options.raise_counts) resolved.residual = least(resolved.residual, options.least_residual);

  resolved.sink = options.sink;
  resolved.context = resolved.budget - resolved.recent - resolved.residual - resolved.sink;
  if (resolved.context <= 0) throw std::invalid_argument("budget must exceed recent + residual + sink");
  return resolved;
}

double stored(float value, Storage storage) {
  if (storage == Storage::kFloat32) return value;
  if (storage == Storage::kBfloat16) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    bits += 0x7fff + (bits >> 16 & 1);
    bits &= 0xffff0000u;
    float rounded;
    std::memcpy(&rounded, &bits, 4);
    return rounded;
  }
  // float16: 11 significant bits, spacing 2^-24 below 2^-14.
  if (value == 0) return value;
  int exponent;
  std::frexp(value, &exponent);
  const int last = exponent - 11 < -24 ? -24 : exponent - 11;
  const double rounded = std::ldexp(std::nearbyint(std::ldexp(static_cast<double>(value), -last)), last);
  return std::fabs(rounded) >= 65520 ? std::copysign(std::numeric_limits<double>::infinity(), value) : rounded;
}

// ---- policies by name

namespace {
void history(Options& options, const Asked& asked) {
  options.decay = asked.number("decay");
  options.history = asked.on("history");
  options.window = asked.whole("window");
}
}  // namespace

std::unique_ptr<Policy> make_full(const Asked& asked) {
  Options o;
  o.full = true;
  history(o, asked);
  return std::make_unique<ZsMerge>(o);
}

namespace {
class Streaming : public ZsMerge {
 public:
  Streaming(const Options& options, const Asked& asked)
      : ZsMerge(options), within_(asked.on("positions")), stride_(asked.whole("stride")) {}
  bool rotates() const override { return within_; }
  int64_t stride() const override { return stride_; }
  // As many places before a slot as there are older tokens.
  std::vector<int64_t> places(const Head& head) const override {
    std::vector<int64_t> places;
    for (const Slot& slot : head.slots)
      places.push_back(std::count_if(head.slots.begin(), head.slots.end(),
                                     [&](const Slot& other) { return other.origins[0] < slot.origins[0]; }));
    places.push_back(static_cast<int64_t>(head.slots.size()));
    return places;
  }

 private:
  bool within_;
  int64_t stride_;
};
}  // namespace

std::unique_ptr<Policy> make_streaming(const Asked& asked) {
  Options o;
  o.budget = asked.budget, o.recent = 1, o.residual = 0;
  o.sink = asked.whole("sink");
  o.history = false;
  return std::make_unique<Streaming>(o, asked);
}

std::unique_ptr<Policy> make_evict_only(const Asked& asked) {
  Options o;
  o.budget = asked.budget, o.recent = asked.number("recent"), o.residual = 0;
  o.sink = asked.whole("sink");
  o.underfull = static_cast<Underfull>(asked.whole("underfull"));
  history(o, asked);
  return std::make_unique<ZsMerge>(o);
}

std::unique_ptr<Policy> make_zsmerge(const Asked& asked) { return std::make_unique<ZsMerge>(options_of(asked)); }

Options options_of(const Asked& asked) {
  Options o;
  o.budget = asked.budget, o.recent = asked.number("recent"), o.residual = asked.number("residual");
  o.sink = asked.whole("sink");
  o.least_budget = asked.whole("leastBudget");
  o.least_recent = asked.whole("leastRecent");
  o.least_residual = asked.whole("leastResidual");
  o.raise_counts = asked.on("raiseCounts");
  o.alpha = asked.number("alpha");
  history(o, asked);
  o.similarity = static_cast<Similarity>(asked.whole("similarity"));
  o.score_merge = static_cast<ScoreMerge>(asked.whole("scoreMerge"));
  o.init = static_cast<Init>(asked.whole("init"));
  o.underfull = static_cast<Underfull>(asked.whole("underfull"));
  o.granularity = static_cast<Together>(asked.whole("granularity"));
  o.aggregate = static_cast<Aggregate>(asked.whole("aggregate"));
  o.fixed_keys = asked.on("keys"), o.fixed_values = asked.on("values");
  return o;
}

}  // namespace reference
