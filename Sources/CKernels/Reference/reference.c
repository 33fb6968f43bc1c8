// The kernels in plain C: the specification of every other table.
#include "ckernels.h"

#include <math.h>
#include <string.h>

static bool runs_here(void) { return true; }

static void add(float *y, const float *x, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] += x[i];
}
static void scale(float *y, float factor, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] *= factor;
}
static void tanh_forward(float *y, const float *x, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] = (float)tanh((double)x[i]);
}
static void tanh_backward(float *dx, const float *dy, const float *y, size_t count) {
  for (size_t i = 0; i < count; i++) dx[i] = (float)((double)dy[i] * (1 - (double)y[i] * y[i]));
}
static double phi(double z) { return 0.5 * erfc(-z * 0.70710678118654752440); }
static void gelu_forward(float *y, const float *z, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] = (float)(z[i] * phi(z[i]));
}
static void gelu_backward(float *dz, const float *dy, const float *z, size_t count) {
  for (size_t i = 0; i < count; i++) {
    double x = z[i];
    dz[i] = (float)(dy[i] * (phi(x) + x * exp(-0.5 * x * x) * 0.39894228040143267794));
  }
}
static void from_f16(float *y, const uint16_t *x, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint32_t sign = (uint32_t)(x[i] & 0x8000) << 16, exponent = x[i] >> 10 & 31, mantissa = x[i] & 1023, bits;
    if (exponent == 31) bits = sign | 0x7F800000 | mantissa << 13;
    else if (exponent) bits = sign | (exponent + 112) << 23 | mantissa << 13;
    else { float value = (float)mantissa * 0x1p-24f; memcpy(&bits, &value, 4); bits |= sign; }
    memcpy(y + i, &bits, 4);
  }
}
static void from_bf16(float *y, const uint16_t *x, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint32_t bits = (uint32_t)x[i] << 16;
    memcpy(y + i, &bits, 4);
  }
}
static bool all_finite(const float *x, size_t count) {
  for (size_t i = 0; i < count; i++) if (!isfinite(x[i])) return false;
  return true;
}
static double sum_of_squares(const float *x, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += (double)x[i] * x[i];
  return sum;
}
static void add_bias(float *y, const float *bias, size_t rows, size_t columns, size_t stride) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++) y[r * stride + c] += bias[c];
}
static void bias_gelu(float *z, float *y, const float *bias, size_t rows, size_t columns) {
  add_bias(z, bias, rows, columns, columns);
  gelu_forward(y, z, rows * columns);
}
static void column_sums(float *out, const float *x, size_t rows, size_t columns, size_t stride) {
  for (size_t c = 0; c < columns; c++) {
    double sum = 0;
    for (size_t r = 0; r < rows; r++) sum += x[r * stride + c];
    out[c] = (float)sum;
  }
}
static uint32_t philox_word(const ck_dropout *d, ck_place place, uint32_t element) {
  uint32_t c[4] = {element / 4, place.token, d->op, place.item}, k0 = d->key0, k1 = d->key1;
  for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    uint64_t p0 = (uint64_t)c[0] * 0xD2511F53u, p1 = (uint64_t)c[2] * 0xCD9E8D57u;
    uint32_t n[4] = {(uint32_t)(p1 >> 32) ^ c[1] ^ k0, (uint32_t)p1, (uint32_t)(p0 >> 32) ^ c[3] ^ k1, (uint32_t)p0};
    memcpy(c, n, sizeof c);
  }
  return c[element % 4];
}
static float dropped(float value, const ck_dropout *d, const ck_place *places, size_t row, uint32_t element) {
  if (!d->threshold) return value;
  return philox_word(d, places[row], element) < d->threshold ? 0 : value * d->scale;
}
static void bias_dropout_add(float *h, const float *bias, const float *residual, size_t rows, size_t columns,
                             const ck_dropout *d, const ck_place *places) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++) {
      size_t i = r * columns + c;
      h[i] = residual[i] + dropped(h[i] + bias[c], d, places, r, (uint32_t)c);
    }
}
static void dropout(float *y, const float *x, size_t rows, size_t columns, const ck_dropout *d, const ck_place *places) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++) y[r * columns + c] = dropped(x[r * columns + c], d, places, r, (uint32_t)c);
}
static void layernorm_forward(float *z, float *y, float *rstd, const float *gamma, const float *beta, float eps,
                              size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++, z += columns, y += columns) {
    double sum = 0, squares = 0;
    for (size_t c = 0; c < columns; c++) sum += z[c];
    double mean = sum / (double)columns;
    for (size_t c = 0; c < columns; c++) squares += (z[c] - mean) * (z[c] - mean);
    double inverse = 1 / sqrt(squares / (double)columns + eps);
    rstd[r] = (float)inverse;
    for (size_t c = 0; c < columns; c++) {
      z[c] = (float)((z[c] - mean) * inverse);
      y[c] = gamma[c] * z[c] + beta[c];
    }
  }
}
static void layernorm_backward(float *dz, const float *dy, const float *xhat, const float *rstd, const float *gamma,
                               size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++, dz += columns, dy += columns, xhat += columns) {
    double sum = 0, projected = 0;
    for (size_t c = 0; c < columns; c++) {
      double g = (double)dy[c] * gamma[c];
      sum += g;
      projected += g * xhat[c];
    }
    sum /= (double)columns;
    projected /= (double)columns;
    for (size_t c = 0; c < columns; c++)
      dz[c] = (float)(((double)dy[c] * gamma[c] - sum - xhat[c] * projected) * rstd[r]);
  }
}
static void layernorm_parameters(float *dgamma, float *dbeta, const float *dy, const float *xhat, size_t rows,
                                 size_t columns, size_t stride) {
  for (size_t c = 0; c < columns; c++) {
    double gamma = 0, beta = 0;
    for (size_t r = 0; r < rows; r++) {
      gamma += (double)dy[r * stride + c] * xhat[r * stride + c];
      beta += dy[r * stride + c];
    }
    dgamma[c] = (float)gamma;
    dbeta[c] = (float)beta;
  }
}
static size_t attention_scratch(size_t length, size_t width) { (void)width; return 2 * length + 16; }
static float masked(const ck_attention *a, size_t i, size_t j, float value) {
  return dropped(value, &a->dropout, a->places, i, a->head * 65536u + (uint32_t)j);
}
/// Row i of the softmax.
static void attention_row(const ck_attention *a, size_t i, float *p) {
  double largest = -INFINITY, sum = 0;
  for (size_t j = 0; j < a->length; j++) {
    double s = 0;
    for (size_t c = 0; c < a->width; c++) s += (double)a->q[i * a->stride + c] * a->k[j * a->stride + c];
    p[j] = (float)(s * a->scale);
    if (p[j] > largest) largest = p[j];
  }
  for (size_t j = 0; j < a->length; j++) sum += exp(p[j] - largest);
  for (size_t j = 0; j < a->length; j++) p[j] = (float)(exp(p[j] - largest) / sum);
}
static void attention_forward(const ck_attention *a, float *out) {
  for (size_t i = 0; i < a->length; i++) {
    float *p = a->probs ? a->probs + i * a->length : a->scratch;
    attention_row(a, i, p);
    for (size_t c = 0; c < a->width; c++) {
      double s = 0;
      for (size_t j = 0; j < a->length; j++) s += (double)masked(a, i, j, p[j]) * a->v[j * a->stride + c];
      out[i * a->out_stride + c] = (float)s;
    }
  }
}
static void attention_backward(const ck_attention *a, const float *dout, float *dq, float *dk, float *dv) {
  for (size_t i = 0; i < a->length; i++)
    for (size_t c = 0; c < a->width; c++) dq[i * a->stride + c] = dk[i * a->stride + c] = dv[i * a->stride + c] = 0;
  for (size_t i = 0; i < a->length; i++) {
    float *ds = a->scratch, *again = ds + a->length;
    const float *p = a->probs ? a->probs + i * a->length : again;
    if (!a->probs) attention_row(a, i, again);
    double inner = 0;
    for (size_t j = 0; j < a->length; j++) {
      double dp = 0;
      for (size_t c = 0; c < a->width; c++) dp += (double)dout[i * a->out_stride + c] * a->v[j * a->stride + c];
      ds[j] = masked(a, i, j, (float)dp);
      inner += (double)ds[j] * p[j];
      float weight = masked(a, i, j, p[j]);
      for (size_t c = 0; c < a->width; c++) dv[j * a->stride + c] += weight * dout[i * a->out_stride + c];
    }
    for (size_t j = 0; j < a->length; j++) {
      float s = (float)((ds[j] - inner) * p[j] * a->scale);
      for (size_t c = 0; c < a->width; c++) {
        dq[i * a->stride + c] += s * a->k[j * a->stride + c];
        dk[j * a->stride + c] += s * a->q[i * a->stride + c];
      }
    }
  }
}
static void multiply_each(float *y, const float *x, size_t count, const float *factors, size_t factor_count) {
  for (size_t i = 0; i < count; i++) {
    float value = x[i];
    for (size_t f = 0; f < factor_count; f++) value *= factors[f];
    y[i] = value;
  }
}
static void adamw(float *p, const float *g, float *m, float *v, size_t count, const ck_adamw *with) {
  float keep = (float)(1 - with->lr * with->decay), b1 = (float)(1 - with->beta1), b2 = (float)with->beta2;
  float c2 = (float)(1 - with->beta2), step = (float)(with->lr / with->bias1), root = (float)sqrt(with->bias2);
  float eps = (float)with->eps;
  for (size_t i = 0; i < count; i++) {
    float gradient = g[i] * with->grad_scale, weight = p[i] * keep;
    m[i] = m[i] + b1 * (gradient - m[i]);
    v[i] = v[i] * b2 + c2 * gradient * gradient;
    p[i] = weight - step * m[i] / (sqrtf(v[i]) / root + eps);
  }
}


static void normals(float *x, size_t count, uint32_t counter, const ck_dropout *d, ck_place place, float deviation) {
  for (size_t i = 0; i < count; i++) {
    uint32_t pair = 4 * counter + (uint32_t)(i & ~(size_t)1);
    double u = ((philox_word(d, place, pair) >> 8) + 1) * 0x1p-24, v = (philox_word(d, place, pair + 1) >> 8) * 0x1p-24;
    double radius = sqrt(-2 * log(u)), angle = 6.283185307179586 * v;
    x[i] = (float)(deviation * (radius * (i & 1 ? sin(angle) : cos(angle))));
  }
}
static uint16_t half_of(float f) {
  uint32_t bits;
  memcpy(&bits, &f, 4);
  if (f != f) return (uint16_t)(bits >> 16 | 0x40);
  uint32_t lost = bits & 0xFFFF, kept = bits >> 16;
  return (uint16_t)(kept + (lost > 0x8000 || (lost == 0x8000 && kept & 1)));
}
static size_t whole_depth(size_t depth) { return (depth + CK_BF16_DEPTH - 1) / CK_BF16_DEPTH * CK_BF16_DEPTH; }
static void bf16_rows(uint16_t *to, size_t to_stride, const float *x, size_t stride, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < whole_depth(columns); c++)
      to[r * to_stride + c] = c < columns ? half_of(x[r * stride + c]) : 0;
}
static void bf16_columns(uint16_t *to, size_t to_stride, const float *x, size_t stride, size_t rows, size_t columns) {
  for (size_t c = 0; c < columns; c++)
    for (size_t r = 0; r < whole_depth(rows); r++)
      to[c * to_stride + r] = r < rows ? half_of(x[r * stride + c]) : 0;
}
static void softmax_part(const float *x, size_t columns, float *largest, double *sum) {
  float before = *largest;
  for (size_t j = 0; j < columns; j++) *largest = x[j] > *largest ? x[j] : *largest;
  if (*largest > before) *sum *= exp((double)before - *largest);
  for (size_t j = 0; j < columns; j++) *sum += exp((double)x[j] - *largest);
}
static void softmax_scaled(float *x, size_t columns, float largest, float factor) {
  for (size_t j = 0; j < columns; j++) x[j] = (float)(exp((double)x[j] - largest) * factor);
}

// A packed strip is B itself, [depth × columns].
static size_t bf16_scratch(size_t depth) { return (depth * CK_STRIP + 1) / 2; }
static void bf16_pack(void *packed, const float *b, size_t stride, bool transposed, size_t depth, size_t columns) {
  uint16_t *to = packed;
  for (size_t k = 0; k < depth; k++)
    for (size_t n = 0; n < columns; n++) *to++ = half_of(transposed ? b[n * stride + k] : b[k * stride + n]);
}
static void bf16_packed(float *c, size_t c_stride, const uint16_t *a, size_t a_stride, size_t rows, const void *packed,
                        size_t depth, size_t columns, bool add_to) {
  const uint16_t *b = packed;
  for (size_t r = 0; r < rows; r++)
    for (size_t n = 0; n < columns; n++) {
      double sum = add_to ? c[r * c_stride + n] : 0;
      for (size_t k = 0; k < depth; k++) {
        float factors[2];
        from_bf16(factors, (uint16_t[]){a[r * a_stride + k], b[k * columns + n]}, 2);
        sum += (double)factors[0] * factors[1];
      }
      c[r * c_stride + n] = (float)sum;
    }
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static void lstm_forward(float *gates, const float *recurrent, const float *before, float *cell, float *state,
                         size_t width) {
  for (size_t j = 0; j < width; j++) {
    double gate[4];
    for (size_t k = 0; k < 4; k++) {
      double sum = (double)gates[k * width + j] + (recurrent ? recurrent[k * width + j] : 0);
      gate[k] = k == 2 ? tanh(sum) : sigmoid(sum);
      gates[k * width + j] = (float)gate[k];
    }
    double c = gate[0] * gate[2] + (before ? gate[1] * before[j] : 0);
    cell[j] = (float)c;
    state[j] = (float)(gate[3] * tanh(c));
  }
}
static void lstm_backward(float *gates, const float *cell, const float *before, const float *dstate,
                          const float *recurrent, float *dcell, size_t width) {
  for (size_t j = 0; j < width; j++) {
    double input = gates[j], forget = gates[width + j], candidate = gates[2 * width + j], output = gates[3 * width + j];
    double c = tanh(cell[j]), dh = (dstate ? dstate[j] : 0) + (double)(recurrent ? recurrent[j] : 0);
    double dc = dcell[j] + dh * output * (1 - c * c);
    gates[j] = (float)(dc * candidate * input * (1 - input));
    gates[width + j] = (float)(before ? dc * before[j] * forget * (1 - forget) : 0);
    gates[2 * width + j] = (float)(dc * input * (1 - candidate * candidate));
    gates[3 * width + j] = (float)(dh * c * output * (1 - output));
    dcell[j] = (float)(dc * forget);
  }
}

const ck_table ck_table_reference = {
    "reference", runs_here, add, scale, tanh_forward, tanh_backward, gelu_forward, gelu_backward, from_f16, from_bf16,
    all_finite, sum_of_squares, add_bias, bias_gelu, column_sums, bias_dropout_add, dropout, layernorm_forward,
    layernorm_backward, layernorm_parameters, softmax_part, softmax_scaled, NULL, NULL, NULL, NULL,
    NULL, bf16_scratch, bf16_rows, bf16_columns, bf16_pack, bf16_packed, attention_scratch, attention_forward, attention_backward, lstm_forward, lstm_backward, normals, multiply_each, adamw};
