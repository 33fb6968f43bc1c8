// AVX-512, and bf16 products by AVX512-BF16 (Cooper Lake, Zen 4).
#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,avx512bf16"
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#define LANES 16
#define TABLE ck_table_avx512_bf16
#define TABLE_NAME "avx512-bf16"
#define NEEDS_AVX512
#define HAS_BF16
#define BF16_UNIT "AVX512-BF16"
#include "../Vector/table.h"
#pragma clang attribute pop
#endif
