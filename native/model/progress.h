// Progress that another thread may read while it is written.
#ifndef ZSLAB_MODEL_PROGRESS_H
#define ZSLAB_MODEL_PROGRESS_H

#include "zslab/zslab.h"

namespace zs {

inline void report(zs_call* call, int64_t done, int64_t total) {
  if (!call) return;
  __atomic_store_n(&call->total, total, __ATOMIC_RELAXED);
  __atomic_store_n(&call->done, done, __ATOMIC_RELAXED);
}

}  // namespace zs
#endif
