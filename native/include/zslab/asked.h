/*
 * zslab: what is asked of a living cache beside its tokens, between two steps. Conventions as in zslab/zslab.h. Each is on the tape, forks go on
 * with it, and it is not taken back. All of it is done, or nothing.
 */
#ifndef ZSLAB_ASKED_H
#define ZSLAB_ASKED_H

#include "zslab/zslab.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The policy's parameters from the next token on: `policy` is the cache's own but for parameters that may change while it lives (alpha,
 * decay, similarity, scoreMerge, where a policy has them); merged slots are compensated by the new alpha at once. Nothing else changes.
 * ZS_INVALID, naming the parameter, where another differs, and before the first prompt; ZS_UNSUPPORTED where layers wait for one another.
 */
ZS_API zs_status zs_cache_change(zs_cache* cache, const zs_policy* policy);

/*
 * Of one token, by its position, in `heads` [layers][kv_heads], 1 = here (NULL: everywhere). `done` (may be NULL): in how many heads it was
 * done; ZS_INVALID where it is none. Heads that choose together are asked together. ZS_UNSUPPORTED under policies whose slots are not single
 * tokens that each head chooses from (or that have merged slots beside them).
 *  evict: where it has a slot of its own it leaves now, dropped and never merged, a pinned one too; the next token takes the room, and until
 *  a head is full again nobody leaves it. A sink token's slot is a context slot from then on. Members of a merged slot stay in it.
 *  pin: where it has a slot of its own it is never chosen to leave, wherever it is moved; at most as many as the head has context slots.
 *  unevict: where it was dropped it comes back with this key and value [layers][kv_heads][head_dim], as they are kept, as a slot of weight 1
 *  and with the score of the next victim, whose slot it takes; a head that is not full has room. Refused where it is part of a merged slot.
 *  Without keys and values nothing is done but the checks.
 */
ZS_API zs_status zs_cache_evict(zs_cache* cache, int32_t position, const uint8_t* heads, int32_t* done);
ZS_API zs_status zs_cache_pin(zs_cache* cache, int32_t position, const uint8_t* heads, int32_t* done);
ZS_API zs_status zs_cache_unevict(zs_cache* cache, int32_t position, const uint8_t* heads, const float* keys,
                                  const float* values, int32_t* done);

#ifdef __cplusplus
}
#endif
#endif
