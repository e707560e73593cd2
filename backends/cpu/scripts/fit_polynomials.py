#!/usr/bin/env python3
"""Fits the polynomials of backends/cpu/src/emit/math.

Weighted minimax by Lawson's iteration in extended precision, then the coefficients are rounded to f32 one by one
from the lowest, each time with the rest fitted anew. Prints the Rust constants and, for each, the largest error of
the polynomial relative to the function it serves (one half ulp of f32 is at least 2^-25 = 3e-8). Rounding during the
evaluation comes on top; the sum of both is measured by the tests of the emitter.

    python3 -m venv venv && venv/bin/pip install numpy mpmath && venv/bin/python fit_polynomials.py
"""

import mpmath
import numpy as np

L = np.longdouble
LN2 = L("0.693147180559945309417232121458176568")


def chebyshev(lo, hi, n):
    t = np.cos(np.pi * (np.arange(n, dtype=L) + L(0.5)) / n)
    return (L(lo) + L(hi)) / 2 + (L(hi) - L(lo)) / 2 * t


def lawson(x, y, weight, powers, rounds=60):
    """Coefficients c that make max |weight (y - sum c_i x^powers_i)| small."""
    basis = np.stack([(x ** p) * weight for p in powers], 1).astype(np.float64)
    target = (y * weight).astype(np.float64)
    scale = np.abs(basis).max(0)
    w = np.ones(len(x))
    best, best_error = None, np.inf
    for _ in range(rounds):
        root = np.sqrt(w)[:, None]
        c, *_ = np.linalg.lstsq(basis / scale * root, target * root[:, 0], rcond=None)
        error = np.abs(target - basis / scale @ c)
        if error.max() < best_error:
            best, best_error = c / scale, error.max()
        w = w * (error + 1e-30)
        w /= w.sum()
    return best, best_error


def fit(name, f, lo, hi, powers, weight, points=4000):
    """Fits sum c_i x^powers_i to f on [lo, hi]; `weight(x)` is 1 / the size of one unit of error."""
    x = chebyshev(lo, hi, points)
    y, w = f(x), weight(x)
    done, left = [], list(powers)
    while left:
        rest = y - sum((L(c) * x ** p for c, p in zip(done, powers)), L(0))
        c, error = lawson(x, rest, w, left)
        done.append(np.float32(c[0]))
        left.pop(0)
    rest = y - sum((L(c) * x ** p for c, p in zip(done, powers)), L(0))
    print(f"// {name}: powers {powers[0]}..={powers[-1]} on [{float(lo):.4g}, {float(hi):.4g}], "
          f"relative error {float(np.abs(rest * w).max()):.2e}")
    print(f"const {name}: [f32; {len(done)}] = [{', '.join(literal(c) for c in done)}];")
    return done


def literal(c):
    """The shortest text that reads back as this f32."""
    if abs(c) >= 1e-4:
        return np.format_float_positional(c, unique=True)
    return np.format_float_scientific(c, unique=True, exp_digits=1)


def exp_families():
    half = LN2 / 2
    fit("EXP", lambda x: (np.exp(x) - 1 - x) / x**2, -half * L(1.01), half * L(1.01), range(5),
        lambda x: x**2 / np.exp(x))
    fit("EXP2_ROUND", lambda x: (np.exp(x * LN2) - 1) / x, -0.501, 0.501, range(6),
        lambda x: np.abs(x) / np.exp(x * LN2))
    fit("EXP2_ROUND_FAST", lambda x: (np.exp(x * LN2) - 1) / x, -0.501, 0.501, range(4),
        lambda x: np.abs(x) / np.exp(x * LN2))
    fit("EXP2_FLOOR", lambda x: (np.exp(x * LN2) - 1) / x, 0, 1, range(6), lambda x: np.abs(x) / np.exp(x * LN2))
    fit("EXP2_FLOOR_FAST", lambda x: (np.exp(x * LN2) - 1) / x, 0, 1, range(4), lambda x: np.abs(x) / np.exp(x * LN2))


def log_families():
    lo, hi = np.sqrt(L(0.5)) - 1, np.sqrt(L(2)) - 1
    fit("LOG", lambda f: (np.log1p(f) - f + f**2 / 2) / f**3, lo, hi, range(7),
        lambda f: np.abs(f**3 / np.log1p(f)))
    # log2(1 + f) = f / ln 2 + f^2 Q(f)
    fit("LOG2", lambda f: (np.log1p(f) - f) / LN2 / f**2, lo, hi, range(8),
        lambda f: np.abs(f**2 / (np.log1p(f) / LN2)))


def trig_families():
    q = np.arctan(L(1)) * L(1.001)
    fit("SIN", lambda z: (np.sin(np.sqrt(z)) / np.sqrt(z) - 1) / z, 1e-9, q**2, range(4),
        lambda z: z / (np.sin(np.sqrt(z)) / np.sqrt(z)))
    fit("COS", lambda z: (np.cos(np.sqrt(z)) - 1) / z, 1e-9, q**2, range(4), lambda z: z / np.cos(np.sqrt(z)))


def two_over_pi():
    """2/pi * 2^e modulo 4 for the e of quadrant.rs, in pieces of 29 bits and a rest."""
    with mpmath.workprec(400):
        for e in (25, 52, 79):
            rest, pieces = mpmath.fmod(2 / mpmath.pi * mpmath.mpf(2) ** e, 4), []
            for bits in (27, 56, 85):
                piece = mpmath.nint(mpmath.ldexp(rest, bits)) / mpmath.mpf(2) ** bits
                pieces.append(float(piece))
                rest -= piece
            print(f"// 2/pi * 2^{e} mod 4: {pieces + [float(rest)]}")


def tanh_family():
    fit("TANH", lambda z: (np.tanh(np.sqrt(z)) / np.sqrt(z) - 1) / z, 1e-9, L(0.63)**2, range(5),
        lambda z: z / (np.tanh(np.sqrt(z)) / np.sqrt(z)))


def precise(f):
    """A function of mpmath on arrays of long doubles."""
    def at(v):
        with mpmath.workdps(30):
            return L(mpmath.nstr(f(mpmath.mpf(str(v))), 25))
    return np.vectorize(at, otypes=[L])


def erf_families():
    erf, log_erfc = precise(mpmath.erf), precise(lambda v: mpmath.log(mpmath.erfc(v)))
    fit("ERF", lambda z: erf(np.sqrt(z)) / np.sqrt(z) - 1, 1e-9, L(0.93)**2, range(6),
        lambda z: 1 / (erf(np.sqrt(z)) / np.sqrt(z)), points=1200)
    # log2 erfc(a) = a P(a); one unit of error is that of 1 - 2^(...)
    fit("ERF_FAR", lambda a: log_erfc(a) / LN2 / a, 0.915, 4.0, range(7),
        lambda a: a * LN2 * np.exp(log_erfc(a)) / erf(a), points=1200)


for family in (exp_families, log_families, trig_families, two_over_pi, tanh_family, erf_families):
    family()
