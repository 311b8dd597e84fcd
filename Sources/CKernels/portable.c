// The kernels for every processor of the architecture.

#define LANES 4
#if defined(__aarch64__)
#define REGISTERS 32
#define HAS_HALF 1
#define HAS_FMA 1
#else
#define REGISTERS 16
#define HAS_HALF 0
#define HAS_FMA 0
#endif
#define NAME "portable"
#define KERNELS beem_kernels_portable
#include "kernels.h"
