// Entries that work on arrays without rows.

static void add(float *y, const float *x, size_t count) {
  EACH(i, n, u, count, put(y + i, get(y + i, n) + get(x + i, n), n););
}
static void scale(float *y, float factor, size_t count) {
  EACH(i, n, u, count, put(y + i, get(y + i, n) * factor, n););
}
static void tanh_forward(float *y, const float *x, size_t count) {
  EACH(i, n, u, count, put(y + i, tanh_of(get(x + i, n)), n););
}
static void tanh_backward(float *dx, const float *dy, const float *y, size_t count) {
  EACH(i, n, u, count, {
    vf value = get(y + i, n);
    put(dx + i, get(dy + i, n) * fma_(-value, value, 1.0f), n);
  });
}
static void gelu_forward(float *y, const float *z, size_t count) {
  EACH(i, n, u, count, put(y + i, gelu(get(z + i, n)), n););
}
static void gelu_backward(float *dz, const float *dy, const float *z, size_t count) {
  EACH(i, n, u, count, put(dz + i, get(dy + i, n) * gelu_slope(get(z + i, n)), n););
}
static void from_f16(float *y, const uint16_t *x, size_t count) {
  EACH(i, n, u, count, {
    vi half = __builtin_convertvector(get16(x + i, n), vi);
    vi sign = (half & 0x8000) << 16, rest = half & 0x7FFF;
    vi scaled = (rest << 13) + (112 << 23);
    vi special = (rest << 13) | 0x7F800000;
    vi small = bits_of(floats(rest) * 0x1p-24f);
    vi bits = rest < 0x400 ? small : rest >= 0x7C00 ? special : scaled;
    put(y + i, float_of(sign | bits), n);
  });
}
static void from_bf16(float *y, const uint16_t *x, size_t count) {
  EACH(i, n, u, count, put(y + i, float_of(__builtin_convertvector(get16(x + i, n), vi) << 16), n););
}
static bool all_finite(const float *x, size_t count) {
  vi bad[4] = {0};
  EACH(i, n, u, count, bad[u] |= (bits_of(get(x + i, n)) & 0x7F800000) == 0x7F800000;);
  return !__builtin_reduce_or(bad[0] | bad[1] | bad[2] | bad[3]);
}
static double sum_of_squares(const float *x, size_t count) {
  vd parts[4] = {0};
  EACH(i, n, u, count, {
    vd value = doubles(get(x + i, n));
    parts[u] += value * value;
  });
  return sum_doubles((parts[0] + parts[1]) + (parts[2] + parts[3]));
}

static void multiply_each(float *y, const float *x, size_t count, const float *factors, size_t factor_count) {
  // Eight vectors at a time hide the latency of each one's chain of products.
  size_t i = 0;
  for (; count - i >= 8 * LANES; i += 8 * LANES) {
    vf value[8];
    for (int u = 0; u < 8; u++) value[u] = get(x + i + u * LANES, LANES);
    for (size_t f = 0; f < factor_count; f++)
      for (int u = 0; u < 8; u++) value[u] *= factors[f];
    for (int u = 0; u < 8; u++) put(y + i + u * LANES, value[u], LANES);
  }
  for (; i < count; i += LANES) {
    size_t n = count - i < LANES ? count - i : LANES;
    vf value = get(x + i, n);
    for (size_t f = 0; f < factor_count; f++) value *= factors[f];
    put(y + i, value, n);
  }
}

/// The reference's roundings, one for one.
static void adamw(float *p, const float *g, float *m, float *v, size_t count, const ck_adamw *with) {
  float keep = (float)(1 - with->lr * with->decay), b1 = (float)(1 - with->beta1), b2 = (float)with->beta2;
  float c2 = (float)(1 - with->beta2), step = (float)(with->lr / with->bias1), root = (float)sqrt(with->bias2);
  float eps = (float)with->eps, grad_scale = with->grad_scale;
  EACH(i, n, u, count, {
    vf gradient = get(g + i, n) * grad_scale;
    vf weight = get(p + i, n) * keep;
    vf first = get(m + i, n);
    first = first + b1 * (gradient - first);
    vf second = get(v + i, n) * b2 + c2 * gradient * gradient;
    put(m + i, first, n);
    put(v + i, second, n);
    put(p + i, weight - step * first / (__builtin_elementwise_sqrt(second) / root + eps), n);
  });
}
