#include "cuda/prefill_attention.cuh"

template std::string zs::cuda::prefill_of<zs::cuda::BF16>(const RowsTask*, int32_t, const PrefillShape&, gpu::Stream);
