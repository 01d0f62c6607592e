"""Marginal likelihoods by importance sampling: a Student t fitted to draws of the posterior, then to its own weights.

As in adaptive and population Monte Carlo (Cappe et al. 2008, Stat. Comput. 18, 447), with the defensive mixture of
Hesterberg 1995 (Technometrics 37, 185).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import gammaln, logsumexp

from stream.spectra.grid import Floats

FREEDOMS: Final = (5.0, 20.0, 100.0)  # degrees of freedom that are tried
SCALES: Final = (1.0, 1.2)  # of the covariance
PILOT: Final = 1000  # draws of a try
SIZE: Final = 8000  # draws of the figure
WIDE: Final = (0.1, 3.0)  # share of the draws from a wider one, and how much wider its covariance is
ROUNDS: Final = 2  # of refitting

Density = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Evidence:
    """ln of the marginal likelihood, its standard error, and the effective size of the sample it rests on."""

    ln_z: float
    error: float
    ess: float
    size: int
    freedom: float

    @property
    def sound(self) -> bool:
        """Whether the sample is large enough for its error to be believed: 100 effective draws, 1 % of all."""
        return self.ess >= max(100.0, 0.01 * self.size)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A multivariate Student t with a share of a wider one."""

    mean: Floats  # (k,)
    root: Floats  # (k, k) Cholesky factor of its scale
    freedom: float

    @classmethod
    def of(cls, draws: Floats, weights: Floats, freedom: float, scale: float) -> "Proposal":
        """Return the one with mean and covariance of weighted draws (n, k); scale: times the covariance."""
        mean = weights @ draws
        away = draws - mean
        size = 1 / float((weights**2).sum())
        covariance = (away * weights[:, None]).T @ away
        shrink = min(1.0, draws.shape[1] / size)  # few draws tell the variances, not how variables go together
        covariance = (1 - shrink) * covariance + shrink * np.diag(np.diag(covariance)) + 1e-12 * np.eye(len(mean))
        return cls(mean, np.linalg.cholesky(covariance * scale), freedom)

    def draw(self, rng: np.random.Generator, size: int) -> Floats:
        """Return points (size, k)."""
        z = rng.standard_normal((size, len(self.mean)))
        z *= np.sqrt(self.freedom / rng.chisquare(self.freedom, size))[:, None]
        z[: int(WIDE[0] * size)] *= np.sqrt(WIDE[1])
        return self.mean + z @ self.root.T

    def ln_density(self, points: Floats) -> Floats:
        """Return ln of its density at (n, k), (n,)."""
        k, nu = len(self.mean), self.freedom
        away = np.linalg.solve(self.root, (points - self.mean).T)
        far = (away**2).sum(axis=0)
        norm = gammaln((nu + k) / 2) - gammaln(nu / 2) - k / 2 * np.log(nu * np.pi) - np.log(np.diag(self.root)).sum()
        narrow = norm - (nu + k) / 2 * np.log1p(far / nu)
        wide = norm - k / 2 * np.log(WIDE[1]) - (nu + k) / 2 * np.log1p(far / (nu * WIDE[1]))
        return np.logaddexp(np.log1p(-WIDE[0]) + narrow, np.log(WIDE[0]) + wide)


def evidence(density: Density, draws: Floats, seed: int, size: int = SIZE) -> Evidence:
    """Return the marginal likelihood of ln density at (n, k), (n,), prior and likelihood with all their constants.

    draws: of the posterior (n, k), from which the proposal begins; the figure does not rest on them. Raises ValueError
    for fewer than 2 k draws.
    """
    if len(draws) < 2 * draws.shape[1]:
        raise ValueError(f"evidence: expected {2 * draws.shape[1]} draws or more of the posterior, found {len(draws)}")
    rng, even = np.random.default_rng(seed), np.full(len(draws), 1 / len(draws))
    tries = [Proposal.of(draws, even, nu, scale) for nu in FREEDOMS for scale in SCALES]
    weighed = [_weigh(density, one, rng, PILOT) for one in tries]
    best = int(np.argmax([_ess(ln_w) for _, ln_w in weighed]))
    chosen, (points, ln_w) = tries[best], weighed[best]
    for _ in range(ROUNDS):
        if _ess(ln_w) < 2 * draws.shape[1]:
            break  # too few to fit to
        scale = SCALES[best % len(SCALES)]
        other = Proposal.of(points, np.exp(ln_w - logsumexp(ln_w)), chosen.freedom, scale)
        again = _weigh(density, other, rng, PILOT)
        if _ess(again[1]) <= _ess(ln_w):
            break
        chosen, (points, ln_w) = other, again
    _, ln_w = _weigh(density, chosen, rng, size)
    ln_z = float(logsumexp(ln_w) - np.log(size))
    if not np.isfinite(ln_z):
        return Evidence(-np.inf, float("inf"), 0.0, size, chosen.freedom)
    spread = np.exp(ln_w - ln_z)
    return Evidence(ln_z, float(spread.std(ddof=1) / np.sqrt(size)), _ess(ln_w), size, chosen.freedom)


def _weigh(density: Density, proposal: Proposal, rng: np.random.Generator, size: int) -> tuple[Floats, Floats]:
    points = proposal.draw(rng, size)
    ln_w = density(points) - proposal.ln_density(points)
    return points, np.where(np.isfinite(ln_w), ln_w, -np.inf)


def _ess(ln_w: Floats) -> float:
    """Return the effective size of a weighted sample; 0 where no weight is above 0."""
    if not np.any(np.isfinite(ln_w)):
        return 0.0
    return float(np.exp(2 * logsumexp(ln_w) - logsumexp(2 * ln_w)))
