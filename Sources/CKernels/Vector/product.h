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
