// Kernels for AVX-512. The functions between `push` and `pop` may use them, and no other code may.
#if defined(__x86_64__)
#define WIDTH 16
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), apply_to = function)
#include "../Vector/vectors.h"

#include "../Vector/functions.h"
#include "../Vector/philox.h"

#include "../Vector/attention.h"
#include "../Vector/elementwise.h"
#include "../Vector/rows.h"
#pragma clang attribute pop

static bool runs_here(void) { 
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq");
 }

const ck_table ck_table_avx512 = {"avx512", runs_here,
#include "../Vector/entries.h"
};
#endif
