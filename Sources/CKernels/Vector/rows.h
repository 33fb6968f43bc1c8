// Kernels over rows.

static void add_bias(float *y, const float *bias, size_t rows, size_t columns, size_t stride) {
  for (size_t r = 0; r < rows; r++) add(y + r * stride, bias, columns);
}
static void bias_gelu(float *z, float *y, const float *bias, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++, z += columns, y += columns)
    for (size_t i = 0; i < columns; i += WIDTH) {
      vf value = load_some(z + i, columns - i) + load_some(bias + i, columns - i);
      store_some(z + i, value, columns - i);
      store_some(y + i, gelu(value), columns - i);
    }
}
static void column_sums(float *out, const float *x, size_t rows, size_t columns, size_t stride) {
  for (size_t i = 0; i < columns; i += WIDTH) {
    vf sum = {0};
    for (size_t r = 0; r < rows; r++) sum += load_some(x + r * stride + i, columns - i);
    store_some(out + i, sum, columns - i);
  }
}
static void dropout(float *y, const float *x, size_t rows, size_t columns, const ck_dropout *d, const ck_place *places) {
  if (!d->threshold) {
    if (y != x) memcpy(y, x, rows * columns * sizeof *y);
    return;
  }
  for (size_t r = 0; r < rows; r++) drop_row(y + r * columns, x + r * columns, columns, d, places[r], 0);
}
static void bias_dropout_add(float *h, const float *bias, const float *residual, size_t rows, size_t columns,
                             const ck_dropout *d, const ck_place *places) {
  for (size_t r = 0; r < rows; r++, h += columns, residual += columns) {
    add(h, bias, columns);
    if (d->threshold) drop_row(h, h, columns, d, places[r], 0);
    add(h, residual, columns);
  }
}
static void layernorm_forward(float *z, float *y, float *rstd, const float *gamma, const float *beta, float eps,
                              size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++, z += columns, y += columns) {
    vf sum = {0}, squares = {0};
    for (size_t i = 0; i < columns; i += WIDTH) sum += load_some(z + i, columns - i);
    const vf mean = spread(total(sum) / (float)columns);
    for (size_t i = 0; i < columns; i += WIDTH) {
      vf centred = (vf)((vi)(load_some(z + i, columns - i) - mean) & first_lanes(columns - i));
      squares = fma_(centred, centred, squares);
    }
    float inverse = 1 / __builtin_sqrtf(total(squares) / (float)columns + eps);
    rstd[r] = inverse;
    for (size_t i = 0; i < columns; i += WIDTH) {
      vf normal = (load_some(z + i, columns - i) - mean) * inverse;
      store_some(z + i, normal, columns - i);
      store_some(y + i, fma_(load_some(gamma + i, columns - i), normal, load_some(beta + i, columns - i)), columns - i);
    }
  }
}
static void layernorm_backward(float *dz, const float *dy, const float *xhat, const float *rstd, const float *gamma,
                               size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++, dz += columns, dy += columns, xhat += columns) {
    vf sum = {0}, projected = {0};
    for (size_t i = 0; i < columns; i += WIDTH) {
      vf g = load_some(dy + i, columns - i) * load_some(gamma + i, columns - i);
      sum += g;
      projected = fma_(g, load_some(xhat + i, columns - i), projected);
    }
    const vf mean = spread(total(sum) / (float)columns), along = spread(total(projected) / (float)columns);
    for (size_t i = 0; i < columns; i += WIDTH) {
      vf g = load_some(dy + i, columns - i) * load_some(gamma + i, columns - i);
      store_some(dz + i, fma_(-load_some(xhat + i, columns - i), along, g - mean) * rstd[r], columns - i);
    }
  }
}
static void layernorm_parameters(float *dgamma, float *dbeta, const float *dy, const float *xhat, size_t rows,
                                 size_t columns, size_t stride) {
  for (size_t i = 0; i < columns; i += WIDTH) {
    vf gamma = {0}, beta = {0};
    for (size_t r = 0; r < rows; r++) {
      vf g = load_some(dy + r * stride + i, columns - i);
      gamma = fma_(g, load_some(xhat + r * stride + i, columns - i), gamma);
      beta += g;
    }
    store_some(dgamma + i, gamma, columns - i);
    store_some(dbeta + i, beta, columns - i);
  }
}
