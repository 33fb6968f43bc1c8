// The inner product on AMX: two tiles of rows of A against two of columns of B, four sums in tiles.
//
// A tile is 16 rows of 64 bytes: of A 16 rows × 32 bf16, of B 16 pairs along the depth × 16 columns, of C
// 16 × 16 floats. A row of A and C may be missing (the tile is then lower), a column may not: it is cut off in a
// copy. An element's sum depends on its row and column alone.

enum { SIDE = 16 };

typedef struct tile_shapes {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_shapes;

/// Tiles 0 1 / 2 3 are sums, 4 and 5 rows of A, 6 and 7 columns of B.
INLINE void shape_tiles(size_t upper, size_t lower) {
  _Alignas(64) tile_shapes shapes = {.palette = 1};
  const uint8_t rows[8] = {upper, upper, lower, lower, upper, lower, SIDE, SIDE};
  for (size_t i = 0; i < 8; i++) {
    shapes.rows[i] = rows[i];
    shapes.row_bytes[i] = rows[i] ? 64 : 0;
  }
  _tile_loadconfig(&shapes);
}

INLINE void tile_block(float *c, size_t c_stride, const uint16_t *a, size_t a_stride, const uint32_t *b, size_t steps,
                       bool two_rows, bool two_columns, bool add_to) {
  size_t c_bytes = c_stride * sizeof *c, a_bytes = a_stride * sizeof *a, b_bytes = PANEL * sizeof *b;
  if (add_to) {
    _tile_loadd(0, c, c_bytes);
    if (two_columns) _tile_loadd(1, c + SIDE, c_bytes);
    if (two_rows) _tile_loadd(2, c + SIDE * c_stride, c_bytes);
    if (two_rows && two_columns) _tile_loadd(3, c + SIDE * c_stride + SIDE, c_bytes);
  } else {
    _tile_zero(0);
    if (two_columns) _tile_zero(1);
    if (two_rows) _tile_zero(2);
    if (two_rows && two_columns) _tile_zero(3);
  }
  for (size_t s = 0; s < steps; s++, a += CK_BF16_DEPTH, b += PAIRS * PANEL) {
    _tile_loadd(6, b, b_bytes);
    _tile_loadd(4, a, a_bytes);
    _tile_dpbf16ps(0, 4, 6);
    if (two_rows) {
      _tile_loadd(5, a + SIDE * a_stride, a_bytes);
      _tile_dpbf16ps(2, 5, 6);
    }
    if (two_columns) {
      _tile_loadd(7, b + SIDE, b_bytes);
      _tile_dpbf16ps(1, 4, 7);
      if (two_rows) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c, c_bytes);
  if (two_columns) _tile_stored(1, c + SIDE, c_bytes);
  if (two_rows) _tile_stored(2, c + SIDE * c_stride, c_bytes);
  if (two_rows && two_columns) _tile_stored(3, c + SIDE * c_stride + SIDE, c_bytes);
}

/// Up to 32 rows, for which the tiles are shaped, by up to 32 columns.
INLINE void tile_rows(float *c, size_t c_stride, const uint16_t *a, size_t a_stride, size_t rows, const uint32_t *b,
                      size_t steps, size_t columns, bool two_rows, bool add_to) {
  if (columns == 2 * SIDE) {
    tile_block(c, c_stride, a, a_stride, b, steps, two_rows, true, add_to);
  } else if (columns == SIDE) {
    tile_block(c, c_stride, a, a_stride, b, steps, two_rows, false, add_to);
  } else {
    float copy[2 * SIDE * 2 * SIDE];
    if (add_to)
      for (size_t i = 0; i < rows; i++) {
        memset(copy + i * 2 * SIDE, 0, 2 * SIDE * sizeof *copy);
        memcpy(copy + i * 2 * SIDE, c + i * c_stride, columns * sizeof *c);
      }
    tile_block(copy, 2 * SIDE, a, a_stride, b, steps, two_rows, true, add_to);
    for (size_t i = 0; i < rows; i++) memcpy(c + i * c_stride, copy + i * 2 * SIDE, columns * sizeof *c);
  }
}

static void bf16_packed(float *c, size_t c_stride, const uint16_t *a, size_t a_stride, size_t rows, const void *packed,
                        size_t depth, size_t columns, bool add_to) {
  size_t steps = whole_depth(depth) / CK_BF16_DEPTH, panel = steps * PAIRS * PANEL;
  for (size_t r = 0; r < rows;) {
    size_t left = rows - r, upper = left < SIDE ? left : SIDE;
    size_t lower = left - upper < SIDE ? left - upper : SIDE;
    // Blocks of full tiles share a shape; what is left has one of its own.
    size_t end = lower == SIDE ? r + left / (2 * SIDE) * (2 * SIDE) : rows;
    shape_tiles(upper, lower);
    const uint32_t *b = packed;
    for (size_t j = 0; j < columns; j += PANEL, b += panel) {
      size_t wide = columns - j < PANEL ? columns - j : PANEL;
      for (size_t i = r; i < end; i += 2 * SIDE) {
        float *to = c + i * c_stride + j;
        const uint16_t *from = a + i * a_stride;
        if (lower) tile_rows(to, c_stride, from, a_stride, upper + lower, b, steps, wide, true, add_to);
        else tile_rows(to, c_stride, from, a_stride, upper, b, steps, wide, false, add_to);
      }
    }
    r = end;
  }
  _tile_release();
}
