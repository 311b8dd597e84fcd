#include <stdlib.h>
#include <string.h>

#include "choice.h"

extern const struct beem_kernels beem_kernels_portable, beem_kernels_avx2, beem_kernels_avx512;

#if defined(__x86_64__)
static const struct beem_kernels *const all[] = {&beem_kernels_avx512, &beem_kernels_avx2, &beem_kernels_portable};

static int has_instructions(size_t index) {
  switch (index) {
    case 0:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    case 1: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    default: return 1;
  }
}
#else
static const struct beem_kernels *const all[] = {&beem_kernels_portable};

static int has_instructions(size_t index) { return 1; }
#endif

// Best first.
static const char *const names[] = {"AMX", "AVX-512", "AVX2", "portable"};

const char *beem_kernels_name(size_t index) { return index < sizeof names / sizeof *names ? names[index] : 0; }

// The number of a name; that behind the last where it is none.
static size_t number_of(const char *name) {
  size_t index = 0;
  while (beem_kernels_name(index) && strcmp(name, names[index])) index++;
  return index;
}

int beem_allows(const char *name) {
  const char *limit = getenv("BEEM_KERNELS");
  return !limit || !beem_kernels_name(number_of(limit)) || number_of(name) >= number_of(limit);
}

size_t beem_kernels_count(void) { return sizeof all / sizeof *all; }

const struct beem_kernels *beem_kernels_at(size_t index) {
  return index < beem_kernels_count() && has_instructions(index) ? all[index] : 0;
}

const struct beem_kernels *beem_kernels_best(void) {
  size_t index = 0;
  while (!beem_kernels_at(index) || !beem_allows(all[index]->name)) index++;
  return all[index];
}
