// Products of few rows (products.h).
#ifndef ZSLAB_CUDA_VECTOR_PRODUCT_H
#define ZSLAB_CUDA_VECTOR_PRODUCT_H

#include "cuda/products.h"

namespace zs::cuda {

// Of 1 to kFewRows rows. → what was wrong; empty = launched.
std::string multiply_few(const Product& product, gpu::Stream stream);

}  // namespace zs::cuda
#endif
