// Rows of a model file as packed tiles (cpu/packing.h), and back.
#ifndef ZSLAB_MODEL_PACKED_H
#define ZSLAB_MODEL_PACKED_H

#include <cstdint>

#include "cpu/packing.h"
#include "model/tensors.h"

namespace zs {

// What holds a file's type (zs_tensor_type) as it is.
Packing packing_of(int32_t type);
const char* packing_name(Packing packing);

// Sixteen rows of tensors into a tile; from[i] nullptr = zeros. A type goes into its own packing bit for bit, any into kF32 exactly and into
// kBf16 rounded to nearest even. `rows`: scratch of 16 * k floats.
void pack_tile(Packing packing, int64_t k, const uint8_t* const from[kTile], const Tensor* const of[kTile], float* rows,
               uint8_t* tile);

// `inputs` weights of one lane; the bits of dequantize() where the packing is the file's.
void unpack_lane(Packing packing, const uint8_t* tile, int64_t lane, int64_t inputs, float* to);

}  // namespace zs
#endif
