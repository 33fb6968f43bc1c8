// 16 lanes on AVX2, two registers for a vector: what AVX-512 runs, on machines that have none. For tests.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define LANES 16
#define TABLE ck_table_wide
#define TABLE_NAME "wide"
#include "../Vector/table.h"
#pragma clang attribute pop
#endif
