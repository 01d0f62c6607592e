"""Whether chains have converged: split R-hat and effective sample sizes of ranks, and the gates of a posterior.

Vehtari et al. 2021 (Bayesian Analysis 16, 667).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from config.errors import RaysieveError

Floats = NDArray[np.float64]
MOST_RHAT: Final = 1.01
LEAST_ESS: Final = 400.0


class UnconvergedError(RaysieveError):
    """A posterior failed its gates."""


@dataclass(frozen=True)
class Draws:
    """What a sampler returns; variables (chain, draw, k)."""

    sampler: str
    variables: Floats
    seconds: float
    ess: Floats  # (k,)
    rhat: Floats  # (k,)
    divergences: int
    stats: dict[str, NDArray[np.generic]]  # (chain, draw) each: sample_stats
    about: dict[str, float]

    def fault(self, names: list[str]) -> str | None:
        """Return which gate fails, in words; None if all hold."""
        faults = []
        for name, rhat, ess in zip(names, self.rhat, self.ess, strict=True):
            if not rhat <= MOST_RHAT:
                faults.append(f"R-hat of {name} is {rhat:.3f} (expected <= {MOST_RHAT})")
            if not ess >= LEAST_ESS:
                faults.append(f"ESS of {name} is {ess:.0f} (expected >= {LEAST_ESS:.0f})")
        if self.divergences:
            faults.append(f"{self.divergences} divergences (expected none)")
        return "; ".join(faults) or None


def rhat(chains: Floats) -> float:
    """Return the larger of split R-hat of ranks and of folded ranks of (chain, draw); NaN for fewer than 4 draws."""
    if chains.shape[1] < 4 or not np.all(np.isfinite(chains)) or np.ptp(chains) == 0:
        return float("nan")
    halves = _split(chains)
    folded = np.abs(halves - np.median(halves))
    return max(_ratio(_normal_ranks(halves)), _ratio(_normal_ranks(folded)))


def ess(chains: Floats) -> float:
    """Return the smallest of the effective sample sizes of (chain, draw): bulk and the tails at 5 and 95 %."""
    if chains.shape[1] < 8 or not np.all(np.isfinite(chains)) or np.ptp(chains) == 0:
        return float("nan")
    halves = _split(chains)
    low, high = np.quantile(halves, [0.05, 0.95])
    tails = [(halves <= low).astype(float), (halves <= high).astype(float)]
    return min(_size(_normal_ranks(halves)), *(_size(tail) for tail in tails))


def _split(chains: Floats) -> Floats:
    half = chains.shape[1] // 2
    return np.concatenate([chains[:, :half], chains[:, -half:]])


def _normal_ranks(chains: Floats) -> Floats:
    ranks = rankdata(chains, axis=None).reshape(chains.shape)
    scores: Floats = norm.ppf((ranks - 0.375) / (chains.size + 0.25))
    return scores


def _variances(chains: Floats) -> tuple[float, float]:
    """Return the mean variance within chains and the estimate from all."""
    n = chains.shape[1]
    within = float(chains.var(axis=1, ddof=1).mean())
    return within, within * (n - 1) / n + float(chains.mean(axis=1).var(ddof=1))


def _ratio(chains: Floats) -> float:
    within, total = _variances(chains)
    return float(np.sqrt(total / within)) if within > 0 else float("inf")


def _size(chains: Floats) -> float:
    """Return the effective sample size, autocorrelations summed as Geyer's initial monotone sequence."""
    m, n = chains.shape
    within, total = _variances(chains)
    if total <= 0:
        return float(m * n)
    centred = chains - chains.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(centred, 2 * n)) ** 2
    covariance = np.fft.irfft(power)[:, :n].mean(axis=0) / n
    rho = 1 - (within - covariance * n / (n - 1)) / total
    rho[0] = 1.0
    pairs = rho[: n - n % 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs <= 0)
    pairs = np.minimum.accumulate(pairs[: negative[0] if negative.size else None])
    tau = max(2 * pairs.sum() - 1, 1 / np.log10(m * n))
    return float(m * n / tau)
