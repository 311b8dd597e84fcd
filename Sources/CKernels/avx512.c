// The kernels for processors with AVX-512.

#if defined(__x86_64__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c"))), apply_to = function)
#define LANES 16
#define REGISTERS 32
#define HAS_HALF 1
#define HAS_FMA 1
#define NAME "AVX-512"
#define KERNELS beem_kernels_avx512
#include "kernels.h"
#pragma clang attribute pop
#endif
