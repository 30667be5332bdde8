/*
 * zslab: query heads of a model, changed and watched while a text is read whole under full attention (keys and values in float32), teacher
 * forced. No cache is left; what is asked is data, so that every backend can offer the same. Conventions as in zslab/zslab.h.
 */
#ifndef ZSLAB_HEADS_H
#define ZSLAB_HEADS_H

#include "zslab/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a query head gives at every position, before the output projection, becomes: zero; itself times `gate` (1 changes no bit); `values`
   [head_dim] at every position, such as its mean; `values` [tokens][head_dim], such as those of another run. */
typedef enum zs_head_change_kind {
  ZS_HEAD_ZERO = 0,
  ZS_HEAD_GATE = 1,
  ZS_HEAD_VECTOR = 2,
  ZS_HEAD_ROWS = 3
} zs_head_change_kind;

typedef struct zs_head_change {
  int32_t layer, head;
  int32_t kind; /* zs_head_change_kind */
  float gate;
  const float* values; /* finite */
} zs_head_change;

/* Pairs of a query's row and a key's position that it sees: of row r the positions [starts[r], starts[r + 1]), each at most r and once; or all
   pairs but these. */
typedef struct zs_pattern {
  const int32_t* starts; /* [tokens + 1] */
  const int32_t* positions;
  int32_t complement; /* 1 = all pairs but these: takes as long as attention does, others as long as they have pairs */
} zs_pattern;

/*
 * What is wanted of the watched heads, W of them in order of layer and head; NULL or 0 = not wanted. A head is watched before its own change and
 * after those of the layers below. Probabilities are of the full softmax.
 */
typedef struct zs_head_watch {
  int32_t struct_bytes;
  int32_t pattern_count;
  const uint8_t* heads;       /* [layers][heads], 1 = watched */
  const zs_pattern* patterns; /* [pattern_count] */
  double* masses;             /* [pattern_count][W]: sum over the pattern's pairs of the probability */
  double* entropies;          /* [W][tokens]: of the row's probabilities, nats */
  double* norms;              /* [W][tokens]: length of what the head's output adds to the residual stream */
  float* outputs;             /* [W][tokens][head_dim] */
  double* mean_outputs;       /* [W][head_dim] over positions */
  double* mean_queries;       /* [W][head_dim] over positions, before rotation */
  double* mean_keys;          /* [layers][kv_heads][head_dim], the same, of all kv heads */
  /* [W][last][head_dim], of the last so many positions, rotated */
  float* queries;
  int64_t last;
  /* [W][row_count][tokens]: probabilities of rows [first_row, first_row + row_count), zeros beyond their own token */
  float* rows;
  int64_t first_row, row_count;
  /* [W][tokens]: the largest probability that a position gets from rows >= most_from; 0 = it is seen by none */
  float* most;
  int64_t most_from;
  /* [W][distance_bins]: sum over all rows of the probability of positions 0 tokens before the row's own (bin 0), 1, 2 to 3, 4 to 7, and so on
     by powers of two; the last bin has all beyond */
  double* by_distance;
  int64_t distance_bins; /* 1..64 */
  double* distances;     /* [W]: sum over all rows of probability times distance */
} zs_head_watch;

/*
 * Reads `tokens` ids (at most the model's context) from position 0 on. Logits and losses are of the last `rows` rows, the latter -ln p of
 * the next id; the text's very last row has none: 0. changes: at most one a head. Never changes the model; an abort leaves the outputs undefined.
 */
typedef struct zs_read {
  int32_t struct_bytes;
  const int32_t* ids;
  int64_t tokens;
  int64_t rows; /* 1..tokens */
  const zs_head_change* changes;
  int64_t change_count;
  const zs_head_watch* watch; /* NULL = nothing is watched */
  float* logits;              /* [rows][vocabulary] or NULL */
  double* losses;             /* [rows] or NULL */
} zs_read;

ZS_API zs_status zs_model_read(zs_model* model, const zs_read* read, zs_call* call);

/*
 * The same text once without and once with each variant's changes. All that variants share is computed once: the work of one starts behind
 * the attention of the first layer that it changes, and variants that start in one layer go through the rest side by side. What comes of a
 * variant does not depend on the others, to the bit. Progress counts layers: the model's, and of each variant those from its first change on.
 */
typedef struct zs_vary {
  int32_t struct_bytes;
  const int32_t* ids;
  int64_t tokens;
  int64_t rows;     /* the last so many count; 1..tokens */
  int64_t variants; /* >= 1 */
  const int64_t*
      starts; /* [variants + 1] into changes: variant v makes [starts[v], starts[v + 1]), at least one, at most one a head */
  const zs_head_change* changes;
  int64_t together; /* at most so many side by side, 1 = one by one; 0 = as many as are quickest */
  /* Filled as they are done, NaN before, so that an abort leaves those that were. */
  double* kl;        /* [variants]: mean over the rows of KL(unchanged || variant), nats, sums in float64 */
  double* losses;    /* [variants]: mean of -ln p of the next id over those rows that have one; NaN where none has */
  double* base_loss; /* of the text unchanged */
} zs_vary;

ZS_API zs_status zs_model_vary(zs_model* model, const zs_vary* vary, zs_call* call);

#ifdef __cplusplus
}
#endif
#endif
