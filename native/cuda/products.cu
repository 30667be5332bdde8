#include "cuda/products.h"
#include "cuda/rows.h"
#include "cuda/storage.h"
#include "cuda/vector_product.h"

namespace zs::cuda {
namespace {

constexpr size_t kMostWorkspace = size_t{32} << 20;  // bytes: what NVIDIA recommends from sm_90 on
constexpr size_t kMostPlans = 256;
constexpr uint32_t kAlign = 16;  // of all matrices; it would count on 256

int type_of(int32_t storage) { return storage == ZS_F32 ? lt::kF32 : storage == ZS_F16 ? lt::kF16 : lt::kBF16; }

std::string wrong_shape(const Product& p) {
  if (p.rows < 1) return "a product takes at least one row, not " + std::to_string(p.rows);
  const int64_t step = p.then == Then::kActivate ? 2 * kLane : kLane;
  if (p.w.outputs < step || p.w.outputs % step || p.w.k < 32 || p.w.k % 32)
    return "a product on the GPU takes outputs in multiples of " + std::to_string(step) + " and inputs of 32, not " +
           std::to_string(p.w.outputs) + " and " + std::to_string(p.w.k);
  if (p.rows > kFewRows && p.then == Then::kActivate && !p.scratch)
    return "a product of many rows that are then activated needs scratch";
  return of_storage("a product", p.w.storage, [](auto) { return std::string(); });
}

}  // namespace

struct Products::Plan {
  explicit Plan(const Cublaslt& of) : library(of) {}
  ~Plan() {
    for (void* layout : {weights, x, y})
      if (layout) library.matrix_layout_destroy(layout);
    if (desc) library.matmul_desc_destroy(desc);
  }
  const Cublaslt& library;
  void *desc = nullptr, *weights = nullptr, *x = nullptr, *y = nullptr;
  lt::Heuristic found{};
};

Products::Products() = default;
Products::~Products() {
  plans_.clear();
  if (handle_) library_->destroy(handle_);
}

std::string Products::multiply(const Product& product, gpu::Stream stream) {
  const std::string wrong = wrong_shape(product);
  if (!wrong.empty()) return wrong;
  return product.rows <= kFewRows ? multiply_few(product, stream) : by_library(product, stream);
}

std::string Products::need_library() {
  if (handle_) return {};
  std::string error;
  library_ = cublaslt(error);
  if (!library_) return error;
  const lt::Status status = library_->create(&handle_);
  if (status == lt::kSuccess) return {};
  handle_ = nullptr;
  return std::string("cuBLASLt cannot begin: ") + library_->get_status_string(status);
}

std::string Products::need_workspace(size_t bytes, const std::function<std::shared_ptr<void>(size_t)>& memory) {
  if (bytes <= workspace_bytes_) return {};
  workspace_bytes_ = 0;
  workspace_.reset();
  workspace_ = memory(bytes);
  if (workspace_) workspace_bytes_ = bytes;
  return workspace_
             ? std::string()
             : "cuBLASLt needs a workspace of " + std::to_string(bytes) + " bytes, for which the GPU has no room";
}

std::string Products::prepare(const Product& p, const std::function<std::shared_ptr<void>(size_t)>& memory) {
  const Plan* plan = nullptr;
  std::string wrong = wrong_shape(p);
  if (wrong.empty()) wrong = need_library();
  if (wrong.empty()) wrong = plan_of(p, p.then == Then::kActivate ? p.w.outputs : p.y_stride, &plan);
  return wrong.empty() ? need_workspace(plan->found.workspace, memory) : wrong;
}

std::string Products::plan_of(const Product& p, int64_t y_stride, const Plan** found) {
  const Shape shape{p.w.storage, p.w.outputs, p.w.k, p.rows, y_stride};
  if (plans_.size() >= kMostPlans && !plans_.count(shape)) plans_.clear();  // prompts are of any length
  std::unique_ptr<Plan>& kept = plans_[shape];
  *found = kept.get();
  if (kept) return {};
  const Cublaslt& l = *library_;
  auto plan = std::make_unique<Plan>(l);
  const int type = type_of(p.w.storage), transposed = lt::kTransposed;
  const auto outputs = static_cast<uint64_t>(p.w.outputs), k = static_cast<uint64_t>(p.w.k);
  const auto rows = static_cast<uint64_t>(p.rows);
  void* preference = nullptr;
  int count = 0;
  lt::Status status = l.matmul_desc_create(&plan->desc, lt::kComputeF32, lt::kF32);
  const auto then = [&](auto function, auto... arguments) {
    if (status == lt::kSuccess) status = function(arguments...);
  };
  // Rows are the library's columns: what it has to give is y^T = W x^T, and W^T is what lies in memory.
  then(l.matmul_desc_set_attribute, plan->desc, lt::kTransposeA, &transposed, sizeof transposed);
  then(l.matrix_layout_create, &plan->weights, type, k, outputs, p.w.k);
  then(l.matrix_layout_create, &plan->x, type, k, rows, p.w.k);
  then(l.matrix_layout_create, &plan->y, lt::kF32, outputs, rows, y_stride);
  then(l.matmul_preference_create, &preference);
  const uint64_t most = kMostWorkspace;
  then(l.matmul_preference_set_attribute, preference, lt::kMostWorkspace, &most, sizeof most);
  for (const int which : {lt::kAlignA, lt::kAlignB, lt::kAlignC, lt::kAlignD})
    then(l.matmul_preference_set_attribute, preference, which, &kAlign, sizeof kAlign);
  then(l.matmul_algo_get_heuristic, handle_, plan->desc, plan->weights, plan->x, plan->y, plan->y, preference, 1,
       &plan->found, &count);
  if (preference) l.matmul_preference_destroy(preference);
  if (status != lt::kSuccess || count < 1)
    return "cuBLASLt has no way for a product of " + std::to_string(p.rows) + " rows, " + std::to_string(p.w.k) +
           " inputs and " + std::to_string(p.w.outputs) + " outputs: " + l.get_status_string(status);
  kept = std::move(plan);
  *found = kept.get();
  return {};
}

std::string Products::by_library(const Product& p, gpu::Stream stream) {
  const bool activates = p.then == Then::kActivate;
  float* const y = activates ? p.scratch : static_cast<float*>(p.y);
  const Plan* plan = nullptr;
  // Where nobody has prepared it, memory is the GPU's own.
  std::string wrong = prepare(p, [](size_t bytes) {
    return std::shared_ptr<void>(gpu::allocate(bytes), [](void* held) { gpu::release(held); });
  });
  if (wrong.empty()) wrong = plan_of(p, activates ? p.w.outputs : p.y_stride, &plan);
  if (!wrong.empty()) return wrong;
  const float times = 1, kept = p.then == Then::kAdd ? 1 : 0;
  if (const lt::Status status =
          library_->matmul(handle_, plan->desc, &times, p.w.data, plan->weights, p.x, plan->x, &kept, y, plan->y, y,
                           plan->y, &plan->found.algorithm, workspace_.get(), workspace_bytes_, gpu::handle_of(stream)))
    return std::string("a matrix product of cuBLASLt failed: ") + library_->get_status_string(status);
  if (!activates) return {};
  const auto tiles = static_cast<int32_t>(p.w.outputs / (2 * kLane));
  return activate({y, p.w.outputs, tiles, p.w.storage, p.y, p.y_stride}, p.rows, stream);
}

}  // namespace zs::cuda
