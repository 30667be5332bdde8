// The tensors of a model file as the caller described them, checked so that nothing can be read outside the file.
#ifndef ZSLAB_MODEL_TENSORS_H
#define ZSLAB_MODEL_TENSORS_H

#include <deque>
#include <string>
#include <vector>

#include "model/architecture.h"
#include "model/quants.h"

namespace zs {

// Reads by position, so that a file that shrinks meanwhile is an error and not a signal. Errors: ZS_IO.
class ModelFile {
 public:
  explicit ModelFile(const char* path);
  ~ModelFile();
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;
  int64_t size() const { return size_; }
  const std::string& path() const { return path_; }
  bool read(int64_t offset, int64_t bytes, void* to) const noexcept;  // false: the file no longer holds them

 private:
  std::string path_;
  int fd_ = -1;
  int64_t size_ = 0;
};

struct Tensor {
  const ModelFile* file = nullptr;
  int32_t type = ZS_T_F32;
  int64_t inputs = 0, rows = 0;
  int64_t offset = 0, row_bytes = 0;
};

// By part; those of one layer in a row of their own.
struct Tensors {
  std::vector<Tensor> once, layers;
  const Tensor& at(Part part) const { return once[static_cast<size_t>(part)]; }
  const Tensor& at(Part part, int64_t layer) const {
    return layers[static_cast<size_t>(layer * kParts + static_cast<int64_t>(part))];
  }
};

// Errors: ZS_INVALID, ZS_UNSUPPORTED.
void check_config(const zs_model_config& config);

// Every tensor of the architecture once, with the shape that `config` says, inside its file, and no other tensor. They point
// into `files`.
Tensors check_tensors(const zs_model_config& config, const Architecture& architecture,
                      const std::deque<ModelFile>& files, const zs_tensor* tensors, int64_t count);

}  // namespace zs
#endif
