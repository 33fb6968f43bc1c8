// The kernels of the encoder, one table per instruction set.
//
// `reference` is plain C with wide accumulators where a sum is formed, and is the specification of every
// entry. An entry gives an element (or a row, where it works on rows) the same bits wherever it stands: not
// even the tail of an array takes another path. Sums run in an order that depends on the counts alone.
// Every pointer may be unaligned unless said otherwise; no entry allocates; arrays do not overlap unless said.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ck_adamw;

/// The columns of a strip of a product: a multiple of every table's panel.
enum { CK_STRIP = 96 };
/// bf16 factors are padded with zeros to a multiple of this along the depth of a product.
enum { CK_BF16_DEPTH = 32 };

/// What a dropout call needs to name its random numbers: Philox4x32-10 with key (key0, key1) and counter
/// (element / 4, row's token, op, row's item); element e takes word e mod 4. An element is dropped if its
/// word is below `threshold` (= rate × 2³²), else multiplied by `scale` (= 1 / (1 − rate)).
/// A threshold of 0 turns dropout off.
typedef struct ck_dropout {
  uint32_t key0, key1;
  uint32_t op;
  uint32_t threshold;
  float scale;
} ck_dropout;

/// Where a token stands in its work item: what its random numbers are keyed by.
typedef struct ck_place {
  uint32_t item;
  uint32_t token;
} ck_place;

/// One head of one sequence. Rows are `stride` floats apart in q, k, v (and dq, dk, dv), `out_stride` in out.
/// `probs` is [length × length], row-major and dense: the softmax of q·kᵀ·scale before dropout. Where it is NULL the
/// forward pass leaves two floats a row at `stats` instead, and the backward pass makes the softmax again from them,
/// to the same bits. Where both are NULL no backward pass can follow.
/// Dropout of attention weight (i, j) of this head: place of token i, op `dropout.op`, element
/// `head × 65536 + j`.
typedef struct ck_attention {
  size_t length, width;       // tokens; the head's width (a multiple of 4, at most 256)
  size_t stride, out_stride;
  const float *q, *k, *v;
  float scale;
  float *probs;               // or NULL
  float *stats;               // [length × 2], or NULL, as it must be where probs is not
  ck_dropout dropout;
  const ck_place *places;     // [length]
  uint32_t head;
  float *scratch;             // attention_scratch(length, width) floats, 64-byte aligned
} ck_attention;

typedef struct ck_table {
  const char *name;           // "reference", "avx2", "avx512", "avx512-bf16", "amx"
  bool (*runs_here)(void);

  // ---- element-wise over `count` floats
  void (*add)(float *y, const float *x, size_t count);                  // y += x
  void (*scale)(float *y, float factor, size_t count);                  // y *= factor
  void (*tanh_forward)(float *y, const float *x, size_t count);         // may be in place
  void (*tanh_backward)(float *dx, const float *dy, const float *y, size_t count);  // dx = dy (1 − y²); may be in place
  void (*gelu_forward)(float *y, const float *z, size_t count);         // z Φ(z), by erf; may be in place
  void (*gelu_backward)(float *dz, const float *dy, const float *z, size_t count);  // may be in place on dy
  void (*from_f16)(float *y, const uint16_t *x, size_t count);
  void (*from_bf16)(float *y, const uint16_t *x, size_t count);
  bool (*all_finite)(const float *x, size_t count);
  double (*sum_of_squares)(const float *x, size_t count);               // each square exact in double

  // ---- rows of `columns` floats, `rows` of them, dense unless a stride is given
  void (*add_bias)(float *y, const float *bias, size_t rows, size_t columns, size_t stride);   // y[r, :] += bias
  /// z += bias, then y = gelu(z): the epilogue of an inner product; z keeps the pre-activation.
  void (*bias_gelu)(float *z, float *y, const float *bias, size_t rows, size_t columns);
  /// out[:] = Σ_r x[r, :], rows added in order. `stride` floats between rows; `columns` of them are summed.
  void (*column_sums)(float *out, const float *x, size_t rows, size_t columns, size_t stride);
  /// h = residual + dropout(h + bias). `places` has `rows` entries; may be NULL when dropout is off.
  void (*bias_dropout_add)(float *h, const float *bias, const float *residual, size_t rows, size_t columns,
                           const ck_dropout *dropout, const ck_place *places);
  /// y = dropout(x); its own backward pass, as the mask is drawn again. May be in place.
  void (*dropout)(float *y, const float *x, size_t rows, size_t columns, const ck_dropout *dropout, const ck_place *places);
  /// z becomes x̂ = (z − mean) / √(variance + eps); y = γ x̂ + β; rstd[r] = 1/√(…). y may not be z.
  void (*layernorm_forward)(float *z, float *y, float *rstd, const float *gamma, const float *beta, float eps,
                            size_t rows, size_t columns);
  /// dz from dy. dz may be dy.
  void (*layernorm_backward)(float *dz, const float *dy, const float *xhat, const float *rstd, const float *gamma,
                             size_t rows, size_t columns);
  /// dgamma[c] = Σ_r dy[r, c] x̂[r, c], dbeta[c] = Σ_r dy[r, c], rows in order; `columns` of rows `stride` apart.
  void (*layernorm_parameters)(float *dgamma, float *dbeta, const float *dy, const float *xhat, size_t rows,
                               size_t columns, size_t stride);

  // ---- softmax over columns that are seen part by part
  /// Takes more columns in: largest = max(largest, x), and sum = Σ exp(x − largest) over all that were seen. Begin with
  /// −∞ and 0. NaN in x makes the sum NaN.
  void (*softmax_part)(const float *x, size_t columns, float *largest, double *sum);
  /// x = exp(x − largest) · factor.
  void (*softmax_scaled)(float *x, size_t columns, float largest, float factor);

  // ---- products C = A·B, strip by strip of B's columns; NULL in a table that has none faster than a library's
  /// Floats that a packed strip takes.
  size_t (*product_scratch)(size_t depth);
  /// to[c · to_stride + r] = x[r · stride + c].
  void (*product_columns)(float *to, size_t to_stride, const float *x, size_t stride, size_t rows, size_t columns);
  /// Packs some columns of B, at most CK_STRIP: element (k, n) is at b[k · stride + n], or where `transposed` at
  /// b[n · stride + k].
  void (*product_pack)(float *packed, const float *b, size_t stride, bool transposed, size_t depth, size_t columns);
  /// C = A·B, or C += A·B, for the packed columns: C [rows × columns], A [rows × depth], rows `…_stride` apart. Each
  /// element of C is one sum in the order of `depth`, with one rounding a term: its bits depend on its row and column
  /// alone. Fastest with up to 48 rows at a time.
  void (*product_packed)(float *c, size_t c_stride, const float *a, size_t a_stride, size_t rows, const float *packed,
                         size_t depth, size_t columns, bool add_to);

  // ---- the same, of factors rounded to bf16 (to nearest, ties to even), with sums in fp32
  /// What the processor multiplies bf16 with; NULL where fp32 instructions do it and nothing is gained.
  const char *bf16_unit;
  /// Floats that a packed strip takes.
  size_t (*bf16_scratch)(size_t depth);
  /// to[r · to_stride + c] = x[r · stride + c], and zeros up to a multiple of CK_BF16_DEPTH columns.
  void (*bf16_rows)(uint16_t *to, size_t to_stride, const float *x, size_t stride, size_t rows, size_t columns);
  /// to[c · to_stride + r] = x[r · stride + c], and zeros up to a multiple of CK_BF16_DEPTH rows.
  void (*bf16_columns)(uint16_t *to, size_t to_stride, const float *x, size_t stride, size_t rows, size_t columns);
  /// As product_pack; `packed` is aligned to 4 bytes.
  void (*bf16_pack)(void *packed, const float *b, size_t stride, bool transposed, size_t depth, size_t columns);
  /// As product_packed, with rows of A as bf16_rows or bf16_columns leave them. An element's bits depend on its row
  /// and column alone. Fastest with 96 rows at a time.
  void (*bf16_packed)(float *c, size_t c_stride, const uint16_t *a, size_t a_stride, size_t rows, const void *packed,
                      size_t depth, size_t columns, bool add_to);

  // ---- attention of one head of one sequence
  size_t (*attention_scratch)(size_t length, size_t width);             // in floats
  void (*attention_forward)(const ck_attention *a, float *out);
  /// Writes dq, dk, dv (rows `stride` apart) from dout (rows `out_stride` apart), using a->probs or a->stats.
  void (*attention_backward)(const ck_attention *a, const float *dout, float *dq, float *dk, float *dv);

  // ---- cells of long short-term memory: one row of `width` units; gates are [4 × width], in PyTorch's order i, f, g, o
  /// With z = gates + recurrent: gates become σ(z), and tanh(z) of the third; cell = i·g + f·before; state = o·tanh(cell).
  /// `recurrent` and `before`, the cell before, may be NULL for 0.
  void (*lstm_forward)(float *gates, const float *recurrent, const float *before, float *cell, float *state, size_t width);
  /// From the gradient dstate + recurrent of the state and `dcell` of the cell: gates become the gradient of z, and
  /// dcell that of the cell before. `before` may be NULL as above, dstate and `recurrent` for 0.
  void (*lstm_backward)(float *gates, const float *cell, const float *before, const float *dstate,
                        const float *recurrent, float *dcell, size_t width);

  // ---- random weights
  /// x[0 …] from the normal distribution of mean 0 by Box and Muller, two from two random words: the elements from
  /// 4 · `counter` on of what (key0, key1), `op` and `place` name. `dropout` gives no more than these.
  void (*normals)(float *x, size_t count, uint32_t counter, const ck_dropout *dropout, ck_place place, float deviation);

  // ---- optimiser
  /// y = x · factors[0] · factors[1] …, multiplied one after the other. y may be x.
  void (*multiply_each)(float *y, const float *x, size_t count, const float *factors, size_t factor_count);
  /// AdamW as PyTorch's unfused one: g *= grad_scale; p *= 1 − lr·decay; m += (g − m)(1 − β₁);
  /// v = β₂ v + (1 − β₂) g²; p −= (lr / bias1) m / (√v / √bias2 + eps). bias1 = 1 − β₁ᵗ, bias2 = 1 − β₂ᵗ.
  void (*adamw)(float *p, const float *g, float *m, float *v, size_t count, const struct ck_adamw *with);
} ck_table;

typedef struct ck_adamw {
  float grad_scale;
  double lr, beta1, beta2, eps, decay, bias1, bias2;   // rounded to float where PyTorch does
} ck_adamw;

/// All tables that this binary holds, best first, `reference` last; `*count` of them.
const ck_table *const *ck_tables(size_t *count);
/// The table named `name`, or NULL; also "wide": the 16 lanes of AVX-512 made of AVX2 instructions, for tests.
const ck_table *ck_table_named(const char *name);
/// The best table that runs here.
const ck_table *ck_best_table(void);

/// Whether the processor has AMX with bf16 and the kernel lets this process use its tiles; asks the kernel once.
bool ck_tiles_allowed(void);
