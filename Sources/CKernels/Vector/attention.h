// Attention of one head of one sequence. Matrices of the width's columns are copied into padded scratch where
// their width is no multiple of the vector's; everything is sums of products in ascending order of the inner index.

INLINE size_t padded(size_t count) { return (count + WIDTH - 1) / WIDTH * WIDTH; }

/// c[rows × columns] = a · b. Rows of b are padded to whole vectors; a is read element by element, its rows and
/// columns `a_row` and `a_column` floats apart.
INLINE void product_tile(size_t rows, size_t vectors, size_t inner, size_t tail, const float *a, size_t a_row, size_t a_column,
                         const float *b, size_t b_row, float *c, size_t c_row) {
  vf sums[4][2];
  for (size_t r = 0; r < rows; r++) for (size_t v = 0; v < vectors; v++) sums[r][v] = (vf){0};
  for (size_t k = 0; k < inner; k++) {
    vf right[2];
    for (size_t v = 0; v < vectors; v++) right[v] = load(b + k * b_row + v * WIDTH);
    for (size_t r = 0; r < rows; r++) {
      vf left = spread(a[r * a_row + k * a_column]);
      for (size_t v = 0; v < vectors; v++) sums[r][v] = fma_(left, right[v], sums[r][v]);
    }
  }
  for (size_t r = 0; r < rows; r++)
    for (size_t v = 0; v < vectors; v++)
      store_some(c + r * c_row + v * WIDTH, sums[r][v], v + 1 == vectors ? tail : WIDTH);
}
static void product(size_t rows, size_t columns, size_t inner, const float *a, size_t a_row, size_t a_column, const float *b,
                    size_t b_row, float *c, size_t c_row) {
  for (size_t j = 0; j < columns; j += 2 * WIDTH) {
    size_t left = columns - j, vectors = left > WIDTH ? 2 : 1;
    size_t tail = left >= vectors * WIDTH ? WIDTH : left - (vectors - 1) * WIDTH;
    for (size_t r = 0; r < rows; r += 4) {
      const float *from = a + r * a_row;
      float *to = c + r * c_row + j;
      switch ((rows - r < 4 ? rows - r : 4) * 2 + vectors) {
      case 3: product_tile(1, 1, inner, tail, from, a_row, a_column, b + j, b_row, to, c_row); break;
      case 4: product_tile(1, 2, inner, tail, from, a_row, a_column, b + j, b_row, to, c_row); break;
      case 5: product_tile(2, 1, inner, tail, from, a_row, a_column, b + j, b_row, to, c_row); break;
      case 6: product_tile(2, 2, inner, tail, from, a_row, a_column, b + j, b_row, to, c_row); break;
      case 7: product_tile(3, 1, inner, tail, from, a_row, a_column, b + j, b_row, to, c_row); break;
      case 8: product_tile(3, 2, inner, tail, from, a_row, a_column, b + j, b_row, to, c_row); break;
      case 9: product_tile(4, 1, inner, tail, from, a_row, a_column, b + j, b_row, to, c_row); break;
      default: product_tile(4, 2, inner, tail, from, a_row, a_column, b + j, b_row, to, c_row); break;
      }
    }
  }
}
/// The transpose of x[rows × columns], its rows padded with zeros.
static void transpose(float *y, const float *x, size_t rows, size_t columns, size_t stride) {
  size_t width = padded(rows);
  for (size_t c = 0; c < columns; c++) {
    for (size_t r = 0; r < rows; r++) y[c * width + r] = x[r * stride + c];
    for (size_t r = rows; r < width; r++) y[c * width + r] = 0;
  }
}
/// x itself if its rows are whole vectors, else a copy with padded rows.
INLINE const float *whole_rows(float *copy, const float *x, size_t rows, size_t columns, size_t *stride) {
  if (columns % WIDTH == 0) return x;
  size_t width = padded(columns);
  for (size_t r = 0; r < rows; r++) {
    memcpy(copy + r * width, x + r * *stride, columns * sizeof *x);
    memset(copy + r * width + columns, 0, (width - columns) * sizeof *x);
  }
  *stride = width;
  return copy;
}
static size_t attention_scratch(size_t length, size_t width) {
  return padded(width) * length + padded(length) * width + 2 * padded(length) * length;
}
static void attention_forward(const ck_attention *a, float *out) {
  const size_t n = a->length, d = a->width, columns = padded(n);
  float *turned = a->scratch, *copy = turned + columns * d, *weights = copy + padded(d) * n;
  transpose(turned, a->k, n, d, a->stride);
  product(n, n, d, a->q, a->stride, 1, turned, columns, a->probs, n);
  for (size_t i = 0; i < n; i++) {
    float *p = a->probs + i * n;
    vf best = spread(-__builtin_inff()), sum = {0};
    for (size_t j = 0; j < n; j += WIDTH) {
      vf s = pick(first_lanes(n - j), load_some(p + j, n - j) * a->scale, spread(-__builtin_inff()));
      best = pick(s > best, s, best);
      store_some(p + j, s, n - j);
    }
    const vf top = spread(largest(best));
    for (size_t j = 0; j < n; j += WIDTH) {
      vf e = (vf)((vi)exponential(load_some(p + j, n - j) - top) & first_lanes(n - j));
      sum += e;
      store_some(p + j, e, n - j);
    }
    const vf inverse = spread(1 / total(sum));
    for (size_t j = 0; j < n; j += WIDTH) store_some(p + j, load_some(p + j, n - j) * inverse, n - j);
    if (a->dropout.threshold) drop_row(weights + i * n, p, n, &a->dropout, a->places[i], a->head * 65536u);
  }
  size_t stride = a->stride;
  const float *v = whole_rows(copy, a->v, n, d, &stride);
  product(n, d, n, a->dropout.threshold ? weights : a->probs, n, 1, v, stride, out, a->out_stride);
}
static void attention_backward(const ck_attention *a, const float *dout, float *dq, float *dk, float *dv) {
  const size_t n = a->length, d = a->width, columns = padded(n);
  float *turned = a->scratch, *copy = turned + columns * d, *weights = copy + padded(d) * n, *scores = weights + columns * n;
  const float *kept = a->probs;
  if (a->dropout.threshold) {
    for (size_t i = 0; i < n; i++)
      drop_row(weights + i * n, a->probs + i * n, n, &a->dropout, a->places[i], a->head * 65536u);
    kept = weights;
  }
  size_t stride = a->out_stride;
  const float *right = whole_rows(copy, dout, n, d, &stride);
  product(n, d, n, kept, 1, n, right, stride, dv, a->stride);
  transpose(turned, a->v, n, d, a->stride);
  product(n, n, d, dout, a->out_stride, 1, turned, columns, scores, n);
  for (size_t i = 0; i < n; i++) {
    float *s = scores + i * n;
    const float *p = a->probs + i * n;
    if (a->dropout.threshold) drop_row(s, s, n, &a->dropout, a->places[i], a->head * 65536u);
    vf sum = {0};
    for (size_t j = 0; j < n; j += WIDTH) sum = fma_(load_some(s + j, n - j), load_some(p + j, n - j), sum);
    const vf inner = spread(total(sum));
    for (size_t j = 0; j < n; j += WIDTH)
      store_some(s + j, (load_some(s + j, n - j) - inner) * load_some(p + j, n - j) * a->scale, n - j);
  }
  stride = a->stride;
  right = whole_rows(copy, a->k, n, d, &stride);
  product(n, d, n, scores, n, 1, right, stride, dq, a->stride);
  stride = a->stride;
  right = whole_rows(copy, a->q, n, d, &stride);
  product(n, d, n, scores, 1, n, right, stride, dk, a->stride);
}
