/*
 * zslab: models of the C ABI: weights from a GGUF file, and tokens through all layers on a cache. Conventions as in zslab/zslab.h.
 */
#ifndef ZSLAB_MODEL_H
#define ZSLAB_MODEL_H

#include "zslab/zslab.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zs_model zs_model;

typedef enum zs_tensor_type {
  ZS_T_F32 = 0,
  ZS_T_F16 = 1,
  ZS_T_Q4_0 = 2,
  ZS_T_Q4_1 = 3,
  ZS_T_Q5_0 = 6,
  ZS_T_Q5_1 = 7,
  ZS_T_Q8_0 = 8,
  ZS_T_Q4_K = 12,
  ZS_T_Q5_K = 13,
  ZS_T_Q6_K = 14,
  ZS_T_BF16 = 30
} zs_tensor_type; /* GGUF's own numbers */
/* Weights are held as the file has them and widened exactly as they are multiplied. */
#define ZS_WEIGHTS_FILE (-1)

typedef enum zs_arch { ZS_ARCH_LLAMA = 0 } zs_arch; /* see native/model/architectures.inc, the list */

typedef struct zs_tensor {
  const char* name; /* GGUF name: token_embd.weight, blk.0.attn_q.weight, … */
  int32_t type;     /* zs_tensor_type */
  int32_t dims;     /* 1 or 2 */
  int64_t shape[2]; /* GGUF order: shape[0] is the fast one (inputs), shape[1] the rows (outputs) */
  int64_t offset;   /* bytes from its file's start */
  int64_t bytes;    /* must be what type and shape say, and lie within the file */
  int32_t file;     /* which of the model's files holds it, from 0 */
} zs_tensor;

typedef struct zs_model_config {
  int32_t struct_bytes;
  int32_t arch; /* zs_arch */
  int32_t layers, heads, kv_heads, head_dim, hidden, feed_forward, vocabulary, context;
  int32_t rope_dims; /* rotated part of head_dim */
  float rope_base;
  float norm_eps;
  int32_t tied_output; /* 1 = no output.weight: the embedding is the output head */
  int32_t weights;     /* zs_storage ZS_F32 or ZS_BF16, or ZS_WEIGHTS_FILE */
  /* NULL, or the path of a file of packed weights: mapped where it is whole, else made beside it under another name and renamed. What it
     was made of is not looked at: its name must say it. Where none can be made, weights are in private memory. */
  const char* packed;
} zs_model_config;

/* `paths`: the model's file, or all parts of a split one. */
ZS_API zs_status zs_model_load(zs_engine* engine, const char* const* paths, int32_t path_count,
                               const zs_model_config* config, const zs_tensor* tensors, int64_t tensor_count,
                               zs_model** out, zs_call* call);
ZS_API void zs_model_destroy(zs_model* model);
ZS_API int64_t zs_model_bytes(const zs_model* model); /* weights as held in memory */
/* JSON: {"bytes": …, "types": {"Q4_1": bytes, …} of the matrices, "mapped": whether weights are those of a packed file, "why": where that
   was asked for and could not be, else "", "rows": what multiplies up to 24 rows, "prompts": what multiplies more}. Valid while the model is. */
ZS_API const char* zs_model_describe(const zs_model* model);

/*
 * Runs `tokens` token ids through every layer on `cache` (made for this model's shape): the first call is the prompt, later calls
 * are one chunk (1..policy.chunk ids). All tokens together are at most the model's context, unless the policy is endless: then its slots
 * and the tokens read at a time are. On any failure or abort the cache is as it was before the call.
 *  rows/row_count: which rows' logits to return (ascending), logits [row_count][vocabulary]; NULL, 0 = none.
 *  targets [tokens] or NULL: logprobs[r] = log softmax(logits of row r)[targets[r]] (natural log, double sum); -1 = skip the row (0).
 *  share_of: see zs_cache_prefill.
 *  given: NULL, or of tokens after the prompt what each layer's attention was given and gave: [layers][tokens][2 heads + 2 kv_heads]
 *   [head_dim], queries, keys, values and outputs (before the output projection) of a token one after another; after a failure anything.
 */
typedef struct zs_forward {
  int32_t struct_bytes;
  const int32_t* ids;
  int64_t tokens;
  int64_t share_of;
  const int64_t* rows;
  int64_t row_count;
  float* logits;
  const int32_t* targets;
  double* logprobs;
  float* given;
} zs_forward;

ZS_API zs_status zs_model_forward(zs_model* model, zs_cache* cache, const zs_forward* forward, zs_call* call);

/*
 * One of several caches that go on at once: as zs_model_forward of `cache` and `forward`, to the bit, whoever goes on beside it.
 *  call: its own, which stops it alone; NULL: that of all.
 *  status, error: how it ended, and the sentence about what went wrong ("" where nothing did); the cache is then as it was before.
 */
typedef struct zs_batched {
  int32_t struct_bytes;
  zs_cache* cache; /* each once */
  const zs_forward* forward;
  zs_call* call;
  zs_status status;
  char error[1024];
} zs_batched;

/*
 * Tokens of all of them (after their prompts, up to zs_rows_together() rows at once) go through products together, so that the weights are
 * read once for as many; what one cache's attention needs, it does for itself. Prompts, more rows of one cache and those on a device go one
 * after another. Whoever has begun a short step in place ends it, though it is stopped meanwhile. Fails as a whole, before anything runs,
 * for arguments that make no sense; else ZS_OK, and each says how it ended. call->done counts caches.
 */
ZS_API zs_status zs_model_forward_many(zs_model* model, zs_batched* all, int64_t count, zs_call* call);
ZS_API int32_t zs_rows_together(void);

/* Of two rows of logits [count], in nats, summed in double: KL(p || q) of their distributions, never below 0 and exactly 0 for equal rows,
   log of the sum of exp of each, and each one's largest, the first of equals: -1 where none is above -infinity, the rest is then NaN. */
typedef struct zs_compared {
  double kl, log_sum_p, log_sum_q;
  int64_t best_p, best_q;
} zs_compared;
ZS_API zs_status zs_compare_logits(zs_engine* engine, const float* p, const float* q, int64_t count, zs_compared* out);

#ifdef __cplusplus
}
#endif
#endif
