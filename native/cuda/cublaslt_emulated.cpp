// The cuBLASLt of the emulation: as much of it as is used, by plain sums in double precision, with its own checks of what it is given.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "cuda/cublaslt.h"
#include "cuda/emulation/memory.h"
#include "cuda/gpu.h"

namespace zs::cuda {
namespace {

constexpr lt::Status kInvalid = 7;  // CUBLAS_STATUS_INVALID_VALUE

struct Desc {
  int compute, scale, transpose_a = lt::kPlain;
};
struct Layout {
  int type;
  uint64_t rows, columns;
  int64_t leading;
};
struct Preference {
  uint64_t workspace = 0;
};

lt::Status create(void** handle) {
  *handle = new int(0);
  return lt::kSuccess;
}
lt::Status destroy(void* handle) {
  delete static_cast<int*>(handle);
  return lt::kSuccess;
}
const char* status_string(lt::Status status) {
  return status == lt::kSuccess ? "success" : "an unsupported value or parameter was passed to the function";
}

lt::Status desc_create(void** desc, int compute, int scale) {
  if (compute != lt::kComputeF32 || scale != lt::kF32) return kInvalid;
  *desc = new Desc{compute, scale};
  return lt::kSuccess;
}
lt::Status desc_destroy(void* desc) {
  delete static_cast<Desc*>(desc);
  return lt::kSuccess;
}
lt::Status desc_set(void* desc, int attribute, const void* value, size_t bytes) {
  if (attribute != lt::kTransposeA || bytes != sizeof(int)) return kInvalid;
  std::memcpy(&static_cast<Desc*>(desc)->transpose_a, value, bytes);
  return lt::kSuccess;
}

lt::Status layout_create(void** layout, int type, uint64_t rows, uint64_t columns, int64_t leading) {
  if (leading < static_cast<int64_t>(rows)) return kInvalid;
  *layout = new Layout{type, rows, columns, leading};
  return lt::kSuccess;
}
lt::Status layout_destroy(void* layout) {
  delete static_cast<Layout*>(layout);
  return lt::kSuccess;
}

lt::Status preference_create(void** preference) {
  *preference = new Preference;
  return lt::kSuccess;
}
lt::Status preference_destroy(void* preference) {
  delete static_cast<Preference*>(preference);
  return lt::kSuccess;
}
lt::Status preference_set(void* preference, int attribute, const void* value, size_t bytes) {
  if (attribute == lt::kMostWorkspace && bytes == sizeof(uint64_t)) {
    std::memcpy(&static_cast<Preference*>(preference)->workspace, value, bytes);
    return lt::kSuccess;
  }
  return attribute >= lt::kAlignA && attribute <= lt::kAlignD && bytes == sizeof(uint32_t) ? lt::kSuccess : kInvalid;
}

// What the sizes of the four say of each other.
bool fit(const Desc& desc, const Layout& a, const Layout& b, const Layout& c, const Layout& d) {
  const bool turned = desc.transpose_a == lt::kTransposed;
  const uint64_t outputs = turned ? a.columns : a.rows, inputs = turned ? a.rows : a.columns;
  return a.type == b.type && c.type == lt::kF32 && d.type == lt::kF32 && b.rows == inputs && d.rows == outputs &&
         d.columns == b.columns && c.rows == d.rows && c.columns == d.columns;
}

lt::Status heuristic(void*, void* desc, void* a, void* b, void* c, void* d, void* preference, int asked,
                     lt::Heuristic* results, int* found) {
  if (asked < 1 || !fit(*static_cast<Desc*>(desc), *static_cast<Layout*>(a), *static_cast<Layout*>(b),
                        *static_cast<Layout*>(c), *static_cast<Layout*>(d)))
    return kInvalid;
  results[0] = {};
  results[0].workspace = std::min<size_t>(static_cast<Preference*>(preference)->workspace, 256);  // any
  *found = 1;
  return lt::kSuccess;
}

double element(const void* matrix, const Layout& layout, uint64_t row, uint64_t column) {
  const uint64_t at = column * static_cast<uint64_t>(layout.leading) + row;
  if (layout.type == lt::kF32) return static_cast<double>(static_cast<const float*>(matrix)[at]);
  const uint16_t half = static_cast<const uint16_t*>(matrix)[at];
  return static_cast<double>(layout.type == lt::kF16 ? gpu::widen_f16(half)
                                                     : gpu::float_of(static_cast<uint32_t>(half) << 16));
}

lt::Status matmul(void*, void* desc_of, const void* alpha, const void* a, void* a_layout, const void* b, void* b_layout,
                  const void* beta, const void* c, void* c_layout, void* d, void* d_layout, const lt::Algorithm*,
                  void* workspace, size_t workspace_bytes, void*) {
  const Desc& desc = *static_cast<Desc*>(desc_of);
  const Layout &of_a = *static_cast<Layout*>(a_layout), &of_b = *static_cast<Layout*>(b_layout),
               &of_c = *static_cast<Layout*>(c_layout), &of_d = *static_cast<Layout*>(d_layout);
  if (!fit(desc, of_a, of_b, of_c, of_d) || (workspace_bytes && !workspace)) return kInvalid;
  const double times = static_cast<double>(*static_cast<const float*>(alpha)),
               kept = static_cast<double>(*static_cast<const float*>(beta));
  const bool turned = desc.transpose_a == lt::kTransposed;
  for (uint64_t column = 0; column < of_d.columns; ++column) {
    float* const to = static_cast<float*>(d) + column * static_cast<uint64_t>(of_d.leading);
    for (uint64_t row = 0; row < of_d.rows; ++row) {
      double sum = 0;
      for (uint64_t i = 0; i < of_b.rows; ++i)
        sum += element(a, of_a, turned ? i : row, turned ? row : i) * element(b, of_b, i, column);
      sum *= times;
      if (kept != 0) sum += kept * element(c, of_c, row, column);
      to[row] = static_cast<float>(sum);
    }
    emulation::was_written_by_host(to, of_d.rows * sizeof(float));
  }
  return lt::kSuccess;
}

}  // namespace

const Cublaslt* cublaslt(std::string& error) {
  if (const char* const named = std::getenv("ZSLAB_CUBLASLT"); named && *named) {
    error = std::string("ZSLAB_CUBLASLT names ") + named + ", which the emulation does not load: it has its own";
    return nullptr;
  }
  static constexpr Cublaslt kFunctions = {
      create,         destroy,           status_string,      desc_create,    desc_destroy, desc_set, layout_create,
      layout_destroy, preference_create, preference_destroy, preference_set, heuristic,    matmul};
  return &kFunctions;
}

}  // namespace zs::cuda
