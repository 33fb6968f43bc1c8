// Small products C = A·B (or C += A·B) for attention: a block of C stays in registers while the sum runs.

/// A[i, k] is at `p[i · row + k · column]`: either stride may be anything, so Aᵀ needs no copy.
typedef struct left {
  const float *p;
  size_t row, column;
} left;

enum { BLOCK_ROWS = 6 };  // 6 rows × 2 vectors: 12 sums, 2 vectors of B and a factor fill 16 registers

INLINE void product_block(float *c, size_t c_stride, left a, const float *b, size_t b_stride, size_t depth,
                          size_t rows, size_t vectors, size_t last, bool add_to) {
  vf sums[BLOCK_ROWS][2];
  for (size_t i = 0; i < rows; i++)
    for (size_t v = 0; v < vectors; v++)
      sums[i][v] = add_to ? get(c + i * c_stride + v * LANES, v + 1 < vectors ? LANES : last) : (vf)(0.0f);
  for (size_t k = 0; k < depth; k++, b += b_stride, a.p += a.column) {
    vf right[2];
    for (size_t v = 0; v < vectors; v++) right[v] = get(b + v * LANES, LANES);
    for (size_t i = 0; i < rows; i++) {
      vf factor = a.p[i * a.row];
      for (size_t v = 0; v < vectors; v++) sums[i][v] = fma_(factor, right[v], sums[i][v]);
    }
  }
  for (size_t i = 0; i < rows; i++)
    for (size_t v = 0; v < vectors; v++)
      put(c + i * c_stride + v * LANES, sums[i][v], v + 1 < vectors ? LANES : last);
}

INLINE void product_rows(float *c, size_t c_stride, left a, const float *b, size_t b_stride, size_t depth,
                         size_t rows, size_t columns, bool add_to) {
  size_t j = 0;
  for (; columns - j >= 2 * LANES; j += 2 * LANES)
    product_block(c + j, c_stride, a, b + j, b_stride, depth, rows, 2, LANES, add_to);
  if (columns - j >= LANES) {
    product_block(c + j, c_stride, a, b + j, b_stride, depth, rows, 1, LANES, add_to);
    j += LANES;
  }
  if (j < columns) product_block(c + j, c_stride, a, b + j, b_stride, depth, rows, 1, columns - j, add_to);
}

/// C [rows × columns] from A [rows × depth] and B [depth × columns]. Rows of B are packed: they may be read up
/// to a whole number of vectors. Each element is one sum in the order of `depth`.
static void product(float *c, size_t c_stride, left a, const float *b, size_t b_stride, size_t depth, size_t rows,
                    size_t columns, bool add_to) {
  while (rows >= BLOCK_ROWS) {
    product_rows(c, c_stride, a, b, b_stride, depth, BLOCK_ROWS, columns, add_to);
    c += BLOCK_ROWS * c_stride;
    a.p += BLOCK_ROWS * a.row;
    rows -= BLOCK_ROWS;
  }
  switch (rows) {
  case 5: product_rows(c, c_stride, a, b, b_stride, depth, 5, columns, add_to); break;
  case 4: product_rows(c, c_stride, a, b, b_stride, depth, 4, columns, add_to); break;
  case 3: product_rows(c, c_stride, a, b, b_stride, depth, 3, columns, add_to); break;
  case 2: product_rows(c, c_stride, a, b, b_stride, depth, 2, columns, add_to); break;
  case 1: product_rows(c, c_stride, a, b, b_stride, depth, 1, columns, add_to); break;
  }
}

// ---- Products with weights: strips of columns of B, packed once into the cache, against rows of A.

enum { PANEL = 2 * LANES };
typedef VECTOR(float, 8) v8;

static size_t product_scratch(size_t depth) { return depth * (CK_STRIP + PANEL); }

INLINE v8 get8(const float *p) {
  v8 v;
  memcpy(&v, p, sizeof v);
  return v;
}
#define PAIR(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
INLINE void transpose_vectors(v8 *to, const v8 *from) {
  v8 r[8], s[8];
  for (size_t i = 0; i < 8; i += 2) {
    s[i] = PAIR(from[i], from[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    s[i + 1] = PAIR(from[i], from[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (size_t i = 0; i < 8; i += 4)
    for (size_t j = 0; j < 2; j++) {
      r[i + 2 * j] = PAIR(s[i + j], s[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      r[i + 2 * j + 1] = PAIR(s[i + j], s[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (size_t i = 0; i < 4; i++) {
    to[i] = PAIR(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    to[i + 4] = PAIR(r[i], r[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}
/// Eight runs of eight floats, `from` apart, as columns whose rows are PANEL floats apart.
INLINE void transpose8(float *to, const float *p, size_t from) {
  v8 rows[8], columns[8];
  for (size_t i = 0; i < 8; i++) rows[i] = get8(p + i * from);
  transpose_vectors(columns, rows);
  for (size_t i = 0; i < 8; i++) memcpy(to + i * PANEL, &columns[i], sizeof *columns);
}

/// A panel: [depth × PANEL], zeros after the last column.
INLINE void pack_panel(float *to, const float *b, size_t stride, bool transposed, size_t depth, size_t columns) {
  if (!transposed) {
    for (size_t k = 0; k < depth; k++, to += PANEL, b += stride) {
      put(to, get(b, columns < LANES ? columns : LANES), LANES);
      put(to + LANES, columns > LANES ? get(b + LANES, columns - LANES) : (vf)(0.0f), LANES);
    }
    return;
  }
  if (columns < PANEL) memset(to, 0, depth * PANEL * sizeof(float));
  for (size_t n = 0; n < columns; n += 8) {
    size_t k = 0;
    if (columns - n >= 8)
      for (; depth - k >= 8; k += 8) transpose8(to + k * PANEL + n, b + n * stride + k, stride);
    for (; k < depth; k++)
      for (size_t i = n; i < columns && i < n + 8; i++) to[k * PANEL + i] = b[i * stride + k];
  }
}

static void product_columns(float *to, size_t to_stride, const float *x, size_t stride, size_t rows, size_t columns) {
  for (size_t c = 0; c < columns; c += 8) {
    size_t wide = columns - c < 8 ? columns - c : 8, r = 0;
    if (wide == 8)
      for (; rows - r >= 8; r += 8) {
        v8 from[8], turned[8];
        for (size_t i = 0; i < 8; i++) from[i] = get8(x + (r + i) * stride + c);
        transpose_vectors(turned, from);
        for (size_t i = 0; i < 8; i++) memcpy(to + (c + i) * to_stride + r, &turned[i], sizeof *turned);
      }
    for (; r < rows; r++)
      for (size_t i = c; i < c + wide; i++) to[i * to_stride + r] = x[r * stride + i];
  }
}

static void product_pack(float *packed, const float *b, size_t stride, bool transposed, size_t depth, size_t columns) {
  for (size_t j = 0; j < columns; j += PANEL)
    pack_panel(packed + j * depth, b + (transposed ? j * stride : j), stride, transposed, depth,
               columns - j < PANEL ? columns - j : PANEL);
}
static void product_packed(float *c, size_t c_stride, const float *a, size_t a_stride, size_t rows, const float *packed,
                           size_t depth, size_t columns, bool add_to) {
  left part = {a, a_stride, 1};
  for (size_t j = 0; j < columns; j += PANEL)
    product(c + j, c_stride, part, packed + j * depth, PANEL, depth, rows, columns - j < PANEL ? columns - j : PANEL, add_to);
}
