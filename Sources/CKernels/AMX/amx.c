// AVX-512, and bf16 products on the tiles of AMX (Sapphire Rapids and later).
#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,amx-tile,amx-bf16"
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#define LANES 16
#define TABLE ck_table_amx
#define TABLE_NAME "amx"
#define NEEDS_AVX512
#define HAS_TILES
#define BF16_UNIT "AMX"
#include "../Vector/table.h"
#pragma clang attribute pop
#endif
