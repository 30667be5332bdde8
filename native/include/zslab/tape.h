/*
 * zslab: events of long runs, which need not all lie in memory. Conventions as in zslab/zslab.h.
 */
#ifndef ZSLAB_TAPE_H
#define ZSLAB_TAPE_H

#include "zslab/zslab.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * From now on at most `bytes` of the cache's events stay in memory (and the newest ZS_TAPE_UNIT at least, and those of the call under way);
 * older ones go to files without names in `folder`, which are gone with the last that holds them, also after a crash. They stay readable at
 * the addresses where they were. A call that finds no room in `folder` fails with ZS_IO and leaves the cache as it was. Forks go on with it.
 */
ZS_API zs_status zs_cache_spill(zs_cache* cache, int64_t bytes, const char* folder);
#define ZS_TAPE_UNIT 65536 /* events that go to a file together */
typedef struct zs_tape_bytes {
  int64_t events;
  int64_t memory, files; /* bytes that they take in memory and in files */
} zs_tape_bytes;
ZS_API zs_status zs_cache_tape_bytes(const zs_cache* cache, zs_tape_bytes* out);

/* As zs_cache_events, but the columns stay as they are until they are released: whatever the cache does, and after its end. */
typedef struct zs_held_events zs_held_events;
ZS_API zs_status zs_cache_hold_events(zs_cache* cache, zs_events* out, zs_held_events** hold);
ZS_API void zs_held_events_release(zs_held_events* hold);

#ifdef __cplusplus
}
#endif
#endif
