"""What a mixture of Gaussians says of a corona: means, deviations, intervals of log T, log n and log norm."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr

Floats = NDArray[np.float64]
ENDS: Final = ((6.0, 7.0), (9.0, 11.0))  # log10 of kelvin, log10 of cm-3: what the network is trained in
NAMES: Final = ("log_t", "log_n", "log_fluence")  # the last: log10 of apec's norm times exposure in s
PARTS: Final = ("weight", "mean t", "mean n", "mean f", "l tt", "l nn", "l ff", "l nt", "l ft", "l fn")
COMPONENTS: Final = 4
NUMBERS: Final = len(PARTS)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
HALVINGS: Final = 40  # of an interval of 40 units: 4e-11


def marginals(mixture: NDArray[Any]) -> tuple[Floats, Floats, Floats]:
    """Return weights (n, K), means and deviations (n, K, 3) in the unconstrained space of mixtures (n, K, NUMBERS)."""
    m = np.asarray(mixture, np.float64)
    t, n = m[..., 4], np.hypot(m[..., 5], m[..., 7])
    f = np.sqrt(m[..., 6] ** 2 + m[..., 8] ** 2 + m[..., 9] ** 2)
    return m[..., 0] / m[..., 0].sum(axis=1, keepdims=True), m[..., 1:4], np.stack([t, n, f], axis=2)


def to_box(u: Floats, which: int) -> Floats:
    """Return a parameter from its unconstrained value, any shape."""
    if which >= len(ENDS):
        return u
    low, high = ENDS[which]
    return low + (high - low) * expit(u)


def from_box(value: Floats, which: int) -> Floats:
    """Return the unconstrained value of a parameter; at and beyond the ends of the box that of 1/1000 from them."""
    if which >= len(ENDS):
        return np.asarray(value, np.float64)
    low, high = ENDS[which]
    return np.asarray(logit(np.clip((value - low) / (high - low), 1e-3, 1 - 1e-3)))


def moments(mixture: NDArray[Any]) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of the parameters, (n, 3) each, of mixtures (n, K, NUMBERS)."""
    weight, mean, spread = marginals(mixture)
    first, second = np.empty((2, len(weight), 3))
    for which in range(3):
        x = to_box(mean[..., which, None] + spread[..., which, None] * NODES, which)
        p = weight[..., None] * WEIGHTS / WEIGHTS.sum()
        first[:, which] = (p * x).sum(axis=(1, 2))
        second[:, which] = (p * (x - first[:, None, None, which]) ** 2).sum(axis=(1, 2))
    return first, np.sqrt(second)


def in_box(mixture: NDArray[Any]) -> Floats:
    """Return each Gaussian as one in log T and log n with the same moments, (n, K, 6), of mixtures (n, K, NUMBERS).

    Columns: weight, mean and deviation of log T, those of log n, correlation.
    """
    m = np.asarray(mixture, np.float64)
    p = (WEIGHTS[:, None] * WEIGHTS / WEIGHTS.sum() ** 2).ravel()
    x, y = np.repeat(NODES, len(NODES)), np.tile(NODES, len(NODES))
    t = to_box(m[..., 1, None] + m[..., 4, None] * x, 0)
    n = to_box(m[..., 2, None] + m[..., 7, None] * x + m[..., 5, None] * y, 1)
    mean_t, mean_n = t @ p, n @ p
    off_t, off_n = t - mean_t[..., None], n - mean_n[..., None]
    sd_t, sd_n = np.sqrt(off_t**2 @ p), np.sqrt(off_n**2 @ p)
    correlation = (off_t * off_n) @ p / np.maximum(sd_t * sd_n, 1e-12)
    weight = m[..., 0] / m[..., 0].sum(axis=1, keepdims=True)
    return np.stack([weight, mean_t, sd_t, mean_n, sd_n, correlation], axis=-1)


def below(mixture: NDArray[Any], value: Floats, which: int) -> Floats:
    """Return the probability that a parameter lies below a value (n,), (n,)."""
    weight, mean, spread = marginals(mixture)
    at = from_box(np.asarray(value, np.float64), which)
    return np.asarray((weight * ndtr((at[:, None] - mean[..., which]) / spread[..., which])).sum(axis=1))


def quantile(mixture: NDArray[Any], p: Floats, which: int) -> Floats:
    """Return where the probability of a parameter reaches p (n,), (n,)."""
    weight, mean, spread = (x[..., which] if x.ndim == 3 else x for x in marginals(mixture))
    low, high = (mean - 8 * spread).min(axis=1), (mean + 8 * spread).max(axis=1)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        less = (weight * ndtr((middle[:, None] - mean) / spread)).sum(axis=1) < p
        low, high = np.where(less, middle, low), np.where(less, high, middle)
    return to_box(0.5 * (low + high), which)
