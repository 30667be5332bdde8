// The one header that kernels include: CUDA's own words and the few of ours that hide what is not plain C++ (inline PTX, <<<>>>). Under nvcc
// they are the device's, under a C++ compiler the emulation's, which runs the same sources on a CPU and names what is wrong with them.
#ifndef ZSLAB_CUDA_GPU_H
#define ZSLAB_CUDA_GPU_H

#ifdef __CUDACC__
#include "cuda/device_words.h"
#else
#include "cuda/emulation/words.h"
#endif

#endif
