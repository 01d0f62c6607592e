"""The law of a family for which no grid is affordable: simulated where the posterior is, cubic between.

Gauss-Newton on simulated and fitted spectra finds the most probable theta and its covariance; thetas drawn from that
are simulated, and polynomials of the third degree go through them. Their own error, on thetas that they have not seen,
is told.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyse.crosscal.concordance import Prior, Shrinkage
from analyse.crosscal.infer import sample
from analyse.crosscal.law import Curves
from analyse.crosscal.likelihood import Data, Density
from analyse.crosscal.table import Clusters
from sim.crosscal.templates import Templates
from stream.crosscal.modifiers import Family, middle_kev
from stream.errors import ConfigError

Floats = NDArray[np.float64]
DEGREE: Final = 3
PER_TERM: Final = 3.0  # simulated thetas for each term of the polynomial
ROUNDS: Final = 3  # of simulating: about the Gauss-Newton maximum, then where the posterior is
UNSEEN: Final = 32  # thetas that only judge
WIDER: Final = 1.25  # than the posterior: where a round simulates
FIRST_WIDER: Final = 1.6  # than the covariance at the maximum
RIDGE: Final = 1e-8
STEP: Final = 0.01  # of the box, for slopes
MOST_STEPS: Final = 20
CLOSE: Final = 0.01  # of what is minimised: a step that gains less is the last
STEPS: Final = 120  # of each walker between rounds
NOTHING: Final = np.empty(0)


def terms(unit: Floats) -> Floats:
    """Return all products (n, m) of up to DEGREE of the coordinates (n, p), 1 first."""
    p = unit.shape[1]
    columns = [np.ones(len(unit))]
    for degree in range(1, DEGREE + 1):
        columns += [np.prod(unit[:, list(c)], axis=1) for c in combinations_with_replacement(range(p), degree)]
    return np.stack(columns, axis=1)


@dataclass(frozen=True)
class FittedLaw:
    """Polynomials through simulated thetas, known as far as they reach; beyond, theta is drawn back to there."""

    family: Family
    low: Floats
    high: Floats
    ln_kt: Floats
    middle: Floats  # (p,) of the thetas
    root: Floats  # (p, p) whitens: unit = (theta - middle) @ root
    reach: float  # of the farthest
    weights: Floats  # (m, 3 K) ln_ratio, ln norm, nH by term
    error: float  # median of |ln_ratio| - simulated, over unseen thetas and temperatures
    worst: float  # its 99th percentile
    simulated: int
    fit_kev: tuple[float, float]

    @property
    def source(self) -> str:
        """In words."""
        return f"cubic through {self.simulated} simulated thetas, off by {100 * self.error:.2g} % of T (median)"

    def inside(self, theta: Floats) -> NDArray[np.bool_]:
        """Return which theta (n, p) are no farther than those that were simulated."""
        return np.linalg.norm((theta - self.middle) @ self.root, axis=1) <= self.reach

    def begin(self, count: int, seed: int) -> tuple[Floats, Floats] | None:
        """Return theta (m, p) about those that were simulated, and ln of their density, up to a constant."""
        unit = np.random.default_rng(seed).standard_normal((count, len(self.middle)))
        theta = self.middle + unit @ np.linalg.inv(self.root)
        good = np.all((theta >= self.low) & (theta <= self.high), axis=1)
        return theta[good], -0.5 * (unit[good] ** 2).sum(axis=1)

    def _all(self, theta: Floats) -> Floats:
        unit = (theta - self.middle) @ self.root
        far = np.linalg.norm(unit, axis=1, keepdims=True)
        values = terms(unit * np.minimum(1.0, self.reach / np.maximum(far, 1e-9))) @ self.weights
        return values.reshape(len(theta), 3, -1).transpose(1, 0, 2)

    def ln_ratio(self, theta: Floats) -> Floats:
        """Return ln(kt_fit / kT) of theta (n, p) at the nodes, (n, K)."""
        return np.ascontiguousarray(self._all(theta)[0])

    def others(self, theta: Floats) -> Floats | None:
        """Return ln(norm_fit / norm) and nH_fit - nH, (2, n, K)."""
        return np.ascontiguousarray(self._all(theta)[1:])


def simulate(templates: Templates, family: Family, theta: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return ln_ratio, ln norm and nH less its truth (n, 3, K) of thetas (n, p), and which converged everywhere."""
    factors = family.factor(theta, middle_kev(templates.response))
    each = [templates.recover(factor, NOTHING) for factor in factors]
    kt, norm, nh = (np.array([getattr(one, key)[:, 0] for one in each]) for key in ("kt_kev", "norm", "nh"))
    setting = templates.setting
    values = np.stack([np.log(kt / templates.kt_kev), np.log(norm / setting.norm), nh - setting.nh_1e22], axis=1)
    return values, np.array([one.converged[:, 0].all() for one in each])


def locate(data: Data, prior: Prior, values_at: Callable[[Floats], Floats], nodes: Floats) -> tuple[Floats, Floats]:
    """Return the most probable theta (p,) and its covariance, by damped Gauss-Newton on simulations.

    values_at: theta (n, p) -> (n, 3, K) at nodes of ln kT. Without a shrinkage the box acts as a Gaussian of its width.
    """
    wide = prior.high - prior.low
    p = len(wide)

    def residuals(theta: Floats) -> Floats:
        values = values_at(theta)
        bias, slope = Curves(nodes, values[:, 0]).at(np.broadcast_to(data.ln_0, (len(theta), len(data.ln_0))))
        out = [(data.ln_1 - data.ln_0 - bias) / np.hypot(data.sd_1, (1 + slope) * data.sd_0)]
        for row, which in enumerate(data.others):
            expected, _ = Curves(nodes, values[:, 1 + which]).at(np.broadcast_to(data.ln_0, bias.shape))
            out.append((data.given[row] - expected) / data.errors[row])
        if prior.shrinkage is not None:
            out.append(prior.shrinkage.pulls(prior.family, theta))
        else:
            out.append((theta - 0.5 * (prior.low + prior.high)) / (wide / np.sqrt(12)))
        return np.concatenate(out, axis=1)

    at, damping = 0.5 * (prior.low + prior.high), 1e-3
    for _ in range(MOST_STEPS):
        steps = np.concatenate([np.zeros((1, p)), STEP * np.diag(wide)])
        found = residuals(at + steps)
        slopes = ((found[1:] - found[0]) / (STEP * wide)[:, None]).T  # (r, p)
        fisher, height = slopes.T @ slopes, found[0] @ found[0]
        gained = 0.0
        while damping < 1e6:
            step = -np.linalg.solve(fisher + damping * np.diag(np.diag(fisher)), slopes.T @ found[0])
            tried = np.clip(at + step, prior.low, prior.high)
            lower = residuals(tried[None])[0]
            gained = float(height - lower @ lower)
            if gained > 0:
                at, damping = tried, damping / 5
                break
            damping *= 5
        if gained < CLOSE:
            break
    return at, np.linalg.inv(fisher)


def fit_law(family: Family, ln_kt: Floats, theta: Floats, values: Floats, seed: int = 0) -> FittedLaw:
    """Return the law of simulated thetas (n, p), values (n, 3, K); some are kept apart to judge it."""
    flat = values.reshape(len(values), -1)
    order = np.random.default_rng(seed).permutation(len(theta))
    judge, used = order[:UNSEEN], order[UNSEEN:]
    middle = theta[used].mean(axis=0)
    root = np.linalg.inv(np.linalg.cholesky(np.cov(theta[used].T).reshape(len(middle), -1))).T
    unit = (theta - middle) @ root
    columns = terms(unit)
    left = columns[used].T @ columns[used] + RIDGE * len(used) * np.eye(columns.shape[1])
    weights = np.asarray(np.linalg.solve(left, columns[used].T @ flat[used]), np.float64)
    off = np.abs(columns[judge] @ weights - flat[judge])[:, : values.shape[2]]
    reach = float(np.linalg.norm(unit[used], axis=1).max())
    fits = np.exp(values[:, 0] + ln_kt)
    told = (float(np.median(off)), float(np.quantile(off, 0.99)), len(theta), (float(fits.min()), float(fits.max())))
    return FittedLaw(family, family.low, family.high, ln_kt, middle, root, reach, weights, *told)


def localise(
    clusters: Clusters, templates: Templates, family: Family, shrinkage: Shrinkage | None, seed: int = 0
) -> FittedLaw:
    """Return the law where the posterior of these clusters is. Raises ConfigError when too few simulations converge."""
    many = int(PER_TERM * terms(np.zeros((1, len(family.parameters)))).shape[1]) + UNSEEN
    rng, ln_kt = np.random.default_rng(seed), np.log(templates.kt_kev)
    data = Data.of(clusters, half_variance=shrinkage is not None)
    log = np.array([p.log for p in family.parameters])
    prior = Prior(family, family.names, family.low, family.high, log, shrinkage)
    at, covariance = locate(data, prior, lambda theta: simulate(templates, family, theta)[0], ln_kt)
    root = np.linalg.cholesky(covariance)
    theta = at + FIRST_WIDER * rng.standard_normal((many, len(at))) @ root.T
    for turn in range(ROUNDS):
        theta = np.clip(theta, prior.low, prior.high)
        values, good = simulate(templates, family, theta)
        if good.sum() < many / 2:
            raise ConfigError(
                f"{good.sum()} of {many} simulated corrections of family {family.name} give temperatures within the "
                "plasma table: expected half at least; a smaller --tau, or fewer hot clusters"
            )
        law = fit_law(family, ln_kt, theta[good], values[good], seed)
        if turn + 1 < ROUNDS:
            draws = sample(Density(data, law, prior), seed, STEPS).variables.reshape(-1, len(at))
            chosen = draws[rng.choice(len(draws), many, replace=len(draws) < many)]
            theta = chosen.mean(axis=0) + WIDER * (chosen - chosen.mean(axis=0))
            theta += 1e-4 * (prior.high - prior.low) * rng.standard_normal(theta.shape)  # some were chosen twice
    return law
