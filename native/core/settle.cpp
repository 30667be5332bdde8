// Who stays: a token that has had its attention stays, or somebody leaves; heads that choose together are settled together.
#include "core/work.h"

namespace zs {
namespace {

// Heads that choose together, one layer after another; `t` as of Layer::step_of.
HeadWork* together(zs_cache& cache, int32_t index, Layer* layers, int32_t count, int64_t t) {
  cache.works.clear();
  for (int32_t l = 0; l < count; ++l)
    for (int32_t g = 0; g < cache.config.kv_heads; ++g)
      cache.works.push_back(work_on(cache, layers[l].heads[static_cast<size_t>(g)], index + l, g, 0,
                                    layers[l].step_of(t), &cache.notes[cache.works.size()]));
  return cache.works.data();
}

// Waiting token t becomes the newest of its head.
void arrive(const zs_cache& cache, Head& head, const Segment& waiting, int32_t t, HeadWork& work) {
  reserve_token(cache, head);
  waiting.pages.read(t, work.scratch->key.data(), work.scratch->value.data());
  head.append(work.scratch->key.data(), work.scratch->value.data(), waiting.positions[static_cast<size_t>(t)]);
  head.open().scores[static_cast<size_t>(head.open().slots() - 1)] = waiting.scores[static_cast<size_t>(t)];
  if (hook(*cache.policy, &PolicyHooks::arrive)) call_hook(&PolicyHooks::arrive, work);
  score_newest(cache, work);
}

}  // namespace

void reserve_token(const zs_cache& cache, Head& head) {
  head.reserve(1);
  if (hook(*cache.policy, &PolicyHooks::settled)) head.reserve_moves(1);
  // Of a cache where somebody may leave any slot may be written; on a copy, pages are made as they are.
  head.own(head.compressed && acts_always(cache) && !cache.needs.may_fail);
}

namespace {

void stay_or_leave(zs_cache& cache, HeadWork* works, int32_t count) {
  const Head& any = *works[0].head;
  if (!acts_always(cache) || any.slots() <= any.sizes.budget) {
    for (int32_t i = 0; i < count; ++i) {
      const Head& head = *works[i].head;
      const Segment& open = head.open();
      const size_t last = static_cast<size_t>(open.slots() - 1);
      if (head.compressed && acts_always(cache) && hook(*cache.policy, &PolicyHooks::fill))
        call_hook(&PolicyHooks::fill, works[i]);
      else
        works[i].note_admit(open.positions[last], head.slots() - 1, open.scores[last]);
    }
    return;
  }
  const Policy* owner = nullptr;
  const auto asks = hook(*cache.policy, &PolicyHooks::compress_underfull, &owner);
  const bool compress = !any.compressed && (!asks || asks(*owner));
  if (!any.compressed && !compress && hook(*cache.policy, &PolicyHooks::start))
    for (int32_t i = 0; i < count; ++i) call_hook(&PolicyHooks::start, works[i]);
  const float* const choice = count > 1 ? summed_scores(cache, works, count) : nullptr;
  for (int32_t i = 0; i < count; ++i) works[i].arrival = true;
  choose(cache, works, count);
  for (int32_t i = 0; i < count; ++i) {
    Head& head = *works[i].head;
    works[i].choice = choice ? choice : head.open().scores.data();
    call_hook(compress ? &PolicyHooks::compress : &PolicyHooks::evict, works[i]);
    head.compressed = true;
    head.hold(head.slots(), head.sizes.budget, works[i].step);
  }
}

}  // namespace

void enter(zs_cache& cache, HeadWork* works, int32_t count) {
  stay_or_leave(cache, works, count);
  if (!hook(*cache.policy, &PolicyHooks::settled)) return;
  for (int32_t i = 0; i < count; ++i) call_hook(&PolicyHooks::settled, works[i]);
}

void cross_reserve(Layer& below, Layer& here, int32_t fresh) {
  for (size_t g = 0; g < here.heads.size(); ++g) {
    below.heads[g].reserve_moves(fresh, &here.heads[g]);
    here.heads[g].reserve_moves(fresh, &below.heads[g]);
  }
}

void cross(zs_cache& cache, int32_t index, Layer& below, Layer& here, int64_t step, int32_t fresh,
           std::vector<Event>* events) {
  if (!crosses(cache, index)) return;
  cache.engine->run(cache.config.kv_heads, nullptr, [&](int64_t g, int thread) {
    const size_t i = static_cast<size_t>(g);
    HeadWork under = work_on(cache, below.heads[i], index - 1, static_cast<int32_t>(g), thread, step, events + 2 * g);
    HeadWork over = work_on(cache, here.heads[i], index, static_cast<int32_t>(g), thread, step, events + 2 * g + 1);
    under.fresh = over.fresh = fresh;
    const Policy* owner = nullptr;
    const auto f = hook(*cache.policy, &PolicyHooks::across, &owner);
    under.policy = over.policy = owner;
    f(under, over);
  });
}

// Gives the newest token, and only it, a score of the policy's own.
void score_newest(const zs_cache& cache, HeadWork& work) {
  if (!cache.needs.upkeep || !hook(*work.policy, &PolicyHooks::score)) return;
  const int32_t last = work.head->open().slots() - 1;
  call_hook(&PolicyHooks::score, work, last, last + 1);
}

// Layers whose newest token waits, settled together.
void settle_token(zs_cache& cache, int32_t index, Layer* layers, int32_t count) {
  enter(cache, together(cache, index, layers, count, 0), count * cache.config.kv_heads);
  for (int32_t l = 0; l < count; ++l) layers[l].step = layers[l].step_of(0);
}

// The waiting tokens enter one after another; layers are settled together.
void settle_chunk(zs_cache& cache, int32_t index, Layer* layers, int32_t count, zs_call* call) {
  const int32_t kv_heads = cache.config.kv_heads, n = layers[0].waiting[0].slots();
  if (cache.needs.granularity == ZS_PER_HEAD) {
    Layer& layer = layers[0];
    const bool all = cache.engine->run(kv_heads, call, [&](int64_t g, int thread) {
      const size_t i = static_cast<size_t>(g);
      Head& head = layer.heads[i];
      for (int32_t t = 0; t < n && !aborted(call); ++t) {
        HeadWork work = work_on(cache, head, index, static_cast<int32_t>(g), thread, layer.step_of(t), &cache.notes[i]);
        arrive(cache, head, layer.waiting[i], t, work);
        enter(cache, &work, 1);
      }
    });
    if (!all) check_abort(call);
  } else {
    for (int32_t t = 0; t < n; ++t) {
      check_abort(call);
      HeadWork* works = together(cache, index, layers, count, t);
      for (int32_t i = 0; i < count * kv_heads; ++i)
        arrive(cache, *works[i].head, layers[i / kv_heads].waiting[static_cast<size_t>(i % kv_heads)], t, works[i]);
      enter(cache, works, count * kv_heads);
    }
  }
  check_abort(call);
  for (int32_t l = 0; l < count; ++l) {
    layers[l].step = layers[l].step_of(n - 1);
    layers[l].waiting.clear();
  }
}

}  // namespace zs
