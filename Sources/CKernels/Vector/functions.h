// exp, erf and tanh in fp32. Coefficients: Tests/Golden/fit_polynomials.py.

static const float exp_coefficients[] = {0.5f, 0.166666672f, 0.0416664667f, 0.00833331048f, 0.00139336416f, 0.000198909809f};
static const float erf_small[] = {0.128379166f, -0.376126379f, 0.112837911f, -0.0268661324f, 0.00522378366f,
                                  -0.000854263781f, 0.000119565622f, -1.39093399e-05f, 1.0589381e-06f};
static const float erf_large[] = {7.54153967f, 5.25837374f, 0.942231834f, 0.0113019496f, -0.00227315142f,
                                  0.000444516452f, -8.21721478e-05f, 1.3711543e-05f, -1.61225512e-06f, 4.45389645e-08f};
static const float tanh_small[] = {-0.333333343f, 0.133333042f, -0.0539592579f, 0.0217689183f, -0.00834394526f, 0.00229274482f};

INLINE vf polynomial(vf x, const float *coefficients, int degree) {
  vf sum = spread(coefficients[degree]);
  for (int i = degree - 1; i >= 0; i--) sum = fma_(sum, x, spread(coefficients[i]));
  return sum;
}

/// eˣ, within 2 ulp where it is normal; 0 below −104, ∞ above 88.8, NaN of NaN.
INLINE vf exponential(vf x) {
  vf bounded = pick(x > spread(89.0f), spread(89.0f), pick(x < spread(-104.0f), spread(-104.0f), x));
  const vf magic = spread(12582912.0f);  // 1.5 · 2²³: adding it rounds to a whole number
  vf shifted = fma_(bounded, spread(1.44269504f), magic);
  vf whole = shifted - magic;
  vf r = fma_(whole, spread(-0.693145752f), bounded);
  r = fma_(whole, spread(-1.42860677e-6f), r);
  vf p = fma_(polynomial(r, exp_coefficients, 5), r * r, r) + 1.0f;
  // 2ⁿ in two factors, so that both are normal numbers.
  vi n = __builtin_convertvector(pick(x == x, whole, (vf){0}), vi);
  vi half = n >> 1;
  vf a = (vf)((half + 127) << 23), b = (vf)((n - half + 127) << 23);
  return pick(x == x, p * a * b, x);
}

/// The error function, within 3 ulp.
INLINE vf error_function(vf x) {
  vf size = absolute(x), square = x * x;
  vf inner = fma_(polynomial(square, erf_small, 8), x, x);
  vf bounded = pick(size > spread(4.0f), spread(4.0f), size);
  vf outer = 1.0f - exponential(-polynomial(bounded - 2.45f, erf_large, 9));
  outer = (vf)((vi)outer | ((vi)x & INT32_MIN));
  return pick(size < spread(1.0f), inner, pick(x == x, outer, x));
}

/// The hyperbolic tangent, within 3 ulp.
INLINE vf hyperbolic_tangent(vf x) {
  vf size = absolute(x), square = x * x;
  vf inner = fma_(polynomial(square, tanh_small, 5) * square, x, x);
  vf e = exponential(-2.0f * size);
  vf outer = (1.0f - e) / (1.0f + e);
  outer = (vf)((vi)outer | ((vi)x & INT32_MIN));
  return pick(size < spread(0.625f), inner, pick(x == x, outer, x));
}

/// Φ, the distribution function of the standard normal distribution.
INLINE vf normal_distribution(vf z) { return fma_(error_function(z * 0.707106781f), spread(0.5f), spread(0.5f)); }
