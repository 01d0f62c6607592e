"""Likelihoods of pairs of temperatures, the true one integrated out."""

import numpy as np
from numba import njit


@njit(cache=True)
def value_and_slope(nodes, pieces, x):
    """Return a cubic spline (K - 1, 4; highest power first) through nodes (K,) at x, and its slope; straight beyond."""
    last = len(nodes) - 1
    inside = min(max(x, nodes[0]), nodes[last])
    low, high = 0, last
    while high - low > 1:
        middle = (low + high) // 2
        if nodes[middle] <= inside:
            low = middle
        else:
            high = middle
    a, b, c, d = pieces[low, 0], pieces[low, 1], pieces[low, 2], pieces[low, 3]
    u = inside - nodes[low]
    slope = (3 * a * u + 2 * b) * u + c
    return ((a * u + b) * u + c) * u + d + slope * (x - inside), slope


@njit(cache=True)
def integrate_latent(nodes, ratio, others, ln_0, sd_0, ln_1, sd_1, given, errors, scatter, z, weights, steps, out):
    """Write ln of the likelihood (n, N) of N pairs (ln T0, ln T1) for n curves of the bias of ln T1 by ln T.

    ratio: (n, K - 1, 4) pieces of the bias; others: (e, n, K - 1, 4) of what else both telescopes differ in, given
    and errors (e, N) what was measured of it; e may be 0. scatter (n,) adds to sd_1 in quadrature. z, weights: Gauss-
    Hermite nodes about the joint maximum of the temperatures, found in so many Gauss-Newton steps. The prior of ln T
    is flat.
    """
    root, constant = np.sqrt(2.0), np.log(2 * np.pi)
    for i in range(ratio.shape[0]):
        for j in range(len(ln_0)):
            s_0 = sd_0[j]
            s_1 = np.sqrt(sd_1[j] ** 2 + scatter[i] ** 2)
            x, width = ln_0[j], s_0
            for _ in range(steps):
                bias, slope = value_and_slope(nodes, ratio[i], x)
                rise = 1 + slope
                width = 1 / np.sqrt(1 / s_0**2 + (rise / s_1) ** 2)
                x += width**2 * ((ln_0[j] - x) / s_0**2 + rise * (ln_1[j] - x - bias) / s_1**2)
            top, total = -np.inf, 0.0
            for q in range(len(z)):
                at = x + root * width * z[q]
                bias, slope = value_and_slope(nodes, ratio[i], at)
                ln = -0.5 * ((ln_0[j] - at) / s_0) ** 2 - 0.5 * ((ln_1[j] - at - bias) / s_1) ** 2 + z[q] ** 2
                for e in range(others.shape[0]):
                    bias, slope = value_and_slope(nodes, others[e, i], at)
                    ln -= 0.5 * ((given[e, j] - bias) / errors[e, j]) ** 2
                if ln > top:
                    total = total * np.exp(top - ln) + weights[q]
                    top = ln
                else:
                    total += weights[q] * np.exp(ln - top)
            out[i, j] = top + np.log(total * root * width / (s_0 * s_1)) - constant
            for e in range(others.shape[0]):
                out[i, j] -= np.log(errors[e, j]) + 0.5 * constant
