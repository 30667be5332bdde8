/*
 * zslab: what heads are given, kept with nothing removed, and what is measured on it. Conventions as in zslab/zslab.h.
 */
#ifndef ZSLAB_RECORD_H
#define ZSLAB_RECORD_H

#include "zslab/zslab.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * From now on the cache keeps of the kv heads that `heads` [layers][kv_heads] marks (1) what they are given, with nothing removed: every
 * token's key and value (float32, rounded to config.storage as the cache keeps them), the queries of the prompt's last `query_rows` rows and of all
 * rows since, and of those since the prompt what attention gave under the policy. Replaces what was recorded before. Tokens that are there
 * already are taken from the cache, and of the prompt's queries those that are kept; ZS_UNSUPPORTED where it does not hold all of them as
 * they came, and under policies that change keys and values as they come. Forks go on with it; a cache's bytes leave it out.
 */
ZS_API zs_status zs_cache_record(zs_cache* cache, const uint8_t* heads, int64_t query_rows);
typedef struct zs_recorded {
  int64_t tokens;  /* positions [0, tokens) */
  int64_t queries; /* of the last so many positions */
  int64_t outputs; /* likewise */
} zs_recorded;
ZS_API zs_status zs_cache_recorded(const zs_cache* cache, int32_t layer, int32_t kv_head, zs_recorded* out);
/* Copies: keys, values [tokens][head_dim], queries [queries][group][head_dim], outputs [outputs][group][head_dim]; any may be NULL. */
ZS_API zs_status zs_cache_record_read(const zs_cache* cache, int32_t layer, int32_t kv_head, float* keys, float* values,
                                      float* queries, float* outputs);

/*
 * From now on the cache keeps of the kv heads that `heads` [layers][kv_heads] marks (1) what each slot is worth, at every `every`-th step (of
 * a call of several tokens: where one of them is such a step): a row for its last token, of the slots that this read, its own the last, before
 * anybody leaves. `scores`: as the policy keeps them, after the step's update; NaN where it keeps none. `probabilities`: what the query gave
 * to the slot, mean of the kv head's query heads; they add up to 1. Step 0, of the prompt's last token, has the scores that the first
 * compression goes by; there is none of a prompt that is read in strides. Replaces what was kept before. A call that would make it more than
 * `most_bytes`, 8 a slot, is refused before it changes anything. Forks go on with it; a cache's bytes leave it out.
 */
ZS_API zs_status zs_cache_record_scores(zs_cache* cache, const uint8_t* heads, int64_t every, int64_t most_bytes);
typedef struct zs_scored {
  int64_t rows, slots; /* slots: of all rows */
  int64_t bytes;       /* of all heads of the cache */
} zs_scored;
ZS_API zs_status zs_cache_scored(const zs_cache* cache, int32_t layer, int32_t kv_head, zs_scored* out);
/*
 * Copies: steps, first (where the call's tokens began) and positions (of its last) [rows], starts [rows + 1] into scores and probabilities
 * [slots]; any may be NULL.
 */
ZS_API zs_status zs_cache_scores_read(const zs_cache* cache, int32_t layer, int32_t kv_head, int32_t* steps,
                                      int32_t* first, int32_t* positions, int64_t* starts, float* scores,
                                      float* probabilities);

/*
 * What the queries of all heads would have read with nothing removed, and what a policy's slots made of it. `cache` is a full one: it holds
 * positions [0, prompt) of every head as they came, of what it has since nothing is read. What came after these under the policy is given:
 * of each call the `given` of zs_forward, one after another. Who was in which slot is told by the policy's events. Row r is the query at
 * positions[r], of a call that began at firsts[r]: it read what the events up to that call have left, and the call's own tokens up to
 * itself. Relative errors are |o - o*| / |o*| of a query head, o* with nothing removed.
 * Memory of each thread while it runs: about 64 * group + 100 bytes a token, at most 4 MiB of keys and values widened to float32, and the
 * means of a head's merged slots in double precision.
 */
typedef struct zs_local {
  int32_t struct_bytes;
  int32_t keys_fixed, values_fixed; /* a merged slot's key, value: 0 = its members' mean, 1 = its seed's */
  int64_t prompt;
  int64_t calls;             /* after the prompt */
  const float* const* given; /* [calls] */
  const int64_t* tokens;     /* [calls] */
  const zs_events* events;   /* step, layer, kv_head, action, reason, position, slot, target are read */
  int64_t seeds;
  const int32_t* seeded; /* [seeds][4]: layer, kv head, a slot's first token, its seed where that is another */
  int64_t rows;
  const int32_t *positions, *firsts; /* [rows], ascending */
  double* error;                     /* out [rows][layers][heads]: of the output under the policy */
  double *dropped,
      *plain; /* out, likewise: of the seed of each slot alone; of slots merged, but without compensation */
  double *missed,
      *blurred; /* out, likewise: probability, with nothing removed, of positions that are gone; of members of merged slots */
  int64_t losses; /* merge and drop events, in order */
  /* out [losses], of the rows after it, until the token is back, means of the group: the sum of the probability p with nothing removed, the largest p and its
     row (-1 = none), and the sum of p / (1 - p) |o* - v|, which leaving the token out changes in the output. */
  double *probability, *worst, *change;
  int32_t* worst_row;
} zs_local;
ZS_API zs_status zs_cache_local(zs_cache* cache, const zs_local* local, zs_call* call);

#ifdef __cplusplus
}
#endif
#endif
