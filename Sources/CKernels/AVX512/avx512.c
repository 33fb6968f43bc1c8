// 16 lanes by AVX-512 as Skylake has it.
#if defined(__x86_64__)
// From here to `pop` functions may use AVX-512, and no other code may.
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma"))), apply_to = function)
#define LANES 16
#define TABLE ck_table_avx512
#define TABLE_NAME "avx512"
#define NEEDS_AVX512
#include "../Vector/table.h"
#pragma clang attribute pop
#endif
