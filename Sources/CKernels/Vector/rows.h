// Entries that work on rows, and sums over rows.

static void add_bias(float *y, const float *bias, size_t rows, size_t columns, size_t stride) {
  for (size_t r = 0; r < rows; r++, y += stride)
    EACH(c, n, u, columns, put(y + c, get(y + c, n) + get(bias + c, n), n););
}
static void bias_gelu(float *z, float *y, const float *bias, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++, z += columns, y += columns)
    EACH(c, n, u, columns, {
      vf value = get(z + c, n) + get(bias + c, n);
      put(z + c, value, n);
      put(y + c, gelu(value), n);
    });
}

/// The sums of `vectors` vectors of columns, the last of `n` columns: in double and in the order of the rows,
/// as the reference has them.
INLINE void column_block(float *out, const float *x, size_t rows, size_t stride, size_t vectors, size_t n) {
  vd sums[4] = {0};
  for (size_t r = 0; r < rows; r++)
    for (size_t v = 0; v < vectors; v++) sums[v] += doubles(get(x + r * stride + v * LANES, n));
  for (size_t v = 0; v < vectors; v++) put(out + v * LANES, floats(sums[v]), n);
}
static void column_sums(float *out, const float *x, size_t rows, size_t columns, size_t stride) {
  size_t c = 0;
  for (; columns - c >= 4 * LANES; c += 4 * LANES) column_block(out + c, x + c, rows, stride, 4, LANES);
  for (; columns - c >= LANES; c += LANES) column_block(out + c, x + c, rows, stride, 1, LANES);
  if (c < columns) column_block(out + c, x + c, rows, stride, 1, columns - c);
}

INLINE void parameter_block(float *dgamma, float *dbeta, const float *dy, const float *xhat, size_t rows,
                            size_t stride, size_t vectors, size_t n) {
  vd gamma[2] = {0}, beta[2] = {0};
  for (size_t r = 0; r < rows; r++)
    for (size_t v = 0; v < vectors; v++) {
      vd gradient = doubles(get(dy + r * stride + v * LANES, n));
      gamma[v] += gradient * doubles(get(xhat + r * stride + v * LANES, n));
      beta[v] += gradient;
    }
  for (size_t v = 0; v < vectors; v++) {
    put(dgamma + v * LANES, floats(gamma[v]), n);
    put(dbeta + v * LANES, floats(beta[v]), n);
  }
}
static void layernorm_parameters(float *dgamma, float *dbeta, const float *dy, const float *xhat, size_t rows,
                                 size_t columns, size_t stride) {
  size_t c = 0;
  for (; columns - c >= 2 * LANES; c += 2 * LANES)
    parameter_block(dgamma + c, dbeta + c, dy + c, xhat + c, rows, stride, 2, LANES);
  for (; columns - c >= LANES; c += LANES)
    parameter_block(dgamma + c, dbeta + c, dy + c, xhat + c, rows, stride, 1, LANES);
  if (c < columns) parameter_block(dgamma + c, dbeta + c, dy + c, xhat + c, rows, stride, 1, columns - c);
}

/// The mean is formed in double and taken away in two parts, so that a row of equal values gives exact zeros
/// and a large mean costs no digits of the rest.
static void layernorm_forward(float *z, float *y, float *rstd, const float *gamma, const float *beta, float eps,
                              size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++, z += columns, y += columns) {
    vd sums[4] = {0};
    EACH(c, n, u, columns, sums[u] += doubles(get(z + c, n)););
    double mean = sum_doubles((sums[0] + sums[1]) + (sums[2] + sums[3])) / (double)columns;
    float high = (float)mean, low = (float)(mean - high);
    vf squares[4] = {0};
    EACH(c, n, u, columns, {
      vf centred = padded((get(z + c, n) - high) - low, n, 0);
      squares[u] = fma_(centred, centred, squares[u]);
    });
    float variance = sum((squares[0] + squares[1]) + (squares[2] + squares[3])) / (float)columns;
    float inverse = (float)(1 / sqrt((double)variance + eps));
    rstd[r] = inverse;
    EACH(c, n, u, columns, {
      vf xhat = ((get(z + c, n) - high) - low) * inverse;
      put(z + c, xhat, n);
      put(y + c, fma_(get(gamma + c, n), xhat, get(beta + c, n)), n);
    });
  }
}
static void layernorm_backward(float *dz, const float *dy, const float *xhat, const float *rstd, const float *gamma,
                               size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++, dz += columns, dy += columns, xhat += columns) {
    vf sums[4] = {0}, projections[4] = {0};
    EACH(c, n, u, columns, {
      vf g = get(dy + c, n) * get(gamma + c, n);
      sums[u] += g;
      projections[u] = fma_(g, get(xhat + c, n), projections[u]);
    });
    float mean = sum((sums[0] + sums[1]) + (sums[2] + sums[3])) / (float)columns;
    float projected = sum((projections[0] + projections[1]) + (projections[2] + projections[3])) / (float)columns;
    float inverse = rstd[r];
    EACH(c, n, u, columns, {
      vf g = fma_(get(dy + c, n), get(gamma + c, n), (vf)(-mean));
      put(dz + c, fma_(get(xhat + c, n), (vf)(-projected), g) * inverse, n);
    });
  }
}

static void softmax_part(const float *x, size_t columns, float *most, double *total) {
  vf top[4] = {(vf)(-INFINITY), (vf)(-INFINITY), (vf)(-INFINITY), (vf)(-INFINITY)}, sums[4] = {0};
  EACH(j, n, u, columns, {
    vf value = padded(get(x + j, n), n, -INFINITY);
    top[u] = value > top[u] ? value : top[u];
  });
  top[0] = top[0] > top[1] ? top[0] : top[1];
  top[2] = top[2] > top[3] ? top[2] : top[3];
  float seen = largest(top[0] > top[2] ? top[0] : top[2]), before = *most;
  if (seen > before) {
    *total *= exp((double)before - seen);
    *most = seen;
  }
  EACH(j, n, u, columns, sums[u] += padded(exp_of(get(x + j, n) - *most), n, 0););
  *total += sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

static void softmax_scaled(float *x, size_t columns, float most, float factor) {
  EACH(j, n, u, columns, put(x + j, exp_of(get(x + j, n) - most) * factor, n););
}
