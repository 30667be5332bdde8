/*
 * zslab: the C ABI of the native engine, usable from C, ctypes and Node alike: engines, policies, caches; models are in
 * zslab/model.h, what is asked of a living cache beside its tokens in zslab/asked.h, what heads were given and what is measured on it in
 * zslab/record.h, events of long runs in zslab/tape.h, heads that are changed and watched in zslab/heads.h, GPUs in zslab/device.h.
 *
 * Conventions
 *  - Arrays are row-major; the last dimension is headDim. Sizes are in elements unless a name says bytes.
 *  - Every function that can fail returns zs_status; on failure zs_last_error() (thread-local) holds the sentence: what was
 *    given, what was expected, what to do. Nothing throws across this boundary and nothing calls exit or abort.
 *  - Long calls take a zs_call (may be NULL): set `abort` to stop within 50 ms (status ZS_ABORTED, the object is left as it was
 *    before the call), read `done` / `total` for progress. Both may be touched from any thread, atomically.
 *  - Objects are not thread-safe by themselves; calls on one engine are queued by the engine.
 */
#ifndef ZSLAB_H
#define ZSLAB_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define ZS_API
#else
#define ZS_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define ZS_ABI_VERSION 13

typedef enum zs_status {
  ZS_OK = 0,
  ZS_INVALID = 1, /* a bad argument; the message says which */
  ZS_OUT_OF_MEMORY = 2,
  ZS_ABORTED = 3,
  ZS_IO = 4,
  ZS_UNSUPPORTED = 5, /* a later version may; the message says what to use instead */
  ZS_INTERNAL = 6,
  ZS_HOOK = 7 /* a hook of the caller's own failed; the message holds its number */
} zs_status;

/* The sentence of this thread's last failure; "" when there was none. Valid until the thread's next failing call. */
ZS_API const char* zs_last_error(void);

/* ------------------------------------------------------------------ calls */

typedef struct zs_call {
  volatile int32_t abort; /* in: non-zero asks the call to stop */
  int32_t reserved;
  volatile int64_t done;  /* out: units finished */
  volatile int64_t total; /* out: units in all; 0 = unknown yet */
} zs_call;

/* ------------------------------------------------------------------ engine */

typedef struct zs_engine zs_engine;

typedef enum zs_isa { ZS_ISA_BEST = -1, ZS_ISA_GENERIC = 0, ZS_ISA_AVX2 = 1, ZS_ISA_AVX512 = 2 } zs_isa;

/* threads: 1..256, 0 = the number of CPUs this process may use. isa (zs_isa): ZS_ISA_BEST or one the CPU has (else ZS_UNSUPPORTED). */
ZS_API zs_status zs_engine_create(int32_t threads, int32_t isa, zs_engine** out);
ZS_API void zs_engine_destroy(zs_engine* engine); /* NULL is fine; caches and models must be destroyed before */
/* JSON, owned by the engine: {"isa","threads","cpuFeatures":[…],"quickBf16":(the CPU multiplies bfloat16 faster
   than float32),"library":"oneDNN 3.2.0"|"portable","abi":13,"device":null or {"kind":"cuda"|"emulated","number","name","memory"}} */
ZS_API const char* zs_engine_describe(zs_engine* engine);

/* ------------------------------------------------------------------ policies */

typedef enum zs_storage { ZS_F32 = 0, ZS_F16 = 1, ZS_BF16 = 2 } zs_storage;
/* How alike two keys are. */
typedef enum zs_similarity { ZS_DOT = 0, ZS_L2 = 1, ZS_COSINE = 2 } zs_similarity;
/* Who chooses: each kv head by its own scores, or all of a layer (of the model) by the sum of theirs. */
typedef enum zs_granularity { ZS_PER_HEAD = 0, ZS_PER_LAYER = 1, ZS_PER_MODEL = 2 } zs_granularity;
/* When tokens may leave, or slots lose some of what they held: never, once the prompt has been read and never again, or later, too.
   ZS_ACTS_READING: never, but tokens after the prompt read only some of the slots. */
typedef enum zs_acts { ZS_ACTS_NEVER = 0, ZS_ACTS_PROMPT = 1, ZS_ACTS_ALWAYS = 2, ZS_ACTS_READING = 3 } zs_acts;

/*
 * Policies are a list (native/policies/policies.inc); each has a name and a block of parameters of its own, described here field by
 * field. The native side has no defaults: every field is given (the defaults live in src/policies).
 */
typedef enum zs_type { ZS_INT32 = 0, ZS_INT64 = 1, ZS_FLOAT32 = 2, ZS_FLOAT64 = 3 } zs_type;
typedef struct zs_field {
  const char* name; /* in camel case, as JavaScript knows it */
  int32_t type;     /* zs_type */
  int32_t offset;   /* bytes from the block's start */
} zs_field;
typedef struct zs_policy_info {
  const char* name;
  int32_t parameter_bytes;
  int32_t wraps; /* 1 = works on another policy (zs_policy.of) */
  const zs_field* fields;
  int32_t field_count;
} zs_policy_info;

ZS_API int32_t zs_policy_count(void);
ZS_API zs_status zs_policy_describe(int32_t index, zs_policy_info* out);

/* What every policy has; the rest is its own. */
typedef struct zs_policy {
  int32_t struct_bytes; /* sizeof(zs_policy), checked */
  int32_t chunk;        /* tokens per chunk of a further turn (spec 5b), >= 1 */
  const char* name;     /* of the list */
  double
      budget; /* slots per kv head (>= 1) or share of the first prompt's tokens (< 1); 0 = unbounded, where a policy can be */
  const void* parameters;     /* the policy's block */
  int32_t parameter_bytes;    /* as described, checked */
  const struct zs_policy* of; /* the policy that a wrapper works on (its budget holds); else NULL */
} zs_policy;

/* Slots of one kv head by region. */
typedef struct zs_resolved {
  int32_t budget;   /* 0 = unbounded */
  int32_t recent;   /* newest tokens protected, the incoming one included */
  int32_t residual; /* merged slots */
  int32_t sink;
  int32_t context; /* budget - recent - residual - sink */
  int32_t window;  /* rows of the prompt that count; 0 = none */
  int32_t read;    /* slots that a token reads at most, where a policy chooses them; 0 = all */
} zs_resolved;

/* Resolves shares against `tokens` (the first prompt's length); checks what the policy demands of its regions. */
ZS_API zs_status zs_policy_resolve(const zs_policy* policy, int64_t tokens, zs_resolved* out);
/* What a policy is like, as it is set. */
typedef struct zs_traits {
  int32_t acts; /* zs_acts */
  int32_t
      rotates; /* 1 = keys are kept before rotation and turned as they are read: give q and k before it, and config.rotation */
  int32_t endless; /* 1 = positions are counted within the cache, so a text may be longer than the model's context */
  int32_t
      stride; /* tokens of a prompt that are read at a time, each stride settled before the next; 0 = the whole prompt */
  int32_t
      projects; /* 1 = it works on the model's key and value projections: a model gives its own, else config.projections */
  int32_t
      alters; /* 1 = slots that stay lose some of what they were given: they hold no token's own key and value, nor a mean of them */
} zs_traits;
ZS_API zs_status zs_policy_traits(const zs_policy* policy, zs_traits* out);

/*
 * A policy of the caller's own: the policy "own", whose parameters `choose` and `context` hold a function and what it is called with.
 * It is called once per layer where heads hold more slots than their budget, on the thread of the call that feeds the cache: after a
 * prompt, then at every token. Slots of all heads lie one after another, in each the slots in use, the newest last.
 */
typedef struct zs_own_view {
  int32_t layer, kv_heads, head_dim;
  int64_t step;               /* 0 = the prompt */
  const int32_t* slots;       /* [kv_heads] in use, the new token included */
  const int32_t* excess;      /* [kv_heads] how many have to leave; the same for all */
  const int32_t* positions;   /* [slots of all heads] */
  const float* scores;        /* [slots of all heads]; zeros where none are asked for */
  const float *keys, *values; /* [slots of all heads][head_dim], where asked for; else NULL */
} zs_own_view;
/* Fills leaving [excess of all heads]: slots counted within their head, each once. 0 = done; any other number: the call ends with ZS_HOOK
   and the cache is as it was before it. */
typedef int64_t (*zs_own_choose)(void* context, const zs_own_view* view, int32_t* leaving);

/* ------------------------------------------------------------------ caches */

typedef struct zs_cache zs_cache;

/* Rotation of queries and keys by position (RoPE): pair i of a row is turned by position * frequency i. */
typedef struct zs_rotation {
  int32_t struct_bytes;
  int32_t dims;              /* rotated part of head_dim: even, 2..head_dim; the rest stays as it is */
  int32_t halves;            /* pair i is 0: dims 2i and 2i + 1; 1: dims i and i + dims / 2 */
  double base;               /* frequency i is base^(-2i / dims), unless there is a table: */
  const double* frequencies; /* [dims / 2], radians per position; NULL = from base */
} zs_rotation;

/*
 * A model's key and value projections: the key of a token is keys x + key_biases before rotation, its value values x + value_biases.
 * Keys that are normalised between projection and rotation (QK norm) are not of this form.
 */
typedef struct zs_projections {
  int32_t struct_bytes;
  int32_t width;                                        /* of x, >= 1 */
  const float *const *keys, *const *values;             /* [layers], of each [kv_heads * head_dim][width] */
  const float *const *key_biases, *const *value_biases; /* [layers], of each [kv_heads * head_dim]; NULL = none */
} zs_projections;

typedef struct zs_cache_config {
  int32_t struct_bytes;
  int32_t layers, heads, kv_heads, head_dim; /* heads divisible by kv_heads; head_dim a multiple of 2, 2..512 */
  int32_t storage;                           /* zs_storage of keys and values; residual slots are always float32 */
  int32_t trace;                             /* 1 = keep events (zs_cache_events) */
  int32_t keep_queries; /* prefill rows whose queries are kept for zs_cache_fork_policy; 0 = none */
  int32_t
      origins; /* 1 = every position's whereabouts are kept (4 bytes a token and kv head); 0 = only those of single tokens */
  const double*
      budgets; /* [layers][kv_heads], each like policy.budget and instead of it; NULL = policy.budget for all */
  const zs_rotation*
      rotation; /* NULL = not known: q and k come as they are to be used, and policies that rotate are refused */
  const zs_projections*
      projections; /* copied, until the first prompt makes of them what the policy wants; NULL = not known, or a model's own */
  zs_policy policy; /* copied, with its parameters, budgets, rotation and what it wraps */
} zs_cache_config;

ZS_API zs_status zs_cache_create(zs_engine* engine, const zs_cache_config* config, zs_cache** out);
ZS_API void zs_cache_destroy(zs_cache* cache);

/*
 * A view of [heads][rows][head_dim] float32: element (h, r, i) is data[h * head_stride + r * row_stride + i].
 * API order [heads, tokens, headDim]: head_stride = tokens * head_dim, row_stride = head_dim.
 */
typedef struct zs_view {
  float* data;
  int64_t head_stride, row_stride;
} zs_view;

/*
 * The first prompt of one layer: causal attention over `tokens` rows, scores, then compression where a head has more tokens than
 * budget (spec 4). q [heads][tokens][head_dim] (keys and queries already rotated, unless the policy rotates), k, v [kv_heads][tokens][head_dim], out like q.
 * share_of: token count that shares refer to; 0 = `tokens`. Every layer gets exactly one prefill, in any order; under a policy of
 * granularity ZS_PER_MODEL layers come in order, here and in zs_cache_extend, and choices are made after the last. A policy with a stride
 * reads the rows so many at a time: tokens leave before the next rows attend, and all of it is step 0.
 */
ZS_API zs_status zs_cache_prefill(zs_cache* cache, int32_t layer, zs_view q, zs_view k, zs_view v, int64_t tokens,
                                  int64_t share_of, zs_view out, zs_call* call);
/* One chunk of 1..chunk tokens on a living cache (spec 5, 5b); tokens = 1 is a decode step. A cache that never saw a prompt is refused. */
ZS_API zs_status zs_cache_extend(zs_cache* cache, int32_t layer, zs_view q, zs_view k, zs_view v, int64_t tokens,
                                 zs_view out, zs_call* call);

/*
 * Takes the newest `tokens` tokens of every layer back, as if they had never come, their events included; at least one token stays.
 * ZS_UNSUPPORTED, and nothing changed, where more came of them than their slots: scores that they went into, or tokens that left.
 */
ZS_API zs_status zs_cache_rollback(zs_cache* cache, int64_t tokens);

/* A copy that shares pages until either writes. Same policy, same state, to the bit. */
ZS_API zs_status zs_cache_fork(zs_cache* cache, zs_cache** out);
/*
 * The same prompt under other policies: valid after a prefill (and nothing else) of an uncompressed cache whose kept queries reach back
 * `window` rows of each new policy; every fork is bit-equal to prefilling under its policy. Column sums that several of them need are
 * made once, in one pass for all decays. All `count` forks are made, or none: else ZS_UNSUPPORTED (prefill again).
 * budgets: NULL, or for each policy as in zs_cache_config; out [count].
 */
ZS_API zs_status zs_cache_fork_policies(zs_cache* cache, const zs_policy* policies, const double* const* budgets,
                                        int32_t count, int32_t trace, zs_cache** out, zs_call* call);

typedef struct zs_layer_state {
  int64_t seq_len; /* tokens seen */
  int64_t slots;   /* in use, of all kv heads together */
  int64_t origins; /* positions held by all kv heads' origins together */
} zs_layer_state;

typedef struct zs_head_state {
  int32_t slots;      /* in use */
  int32_t residual;   /* merged slots at the front: 0 until first compressed */
  int32_t ring;       /* slot the next leaver comes from; -1 = no ring yet */
  int32_t compressed; /* 1 = the policy has acted on this head */
  int32_t read;       /* slots that the newest token read, of its query heads the most; 0 = all */
} zs_head_state;

ZS_API zs_status zs_cache_layer(const zs_cache* cache, int32_t layer, zs_layer_state* out);
ZS_API zs_status zs_cache_heads(const zs_cache* cache, int32_t layer, zs_head_state* out); /* [kv_heads] */
/*
 * Heads one after another, each with its own number of slots: keys (as they are kept), values [slots of all][head_dim] float32; weights, scores [slots of
 * all] float32; origin_offsets [slots of all + 1]; origin_positions [origins]. Any pointer may be NULL. Slot order within a head:
 * residual, sink, context, recent.
 */
ZS_API zs_status zs_cache_state(const zs_cache* cache, int32_t layer, float* keys, float* values, float* weights,
                                float* scores, int64_t* origin_offsets, int32_t* origin_positions);
/*
 * What the policy itself keeps of one kv head, array by array (pages' bounds, channels' scores, …; src/policies says what they mean): nothing
 * before the head has its prompt, and nothing where the policy has none. `visit` is called for each on this thread, before the function
 * returns; what it is given holds during that call only.
 */
typedef struct zs_array {
  const char* name; /* in camel case, as JavaScript knows it */
  const int32_t* shape;
  int32_t dims;
  const float* data; /* row-major */
} zs_array;
typedef void (*zs_visit_array)(void* context, const zs_array* array);
ZS_API zs_status zs_cache_inspect(const zs_cache* cache, int32_t layer, int32_t kv_head, zs_visit_array visit,
                                  void* context);
/* Of one kv head, after the first prefill (of its layer, where budgets are shared out by scores). */
ZS_API zs_status zs_cache_resolved(const zs_cache* cache, int32_t layer, int32_t kv_head, zs_resolved* out);

/* ---- events */

/*
 * What happened:
 *  admit: a token enters `slot`.   leave: the oldest recent token moves from `slot` to `target` (its place among the candidates).
 *  merge: the token at `slot` goes into residual slot `target`.   drop: it leaves for good (target -1).
 *  place: a cache that was full of tokens is compressed for the first time, and one that stays moves from `slot` to `target`.
 *  settle: a token goes into slots of the policy's own form: it is taken out at `slot` and put in at `target`, those between move by one.
 *  options: the policy's parameters were changed (zs_cache_change); one event for the cache, in layer 0 and kv head 0 of the last step that
 *  was done. `position`: that of the first token that they hold for, which may never come. Nobody moves.
 *  pin: the token at `slot` is never chosen to leave from then on.   unevict: a token that had been dropped enters `slot` again; where
 *  nobody left it, the slots from there on move down by one.
 *  drop with the reason ZS_BY_REQUEST: the slots behind `slot` move up by one.
 * From these alone the slots, positions, weights and origins of every step follow. A token is known by its position: when somebody is moved
 * to a slot, who was there has an event of its own in the same step.
 */
typedef enum zs_action {
  ZS_ADMIT = 0,
  ZS_LEAVE = 1,
  ZS_MERGE = 2,
  ZS_DROP = 3,
  ZS_PLACE = 4,
  ZS_SETTLE = 5,
  ZS_OPTIONS = 6,
  ZS_PIN = 7,
  ZS_UNEVICT = 8
} zs_action;
/* Why: the prompt was read, or a token came after it (admit, place, settle); the oldest of the recent or, without scores, of all; the
   lowest score of the candidates; a choice of the caller's own policy; the caller asked for just this. */
typedef enum zs_reason {
  ZS_BY_PROMPT = 0,
  ZS_BY_TOKEN = 1,
  ZS_BY_AGE = 2,
  ZS_BY_SCORE = 3,
  ZS_BY_CHOICE = 4,
  ZS_BY_REQUEST = 5
} zs_reason;

/* Columns of all events so far, in order; owned by the cache, valid until its next call. */
typedef struct zs_events {
  int64_t count;
  const int32_t* step; /* 0 = prefill, then one per decoded token; every token of a further chunk has its own step */
  const uint16_t* layer;
  const uint16_t* kv_head;
  const uint8_t* action;   /* zs_action */
  const uint8_t* reason;   /* zs_reason */
  const int32_t* position; /* of the token that the event is about (of a merged slot: its first origin) */
  const int32_t* slot;     /* -1 = none: a prompt token that never had a slot */
  const int32_t* target;   /* -1 = none */
  const int32_t*
      rank;           /* merge, drop: its place among the candidates, 0 = the first to leave; -1 = there was no order */
  const float* score; /* the token's score at that moment; NaN with history off */
  const float*
      threshold; /* merge, drop: the lowest score of a candidate that stayed, where this head's own scores chose; else NaN */
  const float* similarity;   /* merge: as measured (l2: minus the squared distance); NaN elsewhere, init position too */
  const float* target_score; /* merge: of the target, before; else NaN */
  const float* weight;       /* of the token that the event is about, before */
  const float* target_weight; /* merge: of the target, before; else 0 */
} zs_events;

ZS_API zs_status zs_cache_events(zs_cache* cache, zs_events* out); /* count 0 without trace */

/* ---- what held */

typedef struct zs_receipt {
  int64_t seq_len;
  int64_t admitted, left, merged, dropped; /* over all layers and kv heads, counted with or without trace */
  int32_t weights_sum;                     /* 1 = in every head weights + dropped == tokens seen */
  int32_t
      positions_once; /* 1 = every position is in exactly one slot or was dropped; -1 = not known (config.origins 0) */
  int32_t
      budget_held; /* 1 = slots <= budget everywhere, always (plus the tokens since, where a policy acts on prompts only) */
  int32_t finite;     /* 1 = no NaN or infinity in queries, keys, values, weights, scores */
  int32_t compressed; /* 1 = the policy acted; 0 = it had no reason to (fewer tokens than budget) */
  int32_t bad_layer,
      bad_head;    /* where the first NaN or infinity is: layer, and query head (bad_row >= 0) or kv head; -1 = none */
  int64_t bad_row; /* of a query: its token's position; -1 = it is in what the kv head holds */
  /* The first that broke each of the others, by layer and kv head; -1 = none did. */
  int64_t once_position; /* is in two places, or in none */
  int64_t budget_step;   /* the earliest that there were too many slots at; 0 = the prompt */
  double weights_found;  /* weights + dropped, which are not the tokens that the head has seen; else 0 */
  int32_t once_layer, once_head, budget_layer, budget_head, weights_layer, weights_head;
} zs_receipt;

ZS_API zs_status zs_cache_receipt(const zs_cache* cache, zs_receipt* out);

typedef enum zs_region {
  ZS_RESIDUAL = 0,
  ZS_SINK = 1,
  ZS_CONTEXT = 2,
  ZS_RECENT = 3,
  ZS_QUERIES = 4,
  ZS_BOOKKEEPING = 5,
  ZS_SPARE = 6,
  ZS_REGIONS = 7
} zs_region;
/*
 * Bytes by [layers][kv_heads][ZS_REGIONS], as allocated. Spare = allocated, no slot in it yet: under a budget that always holds, what slots
 * and spare take is at most the budget and 15 slots more (of config.storage; of merged slots nothing is spare). Pages shared with a fork
 * count in both.
 */
ZS_API zs_status zs_cache_bytes(const zs_cache* cache, int64_t* out);
ZS_API int64_t zs_cache_peak_bytes(const zs_cache* cache);

#ifdef __cplusplus
}
#endif
#endif
