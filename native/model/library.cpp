// oneDNN reads packed tiles as they are: bfloat16's are its blocked format BA16a16b2a, so that nothing is held twice. It runs on the calling thread alone: its own OpenMP barriers cost milliseconds when another process is busy.
#include "model/library.h"

#if defined(ZS_ONEDNN)
#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "core/error.h"
#include "core/kernels.h"
#include "cpu/linear.h"

namespace zs {
namespace {

// The OpenMP that oneDNN brought along, if any: one thread for the calling thread while this lives.
class OneThread {
 public:
  OneThread() {
    if (calls().get && calls().set) {
      before_ = calls().get();
      if (before_ != 1) calls().set(1);
    }
  }
  ~OneThread() {
    if (before_ > 1) calls().set(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  struct Calls {
    int (*get)();
    void (*set)(int);
  };
  static const Calls& calls() {
    static const Calls found = [] {
      const auto look = [](const char* name) {
        if (void* here = dlsym(RTLD_DEFAULT, name)) return here;
        for (const char* file : {"libgomp.so.1", "libiomp5.so", "libomp.so.5", "libomp.dylib"})
          if (void* held = dlopen(file, RTLD_NOW | RTLD_NOLOAD))
            if (void* there = dlsym(held, name)) return there;
        return static_cast<void*>(nullptr);
      };
      return Calls{reinterpret_cast<int (*)()>(look("omp_get_max_threads")),
                   reinterpret_cast<void (*)(int)>(look("omp_set_num_threads"))};
    }();
    return found;
  }
  int before_ = 0;
};

}  // namespace

class Library::Plan {
 public:
  dnnl::matmul::primitive_desc description;
  dnnl::matmul product;
};

namespace {

class OneDnn : public Library {
 public:
  explicit OneDnn(int threads) : engine_(dnnl::engine::kind::cpu, 0), scratch_(static_cast<size_t>(threads)) {
    for (int i = 0; i < threads; ++i) streams_.emplace_back(engine_);
  }

  const Plan* plan(const BlockShape& shape) override {
    const auto it = plans_.find(shape);
    if (it != plans_.end()) return it->second.get();
    return plans_.emplace(shape, compile(shape)).first->second.get();
  }

  bool run(const Plan& plan, const void* x, const void* w, float* y, int thread) noexcept override {
    try {
      OneThread one;
      const size_t t = static_cast<size_t>(thread);
      const auto& d = plan.description;
      plan.product.execute(streams_[t],
                           {{DNNL_ARG_SRC, dnnl::memory(d.src_desc(), engine_, const_cast<void*>(x))},
                            {DNNL_ARG_WEIGHTS, dnnl::memory(d.weights_desc(), engine_, const_cast<void*>(w))},
                            {DNNL_ARG_DST, dnnl::memory(d.dst_desc(), engine_, y)},
                            {DNNL_ARG_SCRATCHPAD, dnnl::memory(d.scratchpad_desc(), engine_, scratch_[t].data())}});
      streams_[t].wait();
      return true;
    } catch (...) {
      return false;
    }
  }

 private:
  std::unique_ptr<Plan> compile(const BlockShape& shape) {
    using dnnl::memory;
    try {
      OneThread one;
      const auto type = memory::data_type::bf16;
      const auto packed = memory::format_tag::BA16a16b2a;
      const int64_t outputs = shape.tiles * kTile;
      const memory::desc x({shape.rows, shape.k}, type, memory::format_tag::ab), w({shape.k, outputs}, type, packed),
          y({shape.rows, outputs}, memory::data_type::f32, memory::format_tag::ab);
      dnnl::primitive_attr attributes;
      attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
      const dnnl::matmul::primitive_desc description(engine_, x, w, y, attributes);
      if (std::strncmp(description.impl_info_str(), "brg", 3) != 0)
        return nullptr;  // its plain loops are slower than ours
      const int64_t need = static_cast<int64_t>(description.scratchpad_desc().get_size() + 3) / 4;
      for (Buffer& scratch : scratch_) scratch.need(std::max<int64_t>(need, 16));
      return std::unique_ptr<Plan>(new Plan{description, dnnl::matmul(description)});
    } catch (const dnnl::error& e) {
      if (e.status == dnnl_out_of_memory) throw std::bad_alloc();
      return nullptr;
    }
  }

  dnnl::engine engine_;
  std::vector<dnnl::stream> streams_;
  std::vector<Buffer> scratch_;
  std::map<BlockShape, std::unique_ptr<Plan>> plans_;
};

}  // namespace

std::unique_ptr<Library> make_library(const zs_engine& engine) {
  if (engine.isa != ZS_ISA_AVX512 || !detect_cpu().quick_bf16) return nullptr;
  try {
    return std::make_unique<OneDnn>(const_cast<zs_engine&>(engine).pool.threads());
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

const char* library_name() {
  static const std::string name = [] {
    const dnnl::version_t* v = dnnl::version();
    return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
  }();
  return name.c_str();
}

}  // namespace zs

#else

namespace zs {
std::unique_ptr<Library> make_library(const zs_engine&) { return nullptr; }
const char* library_name() { return "portable"; }
}  // namespace zs

#endif
