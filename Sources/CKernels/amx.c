#include "amx.h"

#if BEEM_HAS_AMX

#pragma clang attribute pop

#include <sys/syscall.h>
#include <unistd.h>

int beem_amx_is_allowed(void) {
  static int is_allowed = -1;
  int known = __atomic_load_n(&is_allowed, __ATOMIC_RELAXED);
  if (known < 0) {
    // Linux lets a process use tiles that has asked for them.
    enum { request_permission = 0x1023, tile_data = 18 };
    known = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
            __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
            __builtin_cpu_supports("amx-int8") &&
            syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
    __atomic_store_n(&is_allowed, known, __ATOMIC_RELAXED);
  }
  return known && beem_allows("AMX");
}

#endif
