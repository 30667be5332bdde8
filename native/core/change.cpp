// Parameters of a policy changed while a cache lives: from the next token on, and on the tape.
#include <cstring>
#include <string>

#include "core/work.h"
#include "zslab/asked.h"

namespace zs {
namespace {

size_t bytes_of(int32_t type) { return type == ZS_INT32 || type == ZS_FLOAT32 ? 4 : 8; }

bool may_change(const PolicyHooks& hooks, const char* field) {
  for (const char* name : hooks.changeable)
    if (!std::strcmp(name, field)) return true;
  return false;
}

[[noreturn]] void fail_fixed(const Policy& policy, const char* what) {
  std::string list;
  for (const Policy* at = &policy; at; at = at->of.get())
    for (const char* name : at->hooks->changeable) list += (list.empty() ? "" : ", ") + std::string(name);
  fail(ZS_INVALID,
       "policy.%s is another: it shaped the cache when the prompt was read. Under %s %s may change from the next token "
       "on; for the rest create another cache",
       what, policy.hooks->name, list.empty() ? "nothing" : list.c_str());
}

// One sentence where `to` differs from `from` in more than may change.
void check_change(const Policy& from, const Policy& to) {
  if (from.hooks != to.hooks) fail_fixed(from, "name");
  if (from.budget != to.budget) fail_fixed(from, "budget");
  if (from.chunk != to.chunk) fail_fixed(from, "chunk");
  const char *const old = reinterpret_cast<const char*>(from.block.data()), *const made = reinterpret_cast<const char*>(
                                                                                to.block.data());
  for (int32_t i = 0; i < from.hooks->field_count; ++i) {
    const zs_field& field = from.hooks->fields[i];
    if (std::memcmp(old + field.offset, made + field.offset, bytes_of(field.type)) &&
        !may_change(*from.hooks, field.name))
      fail_fixed(from, field.name);
  }
  if (from.of) check_change(*from.of, *to.of);
}

}  // namespace

int64_t check_settled(const zs_cache& cache) {
  const int64_t seen = cache.layers[0].seq_len;
  if (seen == 0) fail(ZS_INVALID, "the cache has seen no prompt: prefill it first");
  for (const Layer& layer : cache.layers)
    if (layer.seq_len != seen || !layer.waiting.empty() || layer.reading)
      fail(ZS_INVALID, "layers have seen different numbers of tokens (%lld, %lld): give each step to all of them first",
           static_cast<long long>(seen), static_cast<long long>(layer.seq_len));
  return seen;
}

void cache_change(zs_cache& cache, const zs_policy& policy) {
  const int64_t seen = check_settled(cache);
  auto made = checked_policy(&policy);
  check_change(*cache.policy, *made);
  const Needs needs = needs_of(*made, std::max<int64_t>(cache.prompt, 1));
  Event event{ZS_OPTIONS, ZS_BY_REQUEST, static_cast<int32_t>(seen), -1};
  event.weight = 0;
  event.step = static_cast<int32_t>(cache.layers[0].step);
  const std::vector<std::vector<Event>> noted(1, std::vector<Event>(1, event));
  if (cache.config.trace) cache.tape.reserve(1);  // nothing after this fails
  for (Layer& layer : cache.layers) books_home(layer);
  cache.policy = std::move(made);
  cache.needs = needs;
  cache.asked = seen;
  const Policy* owner = nullptr;
  if (const auto alpha = hook(*cache.policy, &PolicyHooks::alpha, &owner))
    for (Layer& layer : cache.layers)
      for (Head& head : layer.heads)
        for (Segment& segment : head.segments)
          for (int32_t j = 0; segment.merged && j < segment.slots(); ++j)
            segment.set_weight(j, static_cast<double>(segment.weight(j)), alpha(*owner));
  if (cache.config.trace) cache.tape.append(noted);
}

}  // namespace zs

extern "C" zs_status zs_cache_change(zs_cache* cache, const zs_policy* policy) {
  return zs::guard([&] {
    if (!cache) zs::fail(ZS_INVALID, "cache is NULL: expected one from zs_cache_create");
    if (!policy) zs::fail(ZS_INVALID, "policy is NULL: expected a zs_policy");
    const std::lock_guard<std::mutex> lock(cache->engine->busy);
    zs::cache_change(*cache, *policy);
  });
}
