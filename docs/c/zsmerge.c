/* 2,000 tokens of one layer, 4 query heads on 2 kv heads, through attention and ZSMerge with 200 slots a head; then 100 decode steps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "zslab/zslab.h"

enum { HEADS = 4, KV = 2, DIM = 64, TOKENS = 2000, STEPS = 100 };
static float q[HEADS * TOKENS * DIM], k[KV * TOKENS * DIM], v[KV * TOKENS * DIM], out[HEADS * TOKENS * DIM];

static void must(zs_status status) { if (status) exit(fprintf(stderr, "%s\n", zs_last_error()) > 0); }
static zs_view rows(float *data, int64_t tokens) { zs_view view = {data, tokens * DIM, DIM}; return view; }
static void noise(float *to, int n, unsigned seed) {
  while (n--) to[n] = (float)((seed = seed * 1664525u + 1013904223u) >> 8) / 8388608 - 1;
}
static void set(const zs_policy_info *info, char *block, const char *name, double x) {
  float f = (float)x; int32_t n = (int32_t)x, i = 0;
  while (strcmp(info->fields[i].name, name)) ++i;
  if (info->fields[i].type == ZS_INT32) memcpy(block + info->fields[i].offset, &n, sizeof n);
  if (info->fields[i].type == ZS_FLOAT32) memcpy(block + info->fields[i].offset, &f, sizeof f);
  if (info->fields[i].type == ZS_FLOAT64) memcpy(block + info->fields[i].offset, &x, sizeof x);
}

int main(void) {
  zs_policy_info info; zs_engine *engine; zs_cache *cache; zs_layer_state layer; zs_receipt receipt; char block[512] = {0};
  for (int i = 0; i < zs_policy_count() && (must(zs_policy_describe(i, &info)), strcmp(info.name, "zsmerge")); ++i) continue;
  set(&info, block, "recent", 0.5), set(&info, block, "residual", 16), set(&info, block, "alpha", 1);
  set(&info, block, "history", 1), set(&info, block, "decay", 0.98); /* all others 0; the library has no defaults */
  zs_policy policy = {sizeof policy, 1, "zsmerge", 200, block, info.parameter_bytes, NULL};
  zs_cache_config config = {sizeof config, 1, HEADS, KV, DIM, ZS_BF16, 0, 0, 1, NULL, NULL, NULL, policy};
  noise(q, HEADS * TOKENS * DIM, 1), noise(k, KV * TOKENS * DIM, 2), noise(v, KV * TOKENS * DIM, 3);
  must(zs_engine_create(0, ZS_ISA_BEST, &engine)), must(zs_cache_create(engine, &config, &cache));
  must(zs_cache_prefill(cache, 0, rows(q, TOKENS), rows(k, TOKENS), rows(v, TOKENS), TOKENS, 0, rows(out, TOKENS), NULL));
  for (int n = 0; n < STEPS; ++n) /* a token's heads lie one after another; here they are numbers of the prompt again */
    must(zs_cache_extend(cache, 0, rows(q + n * DIM, 1), rows(k + n * DIM, 1), rows(v + n * DIM, 1), 1, rows(out, 1), NULL));
  must(zs_cache_layer(cache, 0, &layer)), must(zs_cache_receipt(cache, &receipt));
  printf("seen %d slots %d merged %d held %d out %.6f\n", (int)layer.seq_len, (int)layer.slots, (int)receipt.merged, receipt.budget_held, out[0]);
  zs_cache_destroy(cache), zs_engine_destroy(engine);
}
