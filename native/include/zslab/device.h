/*
 * zslab: engines on a GPU. Conventions as in zslab/zslab.h.
 */
#ifndef ZSLAB_DEVICE_H
#define ZSLAB_DEVICE_H

#include "zslab/zslab.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zs_device {
  int32_t struct_bytes; /* sizeof(zs_device), checked */
  int32_t number;       /* of the device, from 0 */
  const char* library;  /* path of a library with devices: libzslab_cuda.so */
  int64_t memory;       /* bytes that models and caches may take there; 0 = nine tenths of what is free */
} zs_device;
/* What a library finds, as JSON that is valid until this thread's next call: {"kind","driver","runtime","devices":[{"name","memory","free",
   "capability"}]}. ZS_UNSUPPORTED with a sentence where nothing can be used: no driver, one too old, no device. */
ZS_API zs_status zs_device_list(const char* library, const char** json);
/* Caches that are made on the engine from then on keep their slots on the device, and steps run there, with the bits that the CPU gives;
   what cannot is refused as they are made. Once per engine. ZS_INVALID: no such number; ZS_OUT_OF_MEMORY: more than is free there. */
ZS_API zs_status zs_engine_use(zs_engine* engine, const zs_device* device);
/* Rows (tokens times layers) that attended on the CPU and on the device, in the cache and what it was forked from; those of tokens that were taken back, too. */
ZS_API zs_status zs_cache_attended(const zs_cache* cache, int64_t* here, int64_t* there);

#ifdef __cplusplus
}
#endif
#endif
