#include "cuda/token_step.cuh"

template std::string zs::cuda::step_blocks_of<zs::cuda::F32>(const StepShape&, int32_t&);
template std::string zs::cuda::token_step_of<zs::cuda::F32>(const Stage*, int32_t, const StepShape&, int32_t,
                                                            gpu::Stream);
