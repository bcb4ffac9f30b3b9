// math_constants.h - the constants of CUDA's header that kernels use.

#ifndef L2A_CUDA_ON_CPU_MATH_CONSTANTS_H
#define L2A_CUDA_ON_CPU_MATH_CONSTANTS_H

#define CUDART_INF_F __builtin_inff()
#define CUDART_NAN_F __builtin_nanf("")

#endif
