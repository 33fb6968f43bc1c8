#!/usr/bin/env python3
"""The polynomials of Sources/CKernels/Vector/functions.h.

    python3 Tests/Golden/fit_polynomials.py

needs mpmath and numpy. Prints the coefficients, lowest power first, as float literals of C, and the
largest relative error of the function that they serve with these very coefficients, in units of 2⁻²⁴,
when all else is exact. (Evaluating in float adds about one such unit more.)

    exp    exp(r) = 1 + r + r² P(r), |r| ≤ ln 2 / 2
    tail   Φ(−a) = exp(−a²/2) P(t) / (a + k), 0 ≤ a ≤ 14.5, with k = 3 and t = 1 − 2k / (a + k)
    tanh   tanh x = x + x³ P(x²), |x| ≤ 0.625
    log    log(1 + f) = f + f² P(f), √½ ≤ 1 + f ≤ √2
    turn   cos 2πr = 1 + r² P(r²), |r| ≤ ¼; the error is absolute

Each fit minimises the largest error: least squares on Chebyshev points, whose weights are raised where the
error is large until it is level (Lawson's method).
"""
import mpmath
import numpy

mpmath.mp.dps = 30


def points(low, high, count=1500):
    angles = (numpy.arange(count) + 0.5) * numpy.pi / count
    return (low + high) / 2 + (high - low) / 2 * numpy.cos(angles)


def fit(variable, target, size, degree):
    """Coefficients of P that level |P(variable) − target| · size."""
    powers = numpy.vander(variable, degree + 1, increasing=True)
    weights = numpy.ones_like(variable)
    best, level = None, numpy.inf
    for _ in range(400):
        root = numpy.sqrt(weights) * size
        coefficients = numpy.linalg.lstsq(powers * root[:, None], target * root, rcond=None)[0]
        error = numpy.abs(powers @ coefficients - target) * size
        if error.max() < level:
            best, level = coefficients, error.max()
        weights *= error / error.max() + 1e-3
        weights /= weights.max()
    return best.astype(numpy.float32)


def show(name, coefficients, error):
    print(f"{name}: error {error * 2**24:.3f}")
    print("  " + ", ".join(f"{c:.9g}f" for c in coefficients))


def valued(function, arguments):
    return numpy.array([float(function(mpmath.mpf(float(x)))) for x in arguments])


def fit_exp(degree=4):
    r = points(-0.3466, 0.3466)
    target = valued(lambda x: (mpmath.exp(x) - 1 - x) / x**2, r)
    c = fit(r, target, r**2 / numpy.exp(r), degree)
    value = 1 + r + r**2 * numpy.polynomial.polynomial.polyval(r, c.astype(float))
    show("exp", c, numpy.abs(value / numpy.exp(r) - 1).max())


def fit_tail(degree=8, k=3):
    t = points(-1, 1 - 2 * k / (14.5 + k))
    a = 2 * k / (1 - t) - k
    a[a < 0] = 0
    target = valued(
        lambda x: mpmath.exp(x**2 / 2) * mpmath.erfc(x / mpmath.sqrt(2)) / 2 * (x + k), a)
    c = fit(t, target, 1 / target, degree)
    value = numpy.polynomial.polynomial.polyval(t, c.astype(float))
    show("tail", c, numpy.abs(value / target - 1).max())


def fit_tanh(degree=4):
    x = points(0, 0.625)
    target = valued(lambda x: (mpmath.tanh(x) - x) / x**3, x)
    c = fit(x**2, target, x**3 / numpy.tanh(x), degree)
    value = x + x**3 * numpy.polynomial.polynomial.polyval(x**2, c.astype(float))
    show("tanh", c, numpy.abs(value / numpy.tanh(x) - 1).max())


def fit_log(degree=7):
    f = points(0.5**0.5 - 1, 2**0.5 - 1)
    target = valued(lambda x: (mpmath.log(1 + x) - x) / x**2, f)
    c = fit(f, target, f**2 / numpy.abs(numpy.log1p(f)), degree)
    value = f + f**2 * numpy.polynomial.polynomial.polyval(f, c.astype(float))
    show("log", c, numpy.abs(value / numpy.log1p(f) - 1).max())


def fit_turn(degree=4):
    r = points(0, 0.25)
    target = valued(lambda x: (mpmath.cos(2 * mpmath.pi * x) - 1) / x**2, r)
    c = fit(r**2, target, r**2, degree)
    value = 1 + r**2 * numpy.polynomial.polynomial.polyval(r**2, c.astype(float))
    show("turn", c, numpy.abs(value - numpy.cos(2 * numpy.pi * r)).max())


if __name__ == "__main__":
    fit_exp()
    fit_tail()
    fit_tanh()
    fit_log()
    fit_turn()
