// Runs one configuration on the engine and on the reference side by side. Where float32 cannot tell candidates apart
// the reference follows the engine's choice, if that is one of them; everything else must agree.
#ifndef ZSLAB_TEST_JUDGE_H
#define ZSLAB_TEST_JUDGE_H

#include <map>
#include <set>
#include <tuple>

#include "test/caches.h"

namespace test {

constexpr double kTolerance =
    1e-5;  // keys, values, outputs: absolute; scores and similarities: times max(1, |x|). test/tolerances.ts

struct Verdict {
  int64_t decisions = 0, undecided = 0,
          followed = 0;  // made; within float32 rounding; of those, where the engine chose another
  int64_t events = 0;
  bool given_up =
      false;  // an order within rounding in the middle of a chunk cannot be read back: the rest was not judged
  double output = 0, element = 0, score = 0;  // largest differences
  std::string fault;                          // empty = agreed
};

struct Fault {
  std::string text;
};
struct GiveUp {};

inline std::string told(const char* format, ...) __attribute__((format(printf, 1, 2)));
inline std::string told(const char* format, ...) {
  char text[400];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return text;
}

class Judge {
 public:
  Judge(const Engine& engine, const Config& config)
      : config_(config), cache_(engine, config.cache), reference_(config.cache) {
    for (int layer = 0; layer < config.cache.layers; ++layer) sources_.emplace_back(config, layer);
    reference_.cache.guide = [this](const reference::Question& question) { return answer(question); };
  }

  virtual ~Judge() = default;

  Verdict run() {
    try {
      for (size_t call = 0; call < config_.calls.size(); ++call) {
        for (int layer = 0; layer < config_.cache.layers; ++layer) one_call(call, layer);
        where_ = told("after call %zu: ", call);
        between(call);
      }
    } catch (const Fault& fault) {
      verdict_.fault = fault.text;
    } catch (const GiveUp&) {
      verdict_.given_up = true;
    } catch (const std::exception& e) {
      verdict_.fault = where_ + e.what();
    }
    return verdict_;
  }

 protected:
  // After a call on all layers: what else is done to both, and compared (settled).
  virtual void between(size_t /*call*/) {}
  // Both as they are now, and their events from these on.
  void settled(int64_t before, size_t noted) {
    for (int l = 0; l < config_.cache.layers; ++l) {
      states_[static_cast<size_t>(l)] = cache_.state(l);
      same_resolved(l);
      same_state(l);
    }
    same_events(before, noted);
  }

  // One layer of one call; where layers wait for the last, its end settles them all.
  void one_call(size_t call, int layer) {
    where_ = told("call %zu layer %d: ", call, layer);
    const int tokens = config_.calls[call];
    const Inputs in = sources_[static_cast<size_t>(layer)].next(tokens);
    const int64_t before = cache_.events().count;
    const size_t noted = reference_.cache.events().size();
    const auto out = call ? cache_.extend(layer, in, tokens) : cache_.prefill(layer, in, tokens, config_.share_of);
    const bool waits = reference_.cache.waits(layer);
    states_.resize(static_cast<size_t>(config_.cache.layers));
    if (!waits)
      for (int l = first(layer); l <= layer; ++l) states_[static_cast<size_t>(l)] = cache_.state(l);
    read_choices(before, first(layer), waits ? -1 : layer);
    const auto expected =
        call ? reference_.extend(layer, in, tokens) : reference_.prefill(layer, in, tokens, config_.share_of);
    for (size_t i = 0; i < out.size(); ++i) verdict_.output = largest(verdict_.output, out[i], expected[i]);
    if (!(verdict_.output <= kTolerance)) throw Fault{where_ + told("an output is off by %g", verdict_.output)};
    if (!waits)
      for (int l = first(layer); l <= layer; ++l) {
        same_resolved(l);
        same_state(l);
      }
    same_events(before, noted);
  }

  // Of the layers that are settled with `layer`, or change once more.
  int first(int layer) const {
    const reference::Policy& policy = reference_.cache.policy();
    return policy.together() == reference::Together::kModel ? 0 : policy.crosses() ? std::max(0, layer - 1) : layer;
  }

  // A NaN counts as infinitely far.
  static double largest(double so_far, float given, double expected) {
    const double off = std::fabs(static_cast<double>(given) - expected);
    return off <= so_far ? so_far : off == off ? off : INFINITY;
  }

  void read_choices(int64_t from, int first, int last) {
    victims_.clear(), targets_.clear(), seeds_.clear(), admitted_.clear(), last_step_ = 0;
    const zs_events e = cache_.events();
    for (int64_t i = from; i < e.count; ++i) {
      last_step_ = std::max<int64_t>(last_step_, e.step[i]);
      if (e.action[i] == ZS_ADMIT) admitted_[{e.layer[i], e.kv_head[i], e.step[i], e.slot[i]}] = e.position[i];
      if (e.action[i] != ZS_MERGE && e.action[i] != ZS_DROP) continue;
      // A new token that leaves at once never had a slot; it stood behind all others.
      const int slot = e.slot[i] >= 0 ? e.slot[i] : newest_slot(e.layer[i], e.kv_head[i]);
      victims_[{e.layer[i], e.kv_head[i], e.step[i]}] = slot;
      targets_[{e.layer[i], e.kv_head[i], e.step[i], e.position[i]}] = e.target[i];
    }
    for (int l = first; l <= last; ++l)
      for (int g = 0; g < config_.cache.kv_heads; ++g)
        for (int s = 0; s < state(l).heads[static_cast<size_t>(g)].residual; ++s)
          seeds_.insert({l, g, state(l).first_origin(g, s)});
  }
  int newest_slot(int layer, int kv_head) const {
    return static_cast<int>(reference_.cache.head(layer, kv_head).sizes.budget);
  }

  int answer(const reference::Question& q) {
    using reference::Choice;
    ++verdict_.decisions;
    if (q.near.size() > 1) ++verdict_.undecided;
    const auto is_near = [&](int id) { return std::find(q.near.begin(), q.near.end(), id) != q.near.end(); };
    const int layer = q.at.layer, g = q.at.kv_head;
    const auto due = [&](const char* what) {
      return Fault{where_ + told("step %lld layer %d head %d: %s, %d is due", static_cast<long long>(q.step), layer, g,
                                 what, q.best)};
    };
    int chosen = q.best;
    if (q.choice == Choice::kVictim) {
      const auto found = victims_.find({layer, g, q.step});
      if (found == victims_.end()) throw due("no victim");
      chosen = found->second;
    } else if (q.choice == Choice::kTarget) {
      const auto found = targets_.find({layer, g, q.step, q.position});
      if (found == targets_.end()) throw due(told("position %d was not merged", q.position).c_str());
      chosen = found->second;
    } else if (q.choice == Choice::kPlaces) {
      zs_resolved r{};
      must(zs_cache_resolved(cache_.handle, layer, g, &r), "resolved");
      chosen = r.context;
    } else if (q.near.size() > 1 && q.choice == Choice::kSeed) {
      if (!seeds_.count({layer, g, chosen}))
        for (int id : q.near)
          if (seeds_.count({layer, g, id})) chosen = id;
    } else if (q.near.size() > 1 && q.choice == Choice::kMember) {
      chosen = member(q);
    } else if (q.near.size() > 1) {
      if (q.step != last_step_ || q.choice != Choice::kKeep) throw GiveUp{};  // slots may have changed since
      // Where it was admitted to; slots may have been put in another order since.
      const auto found = admitted_.find({layer, g, q.step, static_cast<int>(q.slot)});
      chosen = found == admitted_.end() ? state(layer).first_origin(g, q.slot) : found->second;
    }
    const char* const names[] = {"kept", "seed", "victim", "target", "member", "places", "share"};
    if (!is_near(chosen))
      throw Fault{where_ +
                  told("step %lld layer %d head %d: %s %d, but it is %d (margin %.3g, float32 rounding %.3g, %zu near)",
                       static_cast<long long>(q.step), layer, g, names[static_cast<int>(q.choice)], chosen, q.best,
                       q.margin, q.bound, q.near.size())};
    if (chosen != q.best) ++verdict_.followed;
    return chosen;
  }

  // Whose key and value a residual slot has at the end of the call.
  int member(const reference::Question& q) const {
    const State& held = state(q.at.layer);
    const size_t d = static_cast<size_t>(config_.cache.head_dim), at = held.at(q.at.kv_head, q.slot) * d;
    const auto has = [&](const std::vector<float>& column, const std::vector<double>& x) {
      for (size_t i = 0; i < d; ++i)
        if (std::fabs(static_cast<double>(column[at + i]) - x[i]) > kTolerance) return false;
      return true;
    };
    const bool keys = config_.cache.policy.aggregate == 2 || config_.cache.policy.keys != 0;
    for (size_t i = 0; i < q.near.size(); ++i)
      if (keys ? has(held.keys, q.whose[i]->key) : has(held.values, q.whose[i]->value)) return q.near[i];
    throw GiveUp{};  // it has changed since
  }

  const State& state(int layer) const { return states_[static_cast<size_t>(layer)]; }

  void same_resolved(int layer) {
    const int64_t seen = config_.calls[0];
    for (int g = 0; g < config_.cache.kv_heads; ++g) {
      zs_resolved r{};
      must(zs_cache_resolved(cache_.handle, layer, g, &r), "resolved");
      const reference::Resolved& e = reference_.cache.head(layer, g).sizes;
      if (r.budget != e.budget || r.recent != e.recent || r.residual != e.residual || r.sink != e.sink ||
          r.context != e.context || r.read != e.read || std::min<int64_t>(r.window, seen) != std::min(e.window, seen))
        throw Fault{where_ + told("head %d resolved to %d %d %d %d %d read %d window %d, not %lld %lld %lld %lld %lld "
                                  "read %lld window %lld",
                                  g, r.budget, r.recent, r.residual, r.sink, r.context, r.read, r.window,
                                  static_cast<long long>(e.budget), static_cast<long long>(e.recent),
                                  static_cast<long long>(e.residual), static_cast<long long>(e.sink),
                                  static_cast<long long>(e.context), static_cast<long long>(e.read),
                                  static_cast<long long>(e.window))};
    }
  }

  void same_state(int layer) {
    const int d = config_.cache.head_dim;
    const State& held = state(layer);
    if (held.layer.seq_len != reference_.cache.seq_len(layer))
      throw Fault{where_ + told("%lld tokens seen", static_cast<long long>(held.layer.seq_len))};
    for (int g = 0; g < config_.cache.kv_heads; ++g) {
      const reference::Head& due = reference_.cache.head(layer, g);
      const zs_head_state& head = held.heads[static_cast<size_t>(g)];
      if (head.slots != static_cast<int>(due.slots.size()))
        throw Fault{where_ + told("head %d: %d slots, not %zu", g, head.slots, due.slots.size())};
      if (head.residual != (due.compressed ? due.sizes.residual : 0) || head.ring != (due.compressed ? due.ring : -1))
        throw Fault{where_ + told("head %d: residual %d ring %d, not %lld %lld", g, head.residual, head.ring,
                                  static_cast<long long>(due.sizes.residual), static_cast<long long>(due.ring))};
      if (head.read != due.read)
        throw Fault{where_ + told("head %d: the newest token read %d slots, not %lld", g, head.read,
                                  static_cast<long long>(due.read))};
      verdict_.decisions += due.read > 0;  // which slots they were, the outputs tell
      for (size_t s = 0; s < due.slots.size(); ++s) {
        const reference::Slot& slot = due.slots[s];
        const size_t at = held.at(g, static_cast<int64_t>(s));
        if (held.origins(g, static_cast<int64_t>(s)) != slot.origins)
          throw Fault{where_ + told("head %d slot %zu stands for %d (%zu positions), not for %d (%zu)", g, s,
                                    held.first_origin(g, static_cast<int64_t>(s)),
                                    held.origins(g, static_cast<int64_t>(s)).size(), slot.origins[0],
                                    slot.origins.size())};
        if (static_cast<double>(held.weights[at]) != slot.weight)
          throw Fault{where_ + told("head %d slot %zu: weight %g, not %g", g, s, static_cast<double>(held.weights[at]),
                                    slot.weight)};
        for (int i = 0; i < d; ++i) {
          const size_t e = at * static_cast<size_t>(d) + static_cast<size_t>(i);
          verdict_.element = largest(verdict_.element, held.keys[e], slot.key[static_cast<size_t>(i)]);
          verdict_.element = largest(verdict_.element, held.values[e], slot.value[static_cast<size_t>(i)]);
        }
        if (!(verdict_.element <= kTolerance))
          throw Fault{where_ + told("head %d slot %zu: an element is off by %g", g, s, verdict_.element)};
        if (!reference_.cache.policy().scored(0)) continue;
        const double scale = std::max(1.0, std::fabs(slot.score));
        verdict_.score = largest(verdict_.score, static_cast<float>(static_cast<double>(held.scores[at]) / scale),
                                 slot.score / scale);
        if (!(verdict_.score <= kTolerance))
          throw Fault{where_ + told("head %d slot %zu: score %.9g, not %.9g", g, s,
                                    static_cast<double>(held.scores[at]), slot.score)};
      }
    }
  }

  void same_events(int64_t from, size_t noted) {
    const zs_events e = cache_.events();
    const auto& r = reference_.cache.events();
    std::vector<int64_t> given;
    std::vector<size_t> expected;
    for (int64_t i = from; i < e.count; ++i)
      if (e.action[i] <= ZS_DROP) given.push_back(i);  // what only changes places, the states tell
    for (size_t i = noted; i < r.size(); ++i) expected.push_back(i);
    const auto key = [&](int64_t i) {
      return std::make_tuple(int{e.layer[i]}, int{e.kv_head[i]}, int64_t{e.step[i]}, int{e.action[i]}, e.position[i]);
    };
    const auto wanted = [&](size_t i) {
      return std::make_tuple(r[i].layer, r[i].kv_head, r[i].step, static_cast<int>(r[i].action), r[i].position);
    };
    std::stable_sort(given.begin(), given.end(), [&](int64_t a, int64_t b) { return key(a) < key(b); });
    std::stable_sort(expected.begin(), expected.end(), [&](size_t a, size_t b) { return wanted(a) < wanted(b); });
    const auto name = [](int action) {
      return action == ZS_ADMIT ? "admit" : action == ZS_LEAVE ? "leave" : action == ZS_MERGE ? "merge" : "drop";
    };
    for (size_t n = 0; n < std::max(given.size(), expected.size()); ++n) {
      if (n >= given.size() || n >= expected.size() || key(given[n]) != wanted(expected[n])) {
        const bool extra = n >= expected.size() || (n < given.size() && key(given[n]) < wanted(expected[n]));
        if (extra)
          throw Fault{where_ + told("event too many: step %d head %d %s of %d, slot %d target %d", e.step[given[n]],
                                    e.kv_head[given[n]], name(e.action[given[n]]), e.position[given[n]],
                                    e.slot[given[n]], e.target[given[n]])};
        const reference::Event& w = r[expected[n]];
        throw Fault{where_ + told("event missing: step %lld head %d %s of %d, slot %lld target %lld",
                                  static_cast<long long>(w.step), w.kv_head, name(static_cast<int>(w.action)),
                                  w.position, static_cast<long long>(w.slot), static_cast<long long>(w.target))};
      }
      const int64_t i = given[n];
      const reference::Event& w = r[expected[n]];
      if (e.slot[i] != w.slot || e.target[i] != w.target || !about(e.score[i], w.score) ||
          !about(e.similarity[i], w.similarity) || static_cast<double>(e.weight[i]) != w.weight ||
          static_cast<double>(e.target_weight[i]) != w.target_weight)
        throw Fault{where_ + told("event step %d head %d %s of %d: slot %d target %d score %g similarity %g weights %g "
                                  "%g, not slot %lld target %lld "
                                  "score %g similarity %g weights %g %g",
                                  e.step[i], e.kv_head[i], name(e.action[i]), e.position[i], e.slot[i], e.target[i],
                                  static_cast<double>(e.score[i]), static_cast<double>(e.similarity[i]),
                                  static_cast<double>(e.weight[i]), static_cast<double>(e.target_weight[i]),
                                  static_cast<long long>(w.slot), static_cast<long long>(w.target), w.score,
                                  w.similarity, w.weight, w.target_weight)};
      ++verdict_.events;
    }
  }
  static bool about(float given, double expected) {
    if (expected != expected) return given != given;
    return std::fabs(static_cast<double>(given) - expected) <= kTolerance * std::max(1.0, std::fabs(expected));
  }

  const Config config_;
  Cache cache_;
  ReferenceCache reference_;
  std::vector<Source> sources_;
  std::vector<State> states_;  // by layer, as the last call left them
  std::map<std::tuple<int, int, int64_t>, int> victims_;
  std::map<std::tuple<int, int, int64_t, int>, int> targets_;   // by position
  std::map<std::tuple<int, int, int64_t, int>, int> admitted_;  // by slot
  std::set<std::tuple<int, int, int>> seeds_;
  int64_t last_step_ = 0;
  Verdict verdict_;
  std::string where_;
};

}  // namespace test
#endif
