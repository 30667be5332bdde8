// The engine: a thread pool, the kernels chosen for this CPU, and the sentence that says what it runs on.
#ifndef ZSLAB_CORE_ENGINE_H
#define ZSLAB_CORE_ENGINE_H

#include <mutex>
#include <string>

#include "core/pool.h"
#include "zslab/zslab.h"

namespace zs {
struct AttentionKernels;  // native/cpu/attention.h
struct LinearKernels;     // native/cpu/linear.h
const char *library_name();  // native/model: "oneDNN 3.2.0" or "portable"
}  // namespace zs

struct zs_engine {
  zs_engine(int threads, zs_isa isa);
  zs::Pool pool;
  zs_isa isa;
  const zs::AttentionKernels *attention;
  const zs::LinearKernels *linear;
  std::string description;
  std::mutex busy;  // one call at a time
};
#endif
