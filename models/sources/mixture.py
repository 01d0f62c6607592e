"""Gaussian mixtures of few features, some of them missing, all with their own errors.

Bovy, Hogg & Roweis 2011 (Ann. Appl. Stat. 5, 1657), "extreme deconvolution": what is fitted is the density before the
measurement; the likelihood of a source is that density, convolved with the source's own errors.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.kernels import njit

Array = NDArray[np.float64]
STEPS, CLOSE = 60, 1e-3  # of the expectation maximisation; it ends when ln L of a source rises by less
LOG_2PI = float(np.log(2 * np.pi))


def _solve(row: Any, mean: Any, cov: Any, x: Any, variance: Any, seen: Any, chol: Any, rest: Any) -> Any:
    """Cholesky of T = cov + errors over what was seen of a row; fills chol and rest = L^-1 (x - mean); returns ln N.

    What was not seen has a row of the identity in L, and 0 in the rest: it says nothing.
    """
    wide = mean.size
    log = 0.0
    for i in range(wide):
        for j in range(i + 1):
            if not (seen[row, i] and seen[row, j]):
                chol[i, j] = 1.0 if i == j else 0.0
                continue
            total = cov[i, j] + (variance[row, i] if i == j else 0.0)
            for k in range(j):
                total -= chol[i, k] * chol[j, k]
            chol[i, j] = np.sqrt(max(total, 1e-12)) if i == j else total / chol[j, j]
        if not seen[row, i]:
            rest[i] = 0.0
            continue
        total = x[row, i] - mean[i]
        for k in range(i):
            total -= chol[i, k] * rest[k]
        rest[i] = total / chol[i, i]
        log -= 0.5 * (rest[i] * rest[i] + LOG_2PI) + np.log(chol[i, i])
    return log


_solve = njit(cache=True)(_solve)


def _log_normal(x: Any, variance: Any, seen: Any, mean: Any, cov: Any) -> Any:
    """Return ln N (n, K) of rows (n, D), marginal over what was not seen, of K components, convolved with errors."""
    chol, rest = np.zeros((mean.shape[1], mean.shape[1])), np.zeros(mean.shape[1])
    log = np.empty((len(x), len(mean)))
    for row in range(len(x)):
        for k in range(len(mean)):
            log[row, k] = _solve(row, mean[k], cov[k], x, variance, seen, chol, rest)
    return log


log_normal = njit(cache=True)(_log_normal)


def _step(x: Any, variance: Any, seen: Any, weight: Any, mean: Any, cov: Any, prior: Any, strength: Any) -> Any:
    """Do one step of Bovy et al. 2011, Eq. (16)-(19), in place; returns the mean ln L before it."""
    n, wide = x.shape
    number = len(weight)
    chol, rest = np.zeros((number, wide, wide)), np.zeros((number, wide))
    share, count = np.empty(number), np.zeros(number)
    first, second = np.zeros((number, wide)), np.zeros((number, wide, wide))
    gain, true = np.zeros((wide, wide)), np.zeros(wide)
    total = 0.0
    for row in range(n):
        highest = -np.inf
        for k in range(number):
            share[k] = np.log(weight[k]) + _solve(row, mean[k], cov[k], x, variance, seen, chol[k], rest[k])
            highest = max(highest, share[k])
        norm = 0.0
        for k in range(number):
            share[k] = np.exp(share[k] - highest)
            norm += share[k]
        total += highest + np.log(norm)
        for k in range(number):
            q = share[k] / norm
            if q < 1e-6:
                continue
            # gain = L^-1 cov over what was seen: the true values have mean + gain^T rest, cov - gain^T gain
            for j in range(wide):
                for i in range(wide):
                    value = cov[k, i, j] if seen[row, i] else 0.0
                    for m in range(i):
                        value -= chol[k, i, m] * gain[m, j]
                    gain[i, j] = value / chol[k, i, i]
            for j in range(wide):
                true[j] = 0.0
                for i in range(wide):
                    true[j] += gain[i, j] * rest[k, i]
            count[k] += q
            for i in range(wide):
                first[k, i] += q * true[i]
                for j in range(wide):
                    value = cov[k, i, j] + true[i] * true[j]
                    for m in range(wide):
                        value -= gain[m, i] * gain[m, j]
                    second[k, i, j] += q * value
    for k in range(number):
        for i in range(wide):
            first[k, i] /= count[k] + 1e-9
        for i in range(wide):
            for j in range(wide):
                scatter = second[k, i, j] - count[k] * first[k, i] * first[k, j]
                cov[k, i, j] = (scatter + strength * prior[i, j]) / (count[k] + strength)
        for i in range(wide):
            mean[k, i] += first[k, i]
        weight[k] = (count[k] + 1.0) / (n + number)
    return total / n


_step = njit(cache=True)(_step)


def fit(
    x: Array, error: Array, components: int, prior: Array, strength: float, seed: int = 0
) -> tuple[Array, Array, Array]:
    """Return weight (K,), mean (K, D) and covariance (K, D, D) of rows (n, D), n > 0; NaN: missing.

    prior: covariance (D, D) of a component of `strength` sources that each component is shrunk to (inverse Wishart).
    """
    seen = np.isfinite(x)
    filled, variance = np.where(seen, x, 0.0), np.where(seen, error, 0.0) ** 2
    number = max(1, min(components, len(x)))
    known = np.maximum(seen.sum(axis=0), 1)
    centre = filled.sum(axis=0) / known
    begin = np.where(seen, x, centre)
    mean = _spread(begin, number, np.random.default_rng(seed))
    spread = ((begin - centre) ** 2).sum(axis=0) / (known + 1)
    cov = np.tile((np.diag(spread) + prior * strength / len(x)) / number ** (2 / x.shape[1]), (number, 1, 1))
    weight = np.full(number, 1 / number)
    before = -np.inf
    for _ in range(STEPS):
        now = _step(filled, variance, seen, weight, mean, cov, prior, strength)
        if now - before < CLOSE:
            break
        before = now
    return weight, mean, cov


def _spread(rows: Array, number: int, rng: np.random.Generator) -> Array:
    """Return rows that lie apart (Arthur & Vassilvitskii 2007, k-means++)."""
    chosen = [rows[rng.integers(len(rows))]]
    for _ in range(number - 1):
        far = np.min([((rows - one) ** 2).sum(axis=1) for one in chosen], axis=0) + 1e-9
        chosen.append(rows[rng.choice(len(rows), p=far / far.sum())])
    return np.array(chosen)
