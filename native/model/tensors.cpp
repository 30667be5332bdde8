#include "model/tensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <unordered_map>

#include "core/error.h"

namespace zs {
namespace {

struct Expected {
  int64_t inputs, rows;
  bool vector;
  Tensor* place;
};

std::string shape_text(int32_t dims, int64_t inputs, int64_t rows) {
  std::string text = "[" + std::to_string(inputs);
  if (dims != 1) text += ", " + std::to_string(rows);
  return text + "]";
}

Tensor checked(const zs_tensor& given, const Expected& expected, const std::deque<ModelFile>& files) {
  const char* name = given.name;
  const BlockType* type = block_type(given.type);
  if (!type)
    fail(ZS_UNSUPPORTED, "tensor \"%s\" has type %d: supported are %s; convert the model to one of them", name,
         given.type, block_type_names().c_str());
  const int32_t dims = expected.vector ? 1 : 2;
  if (given.dims != dims || given.shape[0] != expected.inputs || (dims == 2 && given.shape[1] != expected.rows))
    fail(ZS_INVALID,
         "tensor \"%s\" has shape %s, expected %s from the model's sizes: the file is damaged or was converted wrongly",
         name, shape_text(given.dims, given.shape[0], given.shape[1]).c_str(),
         shape_text(dims, expected.inputs, expected.rows).c_str());
  if (expected.inputs % type->values)
    fail(ZS_INVALID, "tensor \"%s\" has rows of %lld values, but %s comes in blocks of %lld: the file is damaged", name,
         static_cast<long long>(expected.inputs), type->name, static_cast<long long>(type->values));
  if (given.file < 0 || static_cast<size_t>(given.file) >= files.size())
    fail(ZS_INVALID, "tensor \"%s\" is said to be in file %d, expected one of the %zu given (from 0)", name, given.file,
         files.size());
  const ModelFile& file = files[static_cast<size_t>(given.file)];
  Tensor tensor{&file,         given.type,   expected.inputs,
                expected.rows, given.offset, expected.inputs / type->values * type->bytes};
  const int64_t bytes = tensor.row_bytes * tensor.rows;
  if (given.bytes != bytes)
    fail(ZS_INVALID, "tensor \"%s\" is said to have %lld bytes, but its shape %s in %s needs %lld", name,
         static_cast<long long>(given.bytes), shape_text(dims, expected.inputs, expected.rows).c_str(), type->name,
         static_cast<long long>(bytes));
  if (given.offset < 0 || bytes > file.size() || given.offset > file.size() - bytes)
    fail(ZS_INVALID,
         "tensor \"%s\" of %lld bytes at offset %lld reaches beyond the end of %s (%lld bytes): the file was cut off, "
         "fetch it again",
         name, static_cast<long long>(bytes), static_cast<long long>(given.offset), file.path().c_str(),
         static_cast<long long>(file.size()));
  return tensor;
}

void whole(const char* name, int64_t value, int64_t least, int64_t most) {
  if (value < least || value > most)
    fail(ZS_INVALID, "%s = %lld in the model's sizes, expected a whole number from %lld to %lld", name,
         static_cast<long long>(value), static_cast<long long>(least), static_cast<long long>(most));
}

}  // namespace

ModelFile::ModelFile(const char* path) : path_(path) {
  fd_ = open(path, O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) fail(ZS_IO, "cannot open the model file %s: %s", path, std::strerror(errno));
  struct stat info{};
  if (fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd_);
    fail(ZS_IO, "%s is not a file: give the path of a GGUF file", path);
  }
  size_ = static_cast<int64_t>(info.st_size);
}

ModelFile::~ModelFile() { close(fd_); }

bool ModelFile::read(int64_t offset, int64_t bytes, void* to) const noexcept {
  uint8_t* at = static_cast<uint8_t*>(to);
  while (bytes > 0) {
    const ssize_t got = pread(fd_, at, static_cast<size_t>(bytes), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got, offset += got, bytes -= got;
  }
  return true;
}

void check_config(const zs_model_config& c) {
  whole("layers", c.layers, 1, 4096);
  whole("heads", c.heads, 1, 4096);
  whole("kv_heads", c.kv_heads, 1, 4096);
  whole("head_dim", c.head_dim, 2, 512);
  whole("hidden", c.hidden, 1, int64_t{1} << 20);
  whole("feed_forward", c.feed_forward, 1, int64_t{1} << 24);
  whole("vocabulary", c.vocabulary, 1, int64_t{1} << 24);
  whole("context", c.context, 1, INT32_MAX);
  whole("rope_dims", c.rope_dims, 2, c.head_dim);
  whole("tied_output", c.tied_output, 0, 1);
  if (c.heads % c.kv_heads)
    fail(ZS_INVALID, "heads = %d on kv_heads = %d in the model's sizes, expected heads divisible by kv_heads", c.heads,
         c.kv_heads);
  if (c.head_dim % 2 || c.rope_dims % 2)
    fail(ZS_INVALID, "head_dim = %d and rope_dims = %d in the model's sizes, expected even numbers", c.head_dim,
         c.rope_dims);
  if (!(c.rope_base > 0) || !std::isfinite(c.rope_base))
    fail(ZS_INVALID, "rope_base = %g in the model's sizes, expected a finite number above 0",
         static_cast<double>(c.rope_base));
  if (!(c.norm_eps >= 0) || !std::isfinite(c.norm_eps))
    fail(ZS_INVALID, "norm_eps = %g in the model's sizes, expected a finite number of at least 0",
         static_cast<double>(c.norm_eps));
  if (c.weights != ZS_F32 && c.weights != ZS_BF16 && c.weights != ZS_WEIGHTS_FILE)
    fail(ZS_INVALID, "weights = %d, expected float32 (0), bfloat16 (2) or as in the file (-1)", c.weights);
}

Tensors check_tensors(const zs_model_config& config, const Architecture& architecture,
                      const std::deque<ModelFile>& files, const zs_tensor* given, int64_t count) {
  Tensors found;
  found.once.resize(kParts);
  found.layers.resize(static_cast<size_t>(kParts) * static_cast<size_t>(config.layers));
  std::unordered_map<std::string, Expected> expected;
  for (const TensorRule& rule : architecture.tensors) {
    if (rule.part == Part::kOutput && config.tied_output) continue;
    Expected one{size_of(rule.inputs, config), size_of(rule.outputs, config), rule.outputs == Size::kNone, nullptr};
    for (int64_t layer = 0; layer < (per_layer(rule.part) ? config.layers : 1); ++layer) {
      std::string name = rule.name;
      if (per_layer(rule.part)) name = "blk." + std::to_string(layer) + "." + name;
      auto& places = per_layer(rule.part) ? found.layers : found.once;
      one.place = &places[static_cast<size_t>(layer * kParts + static_cast<int64_t>(rule.part))];
      expected.emplace(std::move(name), one);
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    if (!given[i].name) fail(ZS_INVALID, "tensor %lld has no name", static_cast<long long>(i));
    const auto it = expected.find(given[i].name);
    if (it == expected.end())
      fail(ZS_UNSUPPORTED,
           "the tensor \"%.100s\" is no part of a %s model of these sizes that zslab computes: use a plain %s model",
           given[i].name, architecture.name, architecture.name);
    if (it->second.place->rows)
      fail(ZS_INVALID, "the tensor \"%s\" is there twice: the file is damaged", given[i].name);
    *it->second.place = checked(given[i], it->second, files);
  }
  for (const auto& [name, one] : expected)
    if (!one.place->rows)
      fail(ZS_INVALID, "the tensor \"%s\" of shape %s is missing: the file is damaged or was converted wrongly",
           name.c_str(), shape_text(one.vector ? 1 : 2, one.inputs, one.rows).c_str());
  return found;
}

}  // namespace zs
