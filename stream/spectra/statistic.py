"""Goodness: what C-stat is expected to be, and the chi-squared of the seed."""

from functools import cache
from typing import Final

import numpy as np
from scipy.special import gammaln

from stream.kernels.cstat import off_rate, statistic_sum
from stream.spectra.grid import Floats

_LOWEST, _HIGHEST = 1e-8, 300.0  # counts in a bin: the table's ends; beyond, series
LEAST_EXPECTED: Final = 5.0  # counts in a bin of chi-squared
NONE: Final = np.empty(0)


def expected_cstat(model: Floats) -> tuple[float, float]:
    """Return the mean and the standard deviation of C-stat for counts drawn from the model, (m,) counts.

    After Kaastra 2017 (A&A 605, A51), by the sums that his formulae approximate. The parameters are held: a fit lowers
    the mean by about one each.
    """
    mean, variance = _moments(np.maximum(model, 0.0))
    return float(mean.sum()), float(np.sqrt(variance.sum()))


def expected_wstat(
    counts: tuple[Floats, Floats], alpha: Floats, model: Floats, draws: int = 100
) -> tuple[float, float]:
    """Return the same of W-stat, by simulation at the model and the off rate that the (on, off) counts give."""
    on, off = counts
    rate = np.array([off_rate(*bin_) for bin_ in zip(on, off, model, alpha, strict=True)])
    rng = np.random.default_rng(0)
    drawn_on, drawn_off = (rng.poisson(mean, (draws, len(on))).astype(float) for mean in (model + alpha * rate, rate))
    values = [statistic_sum(a, b, alpha, model) for a, b in zip(drawn_on, drawn_off, strict=True)]
    return float(np.mean(values)), float(np.std(values))


def chi2_per_dof(on: Floats, off: Floats, alpha: Floats, model: Floats, free: int) -> float:
    """Return Pearson's chi-squared per degree of freedom, bins joined until the model expects 5 counts in each.

    Background (off, alpha; none: empty) is subtracted and its variance added. NaN without degrees of freedom.
    """
    background = alpha * off if off.size else np.zeros_like(on)
    variance = model + (background * (1 + alpha) if off.size else 0.0)
    total = np.cumsum(model + background)
    bin_of = np.minimum((total / LEAST_EXPECTED).astype(int), max(int(total[-1] / LEAST_EXPECTED) - 1, 0))
    _, begins = np.unique(bin_of, return_index=True)
    misses, spread = (np.add.reduceat(v, begins) for v in (on - background - model, variance))
    dof = len(begins) - free
    return float(np.sum(misses**2 / np.maximum(spread, 1e-30)) / dof) if dof > 0 else float("nan")


def _moments(model: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance (m,) of the share of each bin in C-stat."""
    x, mean, variance = _table()
    at = np.log(np.clip(model, _LOWEST, _HIGHEST))
    many = np.maximum(model, _HIGHEST)
    near = np.exp(np.interp(at, x, mean)), np.exp(np.interp(at, x, variance))
    far = 1 + 1 / (6 * many) + 1 / (6 * many**2), 2 + 2 / (3 * many)
    none = model < _LOWEST
    each = [np.where(none, 0.0, np.where(model > _HIGHEST, f, n)) for f, n in zip(far, near, strict=True)]
    return each[0], each[1]


@cache
def _table() -> tuple[Floats, Floats, Floats]:
    """Return log counts, log mean, log variance of a bin's share."""
    model = np.geomspace(_LOWEST, _HIGHEST, 500)[:, None]
    k = np.arange(int(_HIGHEST + 12 * np.sqrt(_HIGHEST) + 30))[None, :]
    chance = np.exp(k * np.log(model) - model - gammaln(k + 1))
    share = 2 * (model - k + k * np.log(np.maximum(k, 1) / model))
    mean = (chance * share).sum(axis=1)
    variance = (chance * share**2).sum(axis=1) - mean**2
    return np.log(model[:, 0]), np.log(mean), np.log(variance)
