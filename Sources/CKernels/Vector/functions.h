// Exponential, logarithm, cosine, normal distribution and hyperbolic tangent of a vector. NaN gives NaN.
// The polynomials are from Tests/Golden/fit_polynomials.py.

/// exp(x + low) for −110 ≤ x ≤ 100 and |low| far below |x|: within 2 ulp, subnormal results within one step.
INLINE vf exp_in_range(vf x, vf low) {
  const float shift = 0x1.8p23f;  // adding it rounds to an integer
  vf shifted = fma_(x, 0x1.715476p0f, shift);
  vf n = shifted - shift;
  vf r = fma_(n, -0x1.63p-1f, x);  // ln 2 in two parts, the first of 9 bits: this step is exact
  r = fma_(n, 0x1.bd0106p-13f, r) + low;
  vf square = r * r;
  vf p = fma_(square, 0.00138146023f, fma_(r, 0.00836871564f, 0.041668389f));
  p = fma_(square, p, fma_(r, 0.166665211f, 0.49999994f));
  p = fma_(square, p, r) + 1.0f;
  vi power = bits_of(shifted) - bits_of((vf)(shift)), half = power >> 1;
  return p * float_of((half + 127) << 23) * float_of((power - half + 127) << 23);
}
/// exp(x) for every x.
INLINE vf exp_of(vf x) {
  x = x < -110.0f ? (vf)(-110.0f) : x;  // 0 from here down
  x = x > 100.0f ? (vf)(100.0f) : x;    // infinity from here up
  return exp_in_range(x, (vf)(0.0f));
}

/// With a = |z|: `density` = exp(−a²/2), and `mills` such that Φ(−a) = density · mills.
typedef struct normal {
  vf density, mills;
} normal;

INLINE vf magnitude(vf x) { return float_of(bits_of(x) & 0x7FFFFFFF); }

INLINE normal normal_of(vf z) {
  vf a = magnitude(z);
  a = a > 14.5f ? (vf)(14.5f) : a;  // Φ(−14.5) is 0 in float
  vf half = -0.5f * a, exponent = half * a, rest = fma_(half, a, -exponent);
  vf q = 1.0f / (a + 3.0f), t = fma_(-6.0f, q, 1.0f), square = t * t;
  vf even = fma_(square, -0.000262989081f, 0.0010747317f), odd = fma_(square, -0.000897754217f, 0.00692000659f);
  even = fma_(square, even, -0.0104800928f);
  odd = fma_(square, odd, -0.0472552851f);
  even = fma_(square, even, 0.230019405f);
  odd = fma_(square, odd, -0.509332299f);
  even = fma_(square, even, 0.729083657f);
  return (normal){exp_in_range(exponent, rest), fma_(t, odd, even) * q};
}

/// z Φ(z), to a few ulp for every z: nothing cancels.
INLINE vf gelu(vf z) {
  normal at = normal_of(z);
  vf below = z * at.mills * at.density;  // in this order the factors are normal where the product is
  return z < 0.0f ? below : z * fma_(-at.density, at.mills, 1.0f);
}

/// The derivative of z Φ(z): Φ(z) + z φ(z).
INLINE vf gelu_slope(vf z) {
  normal at = normal_of(z);
  vf tail = at.density * fma_(magnitude(z), -0x1.988454p-2f, at.mills);
  return z < 0.0f ? tail : 1.0f - tail;
}

INLINE vf tanh_of(vf x) {
  vf a = magnitude(x), square = x * x;
  vf p = fma_(square, -0.00570498733f, 0.020639088f);
  p = fma_(square, p, -0.0537397154f);
  p = fma_(square, p, 0.133314416f);
  p = fma_(square, p, -0.333332807f);
  vf small = fma_(x * square, p, x);
  vf large = 1.0f - 2.0f / (exp_of(2.0f * a) + 1.0f);
  vf signed_ = float_of(bits_of(large) | (bits_of(x) & (int32_t)0x80000000));
  return a < 0.625f ? small : signed_;
}

/// log(x) for normal x > 0, to about 2 ulp.
INLINE vf log_of(vf x) {
  vi power = (bits_of(x) - 0x3F3504F3) >> 23;  // x is 2^power times a number from √½ to √2
  vf f = float_of(bits_of(x) - (power << 23)) - 1.0f, n = floats(power);
  vf p = fma_(f, 0.0873484313f, -0.143075213f);
  p = fma_(f, p, 0.149179742f);
  p = fma_(f, p, -0.165705085f);
  p = fma_(f, p, 0.199620724f);
  p = fma_(f, p, -0.250017554f);
  p = fma_(f, p, 0.333339512f);
  p = fma_(f, p, -0.499999911f);
  return fma_(n, 0x1.63p-1f, fma_(n, -0x1.bd0106p-13f, fma_(f * f, p, f)));
}

/// cos(2πx) for |x| ≤ 2, with an error of about one step of numbers near 1.
INLINE vf cos_of_turns(vf x) {
  const float shift = 0x1.8p23f;  // adding it rounds to an integer
  vf halves = fma_(x, 2.0f, shift);
  vf r = fma_(halves - shift, -0.5f, x), square = r * r;
  vf p = fma_(square, -25.0067978f, 60.1482048f);
  p = fma_(square, p, -85.4538269f);
  p = fma_(square, p, 64.9393539f);
  p = fma_(square, p, -19.7392082f);
  return float_of(bits_of(fma_(square, p, 1.0f)) ^ (bits_of(halves) << 31));
}
