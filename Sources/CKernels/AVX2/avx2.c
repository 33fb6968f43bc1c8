// 8 lanes by AVX2 and FMA.
#if defined(__x86_64__)
// From here to `pop` functions may use AVX2, and no other code may.
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define LANES 8
#define TABLE ck_table_avx2
#define TABLE_NAME "avx2"
#include "../Vector/table.h"
#pragma clang attribute pop
#endif
