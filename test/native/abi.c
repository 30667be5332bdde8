/* The headers are plain C, and the library needs nothing of C++ from whoever calls it: one head, a prompt of 6 tokens in 4 slots, a step. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "zslab/asked.h"
#include "zslab/model.h"
#include "zslab/record.h"
#include "zslab/zslab.h"

#define MUST(call)                                              \
  do {                                                          \
    if ((call) != ZS_OK) {                                      \
      fprintf(stderr, "%s: %s\n", #call, zs_last_error());      \
      return 1;                                                 \
    }                                                           \
  } while (0)

enum { DIM = 4, PROMPT = 6, BUDGET = 4 };

/* A parameter by the name that the library gives it. */
static void set(const zs_policy_info *info, double *block, const char *name, double value) {
  const int32_t whole = (int32_t)value;
  const float single = (float)value;
  int i;
  for (i = 0; i < info->field_count; ++i) {
    char *at = (char *)block + info->fields[i].offset;
    if (strcmp(info->fields[i].name, name)) continue;
    if (info->fields[i].type == ZS_INT32) memcpy(at, &whole, sizeof whole);
    if (info->fields[i].type == ZS_FLOAT32) memcpy(at, &single, sizeof single);
    if (info->fields[i].type == ZS_FLOAT64) memcpy(at, &value, sizeof value);
  }
}

int main(void) {
  zs_engine *engine = NULL;
  zs_cache *cache = NULL, *copy = NULL;
  zs_cache_config config;
  zs_policy_info info;
  double parameters[64];
  zs_layer_state layer;
  zs_receipt receipt;
  zs_events events;
  zs_call call;
  float q[PROMPT * DIM], k[PROMPT * DIM], v[PROMPT * DIM], out[PROMPT * DIM];
  float weights[BUDGET];
  int64_t offsets[BUDGET + 1];
  int32_t positions[PROMPT + 1];
  zs_view view = {NULL, PROMPT * DIM, DIM}, vq, vk, vv, vo;
  int i;

  memset(&config, 0, sizeof config);
  config.struct_bytes = (int32_t)sizeof config;
  config.layers = config.heads = config.kv_heads = 1;
  config.head_dim = DIM;
  config.trace = 1;
  config.origins = 1;
  config.policy.struct_bytes = (int32_t)sizeof config.policy;
  config.policy.name = "zsmerge";
  config.policy.budget = BUDGET;
  config.policy.chunk = 1;
  config.policy.parameters = parameters;
  for (i = 0; i < zs_policy_count(); ++i) {
    MUST(zs_policy_describe(i, &info));
    if (!strcmp(info.name, config.policy.name)) break;
  }
  if (info.parameter_bytes > (int32_t)sizeof parameters) return 5;
  config.policy.parameter_bytes = info.parameter_bytes;
  memset(parameters, 0, sizeof parameters);
  set(&info, parameters, "recent", 2);
  set(&info, parameters, "residual", 1);
  set(&info, parameters, "alpha", 1);
  set(&info, parameters, "decay", 0.98);
  set(&info, parameters, "history", 1);

  for (i = 0; i < PROMPT * DIM; ++i) {
    q[i] = (float)((i * 7) % 5) / 5;
    k[i] = (float)((i * 3) % 7) / 7;
    v[i] = (float)(i / DIM); /* the token's own number, so that every output lies between the first and the newest */
  }
  vq = vk = vv = vo = view;
  vq.data = q, vk.data = k, vv.data = v, vo.data = out;
  memset(&call, 0, sizeof call);

  MUST(zs_engine_create(1, ZS_ISA_BEST, &engine));
  MUST(zs_cache_create(engine, &config, &cache));
  MUST(zs_cache_prefill(cache, 0, vq, vk, vv, PROMPT, 0, vo, &call));
  if (call.done != call.total || call.total == 0) return 2;
  for (i = 0; i < PROMPT; ++i)
    if (!(out[i * DIM] >= 0 && out[i * DIM] <= (float)i)) return 3;
  MUST(zs_cache_fork(cache, &copy));
  v[0] = v[1] = v[2] = v[3] = PROMPT;
  MUST(zs_cache_extend(cache, 0, vq, vk, vv, 1, vo, NULL));
  MUST(zs_cache_layer(cache, 0, &layer));
  MUST(zs_cache_state(cache, 0, NULL, NULL, weights, NULL, offsets, positions));
  MUST(zs_cache_receipt(cache, &receipt));
  MUST(zs_cache_events(cache, &events));
  printf("slots %lld seen %lld weights", (long long)layer.slots, (long long)layer.seq_len);
  for (i = 0; i < layer.slots; ++i) printf(" %g", (double)weights[i]);
  printf(" origins %lld events %lld receipt %d%d%d%d\n", (long long)offsets[layer.slots], (long long)events.count,
         receipt.weights_sum, receipt.positions_once, receipt.budget_held, receipt.finite);
  if (zs_cache_extend(cache, 3, vq, vk, vv, 1, vo, NULL) != ZS_INVALID) return 4;
  printf("%s\n", zs_last_error());
  zs_cache_destroy(copy);
  zs_cache_destroy(cache);
  zs_engine_destroy(engine);
  return 0;
}
