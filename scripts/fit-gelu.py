#!/usr/bin/env python3
"""The polynomial of ck_normal_tail: ln Phi(-a) over 0 <= a <= 6, so that x Phi(x) = x (1 - e^q) or x e^q has the least largest error.

Weighted least squares whose weights grow where the error is large (Lawson 1961). Needs numpy and scipy.
"""
import numpy as np
from scipy.special import log_ndtr, ndtr

END, DEGREE = 6.0, 8
a = (np.cos(np.linspace(0, np.pi, 4001)) + 1) * END / 2
wanted, measure = log_ndtr(-a), a * ndtr(-a) + 1e-7
weights, powers = measure.copy(), np.vander(a / END, DEGREE + 1, increasing=True)
for _ in range(400):
    fitted = np.linalg.lstsq(powers * weights[:, None], wanted * weights, rcond=None)[0]
    error = np.abs((powers @ fitted - wanted) * measure)
    weights *= (1 + 2 * error / error.max()) ** 0.3
    weights /= weights.mean() / measure.mean()
coefficients = (fitted / END ** np.arange(DEGREE + 1)).astype(np.float32)

x = np.linspace(-12, 12, 2000001).astype(np.float32)
q = np.full_like(x, coefficients[-1])
for coefficient in coefficients[-2::-1]:
    q = (q * np.abs(x) + coefficient).astype(np.float32)
tail = np.exp(np.maximum(q, -87)).astype(np.float32)
found, exact = x * np.where(x > 0, 1 - tail, tail), x.astype(np.float64) * ndtr(x.astype(np.float64))
print("coefficients, lowest first:", [f"{value:.9g}" for value in coefficients])
print("largest error / max(1, |x|):", (np.abs(found - exact) / np.maximum(1, np.abs(x))).max())
