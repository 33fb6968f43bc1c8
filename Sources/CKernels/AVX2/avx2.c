// Kernels for AVX2 with FMA. The functions between `push` and `pop` may use them, and no other code may.
#if defined(__x86_64__)
#define WIDTH 8
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "../Vector/vectors.h"

#include "../Vector/functions.h"
#include "../Vector/philox.h"

#include "../Vector/attention.h"
#include "../Vector/elementwise.h"
#include "../Vector/rows.h"
#pragma clang attribute pop

static bool runs_here(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

const ck_table ck_table_avx2 = {"avx2", runs_here,
#include "../Vector/entries.h"
};
#endif
