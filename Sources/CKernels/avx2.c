// The kernels for processors with AVX2, FMA and F16C: x86 since 2013.

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#define LANES 8
#define REGISTERS 16
#define HAS_HALF 1
#define HAS_FMA 1
#define NAME "AVX2"
#define KERNELS beem_kernels_avx2
#include "kernels.h"
#pragma clang attribute pop
#endif
