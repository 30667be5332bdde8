// Many caches at once: the tokens of some share each reading of the weights, and every cache has the bits that it has alone, since up to
// kFewRows rows go through products as they do one by one.
#include <algorithm>
#include <cstdio>
#include <string>

#include "core/error.h"
#include "model/extend_pass.h"
#include "model/forward.h"
#include "model/progress.h"
#include "model/projections.h"

namespace zs {
namespace {

// Multiply-adds, for each thread, of a pass that nothing stops: with AVX2 at 24e9 a second 80 ms. Longer ones are made on forks, which cost
// a fifth of the time where many slots may be written.
constexpr int64_t kInPlaceProducts = int64_t{7} << 28;

// Notes what f throws as how `one` ended.
template <class F>
bool held(zs_batched& one, F f) {
  one.status = guard(f);
  std::snprintf(one.error, sizeof one.error, "%s", one.status == ZS_OK ? "" : zs_last_error());
  return one.status == ZS_OK;
}

zs_call* call_of(const zs_batched& one, zs_call* call) { return one.call ? one.call : call; }

// Whether it shares products with others: a prompt, many tokens, and what a device does, go alone.
bool joins(const zs_model& model, const zs_batched& one) {
  return !model.device && one.cache->engine == model.engine && cache_seq_len(*one.cache, 0) > 0 &&
         one.forward->tokens <= kFewRows;
}

int64_t multiply_adds(const zs_model& model) {
  const LayerWeights& w = model.weights.layers[0];
  int64_t all = 0;
  for (const Matrix* one : {&w.qkv, &w.attention_output, &w.gate_up, &w.down}) all += one->k * one->outputs();
  return all * model.config.layers + model.weights.output.k * model.weights.output.outputs();
}

// Those whose rows go through products together.
class Group {
 public:
  Group(zs_model& model, zs_call* call) : model_(model), call_(call), each_(multiply_adds(model)) {}

  bool has_room(const zs_batched& one) const {
    return all_.empty() || (rows_ + one.forward->tokens <= kFewRows && bytes_ + one.cache->bytes() <= kInPlace);
  }
  void add(zs_batched& one) {
    all_.push_back(&one);
    rows_ += one.forward->tokens;
    bytes_ += one.cache->bytes();
  }

  // Each goes on, or is as it was and says why. Nobody is in the group then.
  void run() {
    const zs_status status = guard([&] { pass(); });
    const std::string sentence = status == ZS_OK ? "" : zs_last_error();
    for (zs_batched* one : all_)
      if (status != ZS_OK && one->status == ZS_OK) held(*one, [&] { throw Error{status, sentence}; });
    all_.clear();
    rows_ = bytes_ = 0;
  }

 private:
  // Throws what ends all that are left, and none is in place then.
  void pass() {
    need_logits(model_, kFewRows);
    const size_t most = all_.size();
    std::vector<zs_batched*> goes;
    std::vector<std::unique_ptr<zs_cache>> forks;  // nullptr: in place, where nothing can fail
    std::vector<Extension> extensions;
    goes.reserve(most), forks.reserve(most), extensions.reserve(most);
    const bool short_pass =
        model_.weights.bytes <= kInPlace && rows_ * each_ <= kInPlaceProducts * model_.engine->pool.threads();
    bool stops = true;
    for (zs_batched* one : all_)
      held(*one, [&] {
        zs_call* const own = call_of(*one, call_);
        check_abort(call_);
        check_abort(own);
        const bool in_place = short_pass && one->forward->tokens == 1 && cache_reserve_step(*one->cache);
        std::unique_ptr<zs_cache> fork = in_place ? nullptr : cache_fork(*one->cache);
        extensions.push_back({fork ? fork.get() : one->cache, one->forward, fork ? own : nullptr, own});
        forks.push_back(std::move(fork));
        goes.push_back(one);
        stops = stops && !in_place;
      });
    zs_call* const stop = stops ? call_ : nullptr;
    ExtendPass pass(model_, *model_.few, extensions, nullptr, stop);
    std::vector<NeededRow> needed;
    for (const Extension& one : extensions) add_needed(*one.forward, one.first, needed);
    pass.run();
    for (size_t i = 0; i < goes.size(); ++i)
      if (extensions[i].failed) held(*goes[i], [&] { std::rethrow_exception(extensions[i].failed); });
    const auto gone = [&](const NeededRow& row) {
      return std::any_of(extensions.begin(), extensions.end(),
                         [&](const Extension& one) { return one.failed && one.forward == row.of; });
    };
    needed.erase(std::remove_if(needed.begin(), needed.end(), gone), needed.end());
    give_logits(model_, needed, *model_.few, stop);
    for (size_t i = 0; i < goes.size(); ++i) {
      if (extensions[i].failed) continue;
      if (forks[i]) cache_swap(*goes[i]->cache, *forks[i]);
      report(extensions[i].report, goes[i]->forward->tokens, goes[i]->forward->tokens);
    }
  }

  zs_model& model_;
  zs_call* const call_;
  const int64_t each_;  // multiply-adds of a row
  std::vector<zs_batched*> all_;
  int64_t rows_ = 0, bytes_ = 0;
};

}  // namespace

void model_forward_many(zs_model& model, zs_batched* all, int64_t count, zs_call* call) {
  Group group(model, call);
  const auto together = [&](int64_t done) {
    group.run();
    report(call, done, count);
  };
  report(call, 0, count);
  for (int64_t i = 0; i < count; ++i) {
    zs_batched& one = all[i];
    zs_call* const own = call_of(one, call);
    const bool joined = joins(model, one);
    const bool begun = held(one, [&] {
      check_abort(call);
      if (!joined) return model_forward(model, *one.cache, *one.forward, own);
      check_forward(model, *one.cache, *one.forward);
      need_model_constants(model, *one.cache, own);
      report(own, 0, one.forward->tokens);
    });
    if (!begun || !joined) continue;
    if (!group.has_room(one)) together(i);
    group.add(one);
  }
  together(count);
}

}  // namespace zs
