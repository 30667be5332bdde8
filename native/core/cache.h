// A cache: its shape, its policy as resolved, and per layer the heads, the ring and the prompt's kept queries. The functions below do
// the work; the C ABI and the model runner both call them.
#ifndef ZSLAB_CORE_CACHE_H
#define ZSLAB_CORE_CACHE_H

#include <memory>
#include <vector>

#include "core/constants.h"
#include "core/engine.h"
#include "core/head.h"
#include "core/on_device.h"
#include "core/policy.h"
#include "core/record.h"
#include "core/rotation.h"
#include "core/scores.h"
#include "core/tape.h"
#include "zslab/zslab.h"

namespace zs {

struct PromptSums;  // core/work.h

// The last rows of a prompt's queries with their softmax statistics: enough to score the prompt again under another window.
struct KeptQueries {
  int64_t from = 0, rows = 0;  // rows [from, from + rows) of the prompt
  Buffer q;                    // [heads][rows][d]
  Buffer highest, inverse;     // [heads][rows]
  // What forks have made of them, the newest last: the next one that needs the same has it. Under the engine's `busy`.
  mutable std::vector<std::shared_ptr<const PromptSums>> sums;
  int64_t bytes() const { return q.bytes() + highest.bytes() + inverse.bytes(); }
};

struct Layer {
  std::vector<Head> heads;
  std::shared_ptr<const KeptQueries> kept;  // until the layer's first token after its prompt
  // Granularity model: tokens that wait for the last layer. One stands in its head already; a chunk's are here, by kv head.
  std::vector<Segment> waiting;
  Recording recording;          // what its heads were given, where that is wanted
  ScoreLog scores;              // and what their slots were worth
  int64_t seq_len = 0;          // tokens seen
  int64_t step = 0;             // tokens after the prompt
  int64_t here = 0, there = 0;  // tokens that attended on the CPU, and on the device
  bool reading = false;         // within a prompt that is read in strides
  int64_t bytes = 0;
  OnDevice device;

  int64_t slots() const {
    int64_t count = 0;
    for (const Head& head : heads) count += head.slots();
    return count;
  }
  int64_t step_of(int64_t t) const { return reading ? 0 : step + 1 + t; }  // of the t-th of the tokens to be settled
};

// The first query that was not a number.
struct BadQuery {
  int32_t layer = -1, head = -1;
  int64_t position = -1;
};

}  // namespace zs

struct zs_cache {
  zs_engine* engine;
  zs_cache_config config;  // without the policy, which is:
  std::shared_ptr<const zs::Policy> policy;
  std::vector<double> budgets;                              // [layers][kv_heads]; empty = policy->budget for all
  zs::Needs needs;                                          // of a prompt of `prompt` tokens
  std::shared_ptr<zs::Rotation> rotation;                   // nullptr = not known
  std::shared_ptr<const zs::GivenProjections> projections;  // nullptr = none were given, or constants are made of them
  std::shared_ptr<const zs::Constants> constants;           // of the policy's hook `weights`
  std::shared_ptr<const zs::RecordPlan> record;             // nullptr = nothing is recorded
  std::shared_ptr<const zs::ScorePlan> scores;              // likewise
  bool on_device = false;                                   // made on an engine with a device, which it may use
  bool is_resolved = false;                                 // a prompt has come
  int64_t prompt = 0, share_of = 0;
  std::vector<zs::Layer> layers;
  zs::Tape tape;
  zs::BadQuery bad;
  int64_t asked = 0;  // tokens seen when something was last asked of single tokens or of the policy; 0 = never
  std::vector<std::vector<zs::Event>> notes;  // of the call under way, by head
  std::vector<zs::HeadWork> works;            // of heads that choose together
  int64_t peak_bytes = 0;

  int32_t group() const { return config.heads / config.kv_heads; }
  zs::Geometry geometry() const { return {config.head_dim, config.storage}; }
  bool by_model() const { return needs.granularity == ZS_PER_MODEL; }
  // Positions are the policy's own, so that the text may be longer than the model's context.
  bool endless() const { return needs.rotates && zs::hook(*policy, &zs::PolicyHooks::positions); }
  float scale() const;
  int64_t bytes() const;
};

namespace zs {

class DeviceModel;

// As zs_cache_prefill / zs_cache_extend, but they throw, and the caller holds engine->busy. `report`: write call->done.
void cache_prefill(zs_cache& cache, int32_t layer, zs_view q, zs_view k, zs_view v, int64_t tokens, int64_t share_of,
                   zs_view out, zs_call* call, bool report = false);
void cache_extend(zs_cache& cache, int32_t layer, zs_view q, zs_view k, zs_view v, int64_t tokens, zs_view out,
                  zs_call* call, bool report = false);

// A prompt that is read in strides (Needs::stride), begun: cache_extend reads it, stride by stride. Throws a sentence.
void cache_begin(zs_cache& cache, int32_t layer, int64_t tokens, int64_t share_of);
// What must hold of an endless cache, so that no position is beyond the model's context.
void cache_check_context(const zs_cache& cache, int64_t tokens, int64_t share_of, int32_t context);

// What must hold before tokens may come, as one sentence where it does not; the runner asks once for all layers.
void cache_check_prefill(const zs_cache& cache, int32_t layer, int64_t tokens, int64_t share_of);
void cache_check_extend(const zs_cache& cache, int32_t layer, int64_t tokens);
// Where layers have to come in order: that this one is due, with so many tokens. Who goes through all of them in order need not ask.
void cache_check_turn(const zs_cache& cache, int32_t layer, int64_t tokens);

// config.budgets, checked; empty where none are given.
std::vector<double> checked_budgets(const zs_cache_config& config, const Policy& policy, const double* budgets);
// Slots of each kv head of a layer, shares against `tokens`; throws a sentence that names the head.
std::vector<zs_resolved> resolved_heads(const zs_cache& cache, int32_t layer, int64_t tokens);

// Makes room for one more token in every layer, so that the next cache_extend of one token cannot fail in any of them and may be done in
// place. False: it may (a layer is about to be compressed); work on a fork and swap it in at the end.
bool cache_reserve_step(zs_cache& cache);

// A token of a model that is on the engine's device.
struct DeviceToken {
  int32_t id;
  const float* angles;  // [pairs][2]: cosine and sine
  float* logits;        // [outputs of the model's last product]; nullptr = not wanted
  float* given;         // as zs_forward::given; nullptr = not wanted
};
// Whether each layer's next token can go through it on the device.
bool cache_steps_on_device(const zs_cache& cache);
// The token through all layers, after cache_reserve_step. Where it throws, nothing has changed.
void cache_step_on_device(zs_cache& cache, DeviceModel& model, const DeviceToken& token);

// Tokens seen, where every layer has seen its prompt and the same tokens; else throws a sentence.
int64_t check_settled(const zs_cache& cache);
// As zs_cache_change; it throws, and the cache is then as it was.
void cache_change(zs_cache& cache, const zs_policy& policy);

// As zs_cache_evict and its like, in how many heads it was done; they throw, and the cache is then as it was.
int32_t cache_evict(zs_cache& cache, int32_t position, const uint8_t* heads);
int32_t cache_pin(zs_cache& cache, int32_t position, const uint8_t* heads);
int32_t cache_unevict(zs_cache& cache, int32_t position, const uint8_t* heads, const float* keys, const float* values);

// As zs_cache_rollback; it throws, and the cache is then as it was.
void cache_rollback(zs_cache& cache, int64_t tokens);

std::unique_ptr<zs_cache> cache_fork(const zs_cache& cache);
void cache_swap(zs_cache& a, zs_cache& b) noexcept;
inline const zs_cache_config& cache_config(const zs_cache& cache) { return cache.config; }
inline const Rotation* cache_rotation(const zs_cache& cache) { return cache.rotation.get(); }
inline int64_t cache_seq_len(const zs_cache& cache, int32_t layer) {
  return cache.layers[static_cast<size_t>(layer)].seq_len;
}

}  // namespace zs
#endif
