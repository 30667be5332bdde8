// What everything on one device shares: its memory, the stream that all is done in, and a workspace.
#ifndef ZSLAB_CUDA_BACKEND_CONTEXT_H
#define ZSLAB_CUDA_BACKEND_CONTEXT_H

#include <mutex>

#include "cuda/backend/must.h"
#include "cuda/backend/pool.h"
#include "cuda/backend/workspace.h"
#include "cuda/gpu.h"

namespace zs::cuda {

struct Context {
  Context(int number, int64_t budget) : number(number), pool(std::make_shared<Pool>(budget)), work(pool) {
    here();
    must(gpu::new_stream(stream));
  }
  ~Context() { gpu::end_stream(stream); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  void here() const { must(gpu::use(number)); }  // this thread's calls go to the device

  const int number;
  gpu::Stream stream{};
  const std::shared_ptr<Pool> pool;
  Workspace work;
  // Held while launches of the stream are recorded, and by whoever copies from the device beside the engine's calls.
  std::mutex recording;
  int64_t lists = 0;  // that were made so far; each has a number
};

}  // namespace zs::cuda
#endif
