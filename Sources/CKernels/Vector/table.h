// The whole template, and the table of its entries. See vector.h.
#include "vector.h"
#include "functions.h"
#include "elementwise.h"
#include "philox.h"
#include "rows.h"
#include "product.h"
#include "bf16.h"
#include "attention.h"
#include "lstm.h"

static bool runs_here(void) {
#ifdef HAS_TILES
  if (!ck_tiles_allowed()) return false;
#endif
#ifdef HAS_BF16
  if (!__builtin_cpu_supports("avx512bf16")) return false;
#endif
#ifdef NEEDS_AVX512
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
#else
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
}

extern const ck_table TABLE;
const ck_table TABLE = {
    TABLE_NAME, runs_here, add, scale, tanh_forward, tanh_backward, gelu_forward, gelu_backward, from_f16, from_bf16,
    all_finite, sum_of_squares, add_bias, bias_gelu, column_sums, bias_dropout_add, dropout, layernorm_forward,
    layernorm_backward, layernorm_parameters, softmax_part, softmax_scaled, product_scratch, product_columns, product_pack, product_packed,
    BF16_UNIT, bf16_scratch, bf16_rows, bf16_columns, bf16_pack, bf16_packed, attention_scratch, attention_forward, attention_backward, lstm_forward, lstm_backward, normals, multiply_each, adamw};
