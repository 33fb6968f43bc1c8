// Products of factors rounded to bf16, with sums in fp32: strips of columns of B, packed once into the cache,
// against rows of A. The layout is that of AMX and AVX512-BF16: two neighbours along the depth share a word.

typedef VECTOR(uint32_t, 8) u8;

enum { PAIRS = CK_BF16_DEPTH / 2 };
static size_t whole_depth(size_t depth) { return (depth + CK_BF16_DEPTH - 1) / CK_BF16_DEPTH * CK_BF16_DEPTH; }
static size_t bf16_scratch(size_t depth) { return whole_depth(depth) / 2 * (CK_STRIP + PANEL); }

// Rounding to the nearest, ties to even: the upper half of each word is the result, NaN stays NaN.
#define ROUNDED(type, f)                                                                  \
  __extension__({                                                                         \
    type bits_ = (type)(f);                                                               \
    ((f) != (f)) ? (bits_ | 0x400000) : (bits_ + 0x7FFF + (bits_ >> 16 & 1));             \
  })
INLINE uint16_t half_of(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  return (uint16_t)((f != f ? bits | 0x400000 : bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
/// Words of which `low` is the lower half and `high` the upper.
#define WORDS(type, low, high) ((ROUNDED(type, low) >> 16) | (ROUNDED(type, high) & 0xFFFF0000))

INLINE void put16(uint16_t *p, vf v, size_t n) {
  vh h = __builtin_convertvector(ROUNDED(vu, v) >> 16, vh);
  if (n >= LANES) memcpy(p, &h, sizeof h);
  else memcpy(p, &h, n * sizeof *p);
}

/// Eight vectors of eight words as columns, `to_stride` words apart.
INLINE void transpose_words(uint32_t *to, size_t to_stride, const u8 *r) {
  v8 t[8], out[8];
  for (size_t i = 0; i < 8; i++) t[i] = (v8)r[i];
  transpose_vectors(out, t);
  for (size_t i = 0; i < 8; i++) memcpy(to + i * to_stride, &out[i], sizeof *out);
}

/// Sixteen floats as eight words.
INLINE u8 paired(const float *p) {
  v8 a = get8(p), b = get8(p + 8);
  v8 even = PAIR(a, b, 0, 2, 4, 6, 8, 10, 12, 14), odd = PAIR(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
  return WORDS(u8, even, odd);
}

static void bf16_rows(uint16_t *to, size_t to_stride, const float *x, size_t stride, size_t rows, size_t columns) {
  size_t padding = whole_depth(columns) - columns;
  for (size_t r = 0; r < rows; r++, to += to_stride, x += stride) {
    EACH(i, n, u, columns, put16(to + i, get(x + i, n), n););
    memset(to + columns, 0, padding * sizeof *to);
  }
}

static void bf16_columns(uint16_t *to, size_t to_stride, const float *x, size_t stride, size_t rows, size_t columns) {
  size_t padding = whole_depth(rows) - rows;
  for (size_t c = 0; c < columns; c += 8) {
    size_t wide = columns - c < 8 ? columns - c : 8, r = 0;
    if (wide == 8)
      for (; rows - r >= 16; r += 16) {
        u8 pairs[8];
        for (size_t i = 0; i < 8; i++) {
          v8 low = get8(x + (r + 2 * i) * stride + c), high = get8(x + (r + 2 * i + 1) * stride + c);
          pairs[i] = WORDS(u8, low, high);
        }
        v8 t[8], out[8];
        for (size_t i = 0; i < 8; i++) t[i] = (v8)pairs[i];
        transpose_vectors(out, t);
        for (size_t i = 0; i < 8; i++) memcpy(to + (c + i) * to_stride + r, &out[i], sizeof *out);
      }
    for (size_t i = c; i < c + wide; i++) {
      for (size_t k = r; k < rows; k++) to[i * to_stride + k] = half_of(x[k * stride + i]);
      memset(to + i * to_stride + rows, 0, padding * sizeof *to);
    }
  }
}

/// A panel: [depth / 2 × PANEL] words, zeros after the last column and the last row.
INLINE void bf16_panel(uint32_t *to, const float *b, size_t stride, bool transposed, size_t depth, size_t columns) {
  if (!transposed) {
    size_t left = columns < LANES ? columns : LANES, right = columns - left;
    for (size_t p = 0; p < whole_depth(depth) / 2; p++, to += PANEL) {
      const float *row = b + 2 * p * stride;
      vf low[2] = {0, 0}, high[2] = {0, 0};
      if (2 * p < depth) low[0] = get(row, left), low[1] = right ? get(row + LANES, right) : low[1];
      if (2 * p + 1 < depth)
        high[0] = get(row + stride, left), high[1] = right ? get(row + stride + LANES, right) : high[1];
      for (size_t v = 0; v < 2; v++) {
        vu words = WORDS(vu, low[v], high[v]);
        memcpy(to + v * LANES, &words, sizeof words);
      }
    }
    return;
  }
  if (columns < PANEL || depth % CK_BF16_DEPTH) memset(to, 0, whole_depth(depth) / 2 * PANEL * sizeof *to);
  for (size_t n = 0; n < columns; n += 8) {
    size_t wide = columns - n < 8 ? columns - n : 8, k = 0;
    if (wide == 8)
      for (; depth - k >= 16; k += 16) {
        u8 words[8];
        for (size_t i = 0; i < 8; i++) words[i] = paired(b + (n + i) * stride + k);
        transpose_words(to + k / 2 * PANEL + n, PANEL, words);
      }
    for (; k < depth; k += 2)
      for (size_t i = n; i < n + wide; i++)
        to[k / 2 * PANEL + i] = half_of(b[i * stride + k]) |
                                (k + 1 < depth ? (uint32_t)half_of(b[i * stride + k + 1]) << 16 : 0);
  }
}

static void bf16_pack(void *packed, const float *b, size_t stride, bool transposed, size_t depth, size_t columns) {
  uint32_t *to = packed;
  for (size_t j = 0; j < columns; j += PANEL, to += whole_depth(depth) / 2 * PANEL)
    bf16_panel(to, b + (transposed ? j * stride : j), stride, transposed, depth,
               columns - j < PANEL ? columns - j : PANEL);
}

#ifdef HAS_TILES
#include "../AMX/tiles.h"
#else
/// sum + low · low + high · high of each word of a vector and one word.
INLINE vf two_terms(vf sum, uint32_t factor, vu right) {
#ifdef HAS_BF16
  return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)(vu)(factor), (__m512bh)right);
#else
  vf high = float_of((vi)((vu)(factor) & 0xFFFF0000)), low = float_of((vi)((vu)(factor) << 16));
  sum = fma_(high, float_of((vi)(right & 0xFFFF0000)), sum);
  return fma_(low, float_of((vi)(right << 16)), sum);
#endif
}

INLINE void bf16_block(float *c, size_t c_stride, const uint16_t *a, size_t a_stride, size_t rows, const uint32_t *b,
                       size_t pairs, size_t columns, bool add_to) {
  size_t left = columns < LANES ? columns : LANES, right = columns - left;
  vf sums[BLOCK_ROWS][2];
  // C is often in no cache: it comes while the sums run. Measured on Zen 4: 2 to 5 % with depths of 384 and 768.
  for (size_t i = 0; i < rows; i++)
    for (size_t v = 0; v < 2; v++) __builtin_prefetch(c + i * c_stride + v * LANES, 1);
  for (size_t i = 0; i < rows; i++) {
    sums[i][0] = add_to ? get(c + i * c_stride, left) : (vf)(0.0f);
    sums[i][1] = add_to && right ? get(c + i * c_stride + LANES, right) : (vf)(0.0f);
  }
  for (size_t p = 0; p < pairs; p++, b += PANEL) {
    vu words[2];
    memcpy(words, b, sizeof words);
    for (size_t i = 0; i < rows; i++) {
      uint32_t factor;
      memcpy(&factor, a + i * a_stride + 2 * p, sizeof factor);
      for (size_t v = 0; v < 2; v++) sums[i][v] = two_terms(sums[i][v], factor, words[v]);
    }
  }
  for (size_t i = 0; i < rows; i++) {
    put(c + i * c_stride, sums[i][0], left);
    if (right) put(c + i * c_stride + LANES, sums[i][1], right);
  }
}

static void bf16_packed(float *c, size_t c_stride, const uint16_t *a, size_t a_stride, size_t rows, const void *packed,
                        size_t depth, size_t columns, bool add_to) {
  size_t pairs = (depth + 1) / 2;  // the zeros after them add nothing
  const uint32_t *b = packed;
  for (size_t j = 0; j < columns; j += PANEL, b += whole_depth(depth) / 2 * PANEL) {
    size_t wide = columns - j < PANEL ? columns - j : PANEL, r = 0;
    for (; rows - r >= BLOCK_ROWS; r += BLOCK_ROWS)
      bf16_block(c + r * c_stride + j, c_stride, a + r * a_stride, a_stride, BLOCK_ROWS, b, pairs, wide, add_to);
    for (; r < rows; r++)
      bf16_block(c + r * c_stride + j, c_stride, a + r * a_stride, a_stride, 1, b, pairs, wide, add_to);
  }
}
#endif
