#!/usr/bin/env python3
"""Coefficients of the polynomials in Sources/CKernels/Vector/functions.h, fitted here and printed as C.

    python3 Tests/Golden/fit_polynomials.py

needs mpmath. Each is the near-minimax polynomial through Chebyshev nodes, computed with 50 digits and rounded to
fp32 coefficient by coefficient.

    exp   (exp(r) − 1 − r) / r² on |r| ≤ ln 2 / 2
    erf   (erf(x) / x − 1) in x² on |x| ≤ 1, and −log(erfc(x)) in x − 2.45 on 0.9 ≤ x ≤ 4
    tanh  (tanh(x) / x − 1) / x² in x² on |x| ≤ 0.625
"""
from mpmath import cos, erf, erfc, exp, log, matrix, mp, mpf, pi, lu_solve, tanh

mp.dps = 50


def fit(function, low, high, degree):
    """The polynomial of a degree through the Chebyshev nodes of an interval, lowest power first."""
    count = degree + 1
    nodes = [(low + high) / 2 + (high - low) / 2 * cos(pi * (2 * k + 1) / (2 * count)) for k in range(count)]
    system = matrix(count, count)
    for i, node in enumerate(nodes):
        for j in range(count):
            system[i, j] = node ** j
    return list(lu_solve(system, matrix([function(node) for node in nodes])))


def show(name, coefficients):
    print(f"static const float {name}[] = {{" + ", ".join(f"{float(c):.9g}f" for c in coefficients) + "};")


def near(function, x):
    """The function, and its limit at 0."""
    return function(x if abs(x) > mpf(10) ** -12 else mpf(10) ** -12)


half = log(2) / 2
show("exp_coefficients", fit(lambda r: near(lambda x: (exp(x) - 1 - x) / x**2, r), -half, half, 5))
show("erf_small", fit(lambda s: near(lambda y: erf(y**mpf(0.5)) / y**mpf(0.5) - 1, s), mpf(0), mpf(1), 8))
show("erf_large", fit(lambda t: -log(erfc(t + mpf("2.45"))), mpf("-1.55"), mpf("1.55"), 9))
show("tanh_small", fit(lambda s: near(lambda y: (tanh(y**mpf(0.5)) / y**mpf(0.5) - 1) / y, s), mpf(0), mpf("0.625") ** 2, 5))
