// What takes the place of CUDA's runtime in launches.cpp.
#ifndef ZSLAB_CUDA_PROVE_LAUNCHED_H
#define ZSLAB_CUDA_PROVE_LAUNCHED_H

namespace zs::launched {

// Of what shapes the launches are that follow.
enum Shapes { kUsual, kAll };
extern Shapes shapes;

// A line for each kernel: its symbol, then of usual and of all shapes threads of a block and bytes of shared memory asked for, whichever asked
// for most; 0 threads = it was not launched.
void print_launches();

}  // namespace zs::launched
#endif
