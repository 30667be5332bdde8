// What a policy is to the core: a table of hooks, one row per line of policies/policies.inc. Hooks work on one kv head at a time, on
// any thread, and see nothing of other heads.
#ifndef ZSLAB_CORE_POLICY_H
#define ZSLAB_CORE_POLICY_H

#include <vector>

#include "core/head.h"
#include "core/kernels.h"
#include "core/tape.h"
#include "zslab/zslab.h"

namespace zs {

// Memory of one thread for one head's work; sized by HeadWork::need before anything runs.
struct Upkeep {
  Buffer key, value;    // [d]
  Buffer similarities;  // one per residual slot, whole tiles
};

// One head, and what is decided about it.
struct HeadWork {
  Head* head;
  const zs_policy* policy;
  const zs_resolved* resolved;
  const AttentionKernels* kernels;
  Upkeep* scratch;
  int32_t layer, kv_head;
  int64_t step;                // 0 = the prompt
  int32_t ring;                // slot that the next leaver comes from
  std::vector<Event>* events;  // nullptr = no trace

  bool history() const { return policy->history != 0; }
  // Counts the event, and writes it down where a trace is kept (its place must be reserved where failing is not allowed).
  void note(zs_action action, int32_t position, int32_t slot, int32_t target, float score, float similarity,
            float weight, float target_weight) const;
};

struct PolicyHooks {
  const char* name;
  // Shares to slots against the first prompt's tokens, and what must hold of them; throws a sentence.
  zs_resolved (*resolve)(const zs_policy& policy, int64_t tokens);
  // The first compression: `rest` holds more than budget tokens in order of position, all of weight 1. step 0: they are a prompt; else
  // the last one has just arrived at a full cache. (optional) without: every token stays.
  void (*compress)(HeadWork& work);
  // A cache that fills up without ever having been compressed is compressed (true), or goes on with evict (false). (optional)
  bool (*compress_underfull)(const zs_policy& policy);
  // Before the first evict of a cache that never was compressed. May throw std::bad_alloc. (optional)
  void (*start)(HeadWork& work);
  // The last token of `rest` is one too many: somebody leaves. Never throws. (optional) as compress.
  void (*evict)(HeadWork& work);
};

// The hooks of a policy; throws the sentence about what is wrong with the policy itself.
const PolicyHooks& checked_policy(const zs_policy* policy);
const PolicyHooks& hooks_of(const zs_policy& policy);
// Rows of a prompt of `tokens` whose probabilities count (spec 4).
int32_t window_of(const zs_policy& policy, int64_t tokens);

}  // namespace zs
#endif
