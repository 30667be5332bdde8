// The types of GGUF's tensors: how many values a block holds in how many bytes, and those values in float32.
#ifndef ZSLAB_MODEL_QUANTS_H
#define ZSLAB_MODEL_QUANTS_H

#include <cstdint>
#include <string>

namespace zs {

struct BlockType {
  const char* name;
  int64_t values, bytes;
};

// Of a zs_tensor_type; nullptr: none that is read.
const BlockType* block_type(int32_t type);

// Of all that are read, with their numbers: "F32 (0), F16 (1), … and BF16 (30)".
std::string block_type_names();

// `count` values (whole blocks) of a `type` that block_type knows, to float32: the bits that ggml's own float32 arithmetic gives, of
// scales that are infinite or NaN too (which NaN is not said).
void dequantize(int32_t type, const uint8_t* from, int64_t count, float* to);

}  // namespace zs
#endif
