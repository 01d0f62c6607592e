"""Poisson statistics of a counts spectrum and what a Gauss-Newton step needs of them, in one pass over the bins.

C-stat is Cash (1979, ApJ 228, 939) with the data's own likelihood taken off (Castor); W-stat has the off counts' rate
profiled out (Wachter, Leach & Kellogg 1979, ApJ 230, 274). The residual of a bin is the signed root of its share.
"""

import math

from numba import njit

LEAST = 1e-30  # counts: keeps a model that predicts nothing finite


@njit(cache=True, nogil=True)
def cstat_of(count, model):
    """Return the share of one bin in C-stat."""
    model = max(model, LEAST)
    if count <= 0.0:
        return 2.0 * model
    x = (model - count) / count
    if abs(x) < 1e-3:  # the difference of near equals, by its series
        return count * x * x * (1.0 - x * (2.0 / 3.0 - 0.5 * x))
    return 2.0 * (model - count + count * math.log(count / model))


@njit(cache=True, nogil=True)
def off_rate(count, off, model, alpha):
    """Return the off counts expected in a bin, at the largest likelihood of both, for this model of the source."""
    if alpha <= 0.0:
        return off
    a = alpha * (1.0 + alpha)
    b = (1.0 + alpha) * model - alpha * (count + off)
    root = math.sqrt(b * b + 4.0 * a * off * model)
    if b > 0.0:
        return 2.0 * off * model / (b + root)
    return (root - b) / (2.0 * a)


@njit(cache=True, nogil=True)
def wstat_of(count, off, model, alpha):
    """Return the share of one bin in W-stat; alpha: what the on region holds of one off count."""
    model = max(model, LEAST)
    rate = off_rate(count, off, model, alpha)
    return cstat_of(count, model + alpha * rate) + (cstat_of(off, rate) if rate > 0.0 or off > 0.0 else 0.0)


@njit(cache=True, nogil=True)
def statistic_sum(counts, off, alpha, model):
    """Return W-stat of all bins, (m,) float64 each, or C-stat where off has no bins."""
    total = 0.0
    for i in range(counts.size):
        if off.size:
            total += wstat_of(counts[i], off[i], model[i], alpha[i])
        else:
            total += cstat_of(counts[i], model[i])
    return total


@njit(cache=True, nogil=True)
def normal_equations(counts, off, alpha, model, slopes, gradient, fisher):
    """Return the statistic; write its gradient and the expected information, both halved.

    counts, off, alpha, model (m,); off of no bins: C-stat. slopes (p, m): derivatives of the model. gradient (p,);
    fisher (p, p): the expected second derivatives, whose inverse is the covariance. All float64.
    """
    p = slopes.shape[0]
    gradient[:] = 0.0
    fisher[:] = 0.0
    total = 0.0
    for i in range(counts.size):
        m, c = max(model[i], LEAST), counts[i]
        if off.size:
            rate = off_rate(c, off[i], m, alpha[i])
            on = max(m + alpha[i] * rate, LEAST)
            total += wstat_of(c, off[i], m, alpha[i])
            information = 1.0 / (on + alpha[i] * alpha[i] * rate)
        else:
            on = m
            total += cstat_of(c, m)
            information = 1.0 / m
        pull = 1.0 - c / on
        for j in range(p):
            s = slopes[j, i]
            gradient[j] += pull * s
            for k in range(j + 1):
                fisher[j, k] += information * s * slopes[k, i]
    for j in range(p):
        for k in range(j):
            fisher[k, j] = fisher[j, k]
    return total
