// The kernels of 16 lanes, made of AVX2's instructions: the source of AVX-512's, testable where that is missing.
#if defined(__x86_64__)
#define WIDTH 16
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "../Vector/vectors.h"

#include "../Vector/functions.h"
#include "../Vector/philox.h"

#include "../Vector/attention.h"
#include "../Vector/elementwise.h"
#include "../Vector/rows.h"
#pragma clang attribute pop

static bool runs_here(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

const ck_table ck_table_wide = {"wide", runs_here,
#include "../Vector/entries.h"
};
#endif
