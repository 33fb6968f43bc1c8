// Kernels over arrays: an element takes the same way wherever it stands.

static void add(float *y, const float *x, size_t count) {
  for (size_t i = 0; i < count; i += WIDTH)
    store_some(y + i, load_some(y + i, count - i) + load_some(x + i, count - i), count - i);
}
static void scale(float *y, float factor, size_t count) {
  for (size_t i = 0; i < count; i += WIDTH) store_some(y + i, load_some(y + i, count - i) * factor, count - i);
}
static void tanh_forward(float *y, const float *x, size_t count) {
  for (size_t i = 0; i < count; i += WIDTH) store_some(y + i, hyperbolic_tangent(load_some(x + i, count - i)), count - i);
}
static void tanh_backward(float *dx, const float *dy, const float *y, size_t count) {
  for (size_t i = 0; i < count; i += WIDTH) {
    vf value = load_some(y + i, count - i);
    store_some(dx + i, load_some(dy + i, count - i) * fma_(-value, value, spread(1)), count - i);
  }
}
INLINE vf gelu(vf z) { return z * normal_distribution(z); }
static void gelu_forward(float *y, const float *z, size_t count) {
  for (size_t i = 0; i < count; i += WIDTH) store_some(y + i, gelu(load_some(z + i, count - i)), count - i);
}
static void gelu_backward(float *dz, const float *dy, const float *z, size_t count) {
  for (size_t i = 0; i < count; i += WIDTH) {
    vf x = load_some(z + i, count - i);
    vf density = exponential(x * x * -0.5f) * 0.398942280f;
    store_some(dz + i, load_some(dy + i, count - i) * fma_(x, density, normal_distribution(x)), count - i);
  }
}
static void from_f16(float *y, const uint16_t *x, size_t count) {
  for (size_t i = 0; i < count; i += WIDTH) {
    size_t part = count - i < WIDTH ? count - i : WIDTH;
    vh bits = {0};
    memcpy(&bits, x + i, 2 * part);
    vu wide = __builtin_convertvector(bits, vu), sign = (wide & 0x8000) << 16, rest = wide & 0x7FFF;
    vf normal = (vf)((rest << 13) + (112u << 23)), special = (vf)((rest << 13) | 0x7F800000u);
    vf small = __builtin_convertvector((vi)rest, vf) * 0x1p-24f;
    vf value = pick((vi)(rest < 0x400), small, pick((vi)(rest >= 0x7C00), special, normal));
    store_some(y + i, (vf)((vu)value | sign), count - i);
  }
}
static void from_bf16(float *y, const uint16_t *x, size_t count) {
  for (size_t i = 0; i < count; i += WIDTH) {
    size_t part = count - i < WIDTH ? count - i : WIDTH;
    vh bits = {0};
    memcpy(&bits, x + i, 2 * part);
    store_some(y + i, (vf)(__builtin_convertvector(bits, vu) << 16), count - i);
  }
}
static bool all_finite(const float *x, size_t count) {
  vi bad = {0};
  for (size_t i = 0; i < count; i += WIDTH) bad |= (vi)(((vu)load_some(x + i, count - i) & 0x7F800000u) == 0x7F800000u);
  for (int i = 0; i < WIDTH; i++) if (bad[i]) return false;
  return true;
}
static double sum_of_squares(const float *x, size_t count) {
  vd sum = {0};
  for (size_t i = 0; i < count; i += WIDTH) {
    vd wide = __builtin_convertvector(load_some(x + i, count - i), vd);
    sum = __builtin_elementwise_fma(wide, wide, sum);
  }
  return total_double(sum);
}
static void adamw(float *p, const float *g, float *m, float *v, size_t count, const ck_adamw *with) {
  const vf keep = spread((float)(1 - with->lr * with->decay)), first = spread((float)(1 - with->beta1));
  const vf decay = spread((float)with->beta2), second = spread((float)(1 - with->beta2));
  const vf step = spread((float)(with->lr / with->bias1)), root = spread((float)__builtin_sqrt(with->bias2));
  const vf eps = spread((float)with->eps), gradient_scale = spread(with->grad_scale);
  for (size_t i = 0; i < count; i += WIDTH) {
    vf gradient = load_some(g + i, count - i) * gradient_scale;
    vf moment = load_some(m + i, count - i), square = load_some(v + i, count - i);
    moment = moment + first * (gradient - moment);
    square = square * decay + second * gradient * gradient;
    vf update = step * moment / (__builtin_elementwise_sqrt(square) / root + eps);
    store_some(m + i, moment, count - i);
    store_some(v + i, square, count - i);
    store_some(p + i, load_some(p + i, count - i) * keep - update, count - i);
  }
}
