"""What the data have said of a correction: what the posterior gained by parameter, direction, energy."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyse.crosscal.concordance import Prior
from analyse.crosscal.discrepancy import correct
from analyse.crosscal.infer import weigh
from analyse.crosscal.law import Curves
from analyse.crosscal.likelihood import Data, Density
from analyse.crosscal.table import Clusters
from stream.crosscal.modifiers import Family

Floats = NDArray[np.float64]
CELLS: Final = 64  # equal parts of the prior that a gain is counted in
LEAST_BITS: Final = 0.3  # a standard deviation smaller by a fifth: below it "not constrained"
ENERGIES_KEV: Final = np.geomspace(0.3, 10.0, 141)
LEVELS: Final = (0.025, 0.16, 0.5, 0.84, 0.975)
FOLDS: Final = 5
FOLD_DRAWS: Final = 500  # a fold needs means, not tails
AT_ONCE: Final = 256


def gain_bits(posterior: Floats, prior: Floats) -> Floats:
    """Return the information gained (k,), bits, of draws (n, k) over those of the prior: relative entropy of marginals.

    Counted in CELLS equal parts of the prior, less the bias of a count (Miller 1955), so at most 6 bits; not below 0.
    """
    out = np.empty(posterior.shape[1])
    for i in range(len(out)):
        edges = np.quantile(prior[:, i], np.linspace(0, 1, CELLS + 1)[1:-1])
        share = np.bincount(np.searchsorted(edges, posterior[:, i]), minlength=CELLS) / len(posterior)
        some = share > 0
        bits = (share[some] * np.log2(share[some] * CELLS)).sum() - (some.sum() - 1) / (2 * np.log(2) * len(posterior))
        out[i] = max(bits, 0.0)
    return out


@dataclass(frozen=True)
class Directions:
    """Of theta in units of the prior's standard deviation, from the best constrained to the least."""

    axes: Floats  # (p, p) rows, unit vectors by parameter
    narrower: Floats  # (p,) posterior sd over prior sd along each
    bits: Floats  # (p,) ln of it: what is gained along each


def directions(posterior: Floats, prior: Floats) -> Directions:
    """Return the eigen-directions of the posterior's covariance, of draws (n, p), in units of the prior's sd."""
    scale = prior.std(axis=0)
    root = np.linalg.cholesky(np.cov((prior / scale).T).reshape(len(scale), -1))
    inverse = np.linalg.inv(root)
    values, vectors = np.linalg.eigh(inverse @ np.cov((posterior / scale).T).reshape(len(scale), -1) @ inverse.T)
    axes = (inverse.T @ vectors).T  # what is measured: a^T theta / scale
    axes /= np.linalg.norm(axes, axis=1)[:, None]
    narrower = np.sqrt(np.maximum(values, 1e-12))
    return Directions(axes, narrower, np.maximum(-np.log2(narrower), 0.0))


def band(family: Family, theta: Floats, energy_kev: Floats = ENERGIES_KEV) -> Floats:
    """Return the quantiles LEVELS (5, n) of the factor of the area of draws (m, p) at energies (n,)."""
    factor = np.concatenate([family.factor(part, energy_kev) for part in np.array_split(theta, 1 + len(theta) // 512)])
    quantiles: Floats = np.quantile(factor, LEVELS, axis=0)
    return quantiles


def central(family: Family, theta: Floats) -> Floats:
    """Return of draws (m, p) the one (p,) whose ln factor is nearest to the mean of all, to stand for them."""
    theta = theta[:: 1 + len(theta) // 4096]
    ln = np.log(family.factor(theta, ENERGIES_KEV))
    chosen: Floats = theta[np.argmin(((ln - ln.mean(axis=0)) ** 2).sum(axis=1))]
    return chosen


def corrected(clusters: Clusters, density: Density, theta: Floats) -> tuple[Floats, Floats]:
    """Return T1' (N,) keV and its error, over draws of theta (m, p): statistical and of the correction."""
    parts = np.array_split(theta, 1 + len(theta) // AT_ONCE)
    curves = [Curves(density.law.ln_kt, density.law.ln_ratio(part)) for part in parts]
    each = [correct(clusters, curve) for curve in curves]
    kt, error = (np.concatenate([one[i] for one in each]) for i in (0, 1))
    spread = np.log(kt).std(axis=0)
    middle = np.exp(np.log(kt).mean(axis=0))
    return middle, middle * np.hypot(spread, (error / kt).mean(axis=0))


@dataclass(frozen=True)
class HeldOut:
    """Clusters judged by a correction that was learned without them; ln of temperatures."""

    deviation: Floats  # (N,) ln(T1' / T0)
    error: Floats  # (N,) of both temperatures and of the correction
    before: Floats  # (N,) ln(T1 / T0)
    kt_1: Floats  # (N,) T1' keV

    @property
    def chi2(self) -> float:
        """Sum of squared pulls."""
        return float(((self.deviation / self.error) ** 2).sum())

    def mean(self, values: Floats) -> tuple[float, float]:
        """Return the mean, weighted by the errors, of values (N,) and its error."""
        weights = self.error**-2
        return float((weights * values).sum() / weights.sum()), float(weights.sum() ** -0.5)


def hold_out(clusters: Clusters, density: Density, seed: int, folds: int = FOLDS) -> HeldOut | None:
    """Return all clusters, each judged by the others' posterior; None for fewer than two clusters a fold."""
    n = len(clusters)
    if n < 2 * folds:
        return None
    fold = np.random.default_rng(seed).permutation(n) % folds
    kt_1, error = np.empty(n), np.empty(n)
    half = not np.array_equal(density.data.ln_0, clusters.ln_0[0])
    for k in range(folds):
        inside = fold != k
        learned = Density(Data.of(clusters.take(inside), half), density.law, density.prior)
        theta = weigh(learned, seed + k, FOLD_DRAWS)[0][:, : density.prior.p]
        kt_1[~inside], error[~inside] = corrected(clusters.take(~inside), density, theta)
    (ln_0, sd_0), (ln_1, _) = clusters.ln_0, clusters.ln_1
    return HeldOut(np.log(kt_1) - ln_0, np.hypot(sd_0, error / kt_1), ln_1 - ln_0, kt_1)


def say(names: tuple[str, ...], bits: Floats, clusters: int, prior: Prior) -> list[str]:
    """Return in words what the data do not constrain."""
    notes = [f"{n}: not constrained ({b:.2f} bits gained)" for n, b in zip(names, bits, strict=True) if b < LEAST_BITS]
    if clusters < prior.p:
        notes.insert(
            0,
            f"{clusters} clusters for {prior.p} parameters: along {prior.p - clusters} of {prior.p} directions at "
            "least the posterior is the prior",
        )
    return notes
