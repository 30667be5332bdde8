#include "cuda/decode_attention.cuh"

template std::string zs::cuda::decode_of<zs::cuda::BF16, zs::cuda::BF16>(const DecodeTask*, int32_t, int32_t, int32_t,
                                                                         gpu::Stream);
