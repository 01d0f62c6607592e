"""What the fits of two telescopes say of the bias of temperatures, by temperature: a posterior of the whole curve.

The curve is ln(kT of the fit / true kT) against ln kT. Its prior is Gaussian with the mean and the covariance that the
curves of a family have over its box, in principal components of unit variance; so its posterior is exact and needs no
start, also where nothing tells one theta from another (no modification: any energy will do).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2 as chi2_law
from scipy.stats import qmc

from stream.crosscal.modifiers import Family
from stream.crosscal.pairs import Pairs
from stream.spectra.grid import Floats

Law = Callable[[Floats, Floats], Floats]
"""theta (n, p) and true kT (n,) keV -> ln(kT of the fit / true kT), (n,)."""
NODES: Final = 48  # even in ln kT: between them the curve is a straight line
DRAWN: Final = 1024  # theta that the prior is taken from
LEFT_OUT: Final = 1e-5  # of the variance of the prior
TURNS: Final = 4  # the slope of the curve decides how much an error of the trusted kT counts
LEARNED: Final = 0.5  # of the prior's variance of a component: so much must be gone for it to count in a test


@dataclass(frozen=True, slots=True, eq=False)
class Information:
    """What some fits say of k parameters, to first order: chi2 = rest - 2 score . c + c . matrix . c."""

    score: Floats  # (k,)
    matrix: Floats  # (k, k)
    rest: float


def inform(off: Floats, by: Floats, slope: Floats, pairs: Pairs) -> Information:
    """Return what fits say, the true kT of each measurement of the trusted telescope marginalised.

    off: (n,) ln kT of the fit less ln of the trusted kT and less the curve at c = 0; by: (n, k) derivatives of the
    curve by c; slope: (n,) of the curve by ln kT. A true kT that is higher by d than the trusted one moves a fit by
    (1 + slope) d.
    """
    weight = pairs.biased_sd**-2
    moved = (1 + slope) * weight
    count = int(pairs.of.max(initial=-1)) + 1
    sd = np.zeros(count)
    sd[pairs.of] = pairs.trusted_sd
    shared = sd**2 / (1 + sd**2 * np.bincount(pairs.of, moved * (1 + slope), count))  # (S,) 0 for an exact kT
    both = np.concatenate([by, off[:, None]], axis=1)
    sums = np.zeros((count, both.shape[1]))
    np.add.at(sums, pairs.of, moved[:, None] * both)
    full = (both * weight[:, None]).T @ both - (sums * shared[:, None]).T @ sums
    return Information(full[:-1, -1], full[:-1, :-1], float(full[-1, -1]))


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The posterior of a curve: c (k,) of the components, their covariance, and how well it describes its pairs."""

    c: Floats
    covariance: Floats  # (k, k)
    chi2: float  # of the fits, at c
    dof: float  # fits, less what was learned from them

    @property
    def p(self) -> float:
        """Chance of so large a chi2; 1 for no pairs."""
        return float(chi2_law.sf(self.chi2, self.dof)) if self.dof > 0 else 1.0


class Curves:
    """The curves of a family, as an emulator or a grid has them."""

    def __init__(self, of: Family, law: Law, kt_kev: tuple[float, float]) -> None:
        """kt_kev: range of true kT."""
        self.nodes = np.linspace(np.log(kt_kev[0]), np.log(kt_kev[1]), NODES)
        theta = drawn(of, DRAWN)
        kt = np.tile(np.exp(self.nodes), len(theta))
        values = law(np.repeat(theta, NODES, axis=0), kt).reshape(len(theta), NODES)
        self.mean = values.mean(axis=0)
        _, size, right = np.linalg.svd(values - self.mean, full_matrices=False)
        variance = size**2 / len(theta)
        left = 1 - np.cumsum(variance) / max(variance.sum(), 1e-300)
        k = int(np.argmax(left < LEFT_OUT)) + 1
        self.components = np.sqrt(variance[:k])[:, None] * right[:k]  # (k, NODES)

    def at(self, ln_kt: Floats) -> tuple[Floats, Floats]:
        """Return mean (n,) and components (n, k) at ln kT (n,); the ends hold beyond them."""
        mean = np.interp(ln_kt, self.nodes, self.mean)
        return mean, np.stack([np.interp(ln_kt, self.nodes, one) for one in self.components], axis=1)

    def slope(self, c: Floats, ln_kt: Floats) -> Floats:
        """Return the slope by ln kT (n,) of the curve with the components c."""
        return np.interp(ln_kt, self.nodes, np.gradient(self.mean + c @ self.components, self.nodes))

    def fit(self, pairs: Pairs) -> Curve:
        """Return the posterior; that of no fits is the prior."""
        k = len(self.components)
        c: Floats = np.zeros(k)
        mean_by = self.at(pairs.trusted)
        off = pairs.biased - pairs.trusted - mean_by[0]
        covariance: Floats = np.eye(k)
        told = Information(np.zeros(k), np.zeros((k, k)), 0.0)
        for _ in range(TURNS if len(pairs) else 0):
            told = inform(off, mean_by[1], self.slope(c, pairs.trusted), pairs)
            covariance = np.asarray(np.linalg.inv(np.eye(k) + told.matrix), np.float64)
            c = covariance @ told.score
        chi2 = told.rest - 2 * float(told.score @ c) + float(c @ told.matrix @ c)
        return Curve(c, covariance, chi2, len(pairs) - float(np.trace(covariance @ told.matrix)))

    def predict(self, curve: Curve, kt_kev: Floats) -> tuple[Floats, Floats]:
        """Return ln(kT of the fit / true kT) (n,) and its error (n,) at true kT (n,)."""
        mean, by = self.at(np.log(kt_kev))
        return mean + by @ curve.c, np.sqrt(np.einsum("nk,kl,nl->n", by, curve.covariance, by))

    def compare(self, new: Curve, old: Curve, kt_kev: Floats) -> "Drift":
        """Return how far a curve is off another one of other fits, if both are draws of the same prior."""
        delta = new.c - old.c
        product = new.covariance @ old.covariance  # both were drawn to the same prior: those errors are shared
        covariance = new.covariance + old.covariance - product - product.T
        _, by = self.at(np.log(kt_kev))
        error = np.sqrt(np.maximum(np.einsum("nk,kl,nl->n", by, covariance, by), 0.0))
        left, axes = np.linalg.eigh((new.covariance + old.covariance) / 2)
        known = axes[:, left < LEARNED]
        within = known.T @ covariance @ known
        moved = known.T @ delta
        chi2 = float(moved @ np.linalg.solve(within, moved)) if known.size else 0.0
        return Drift(by @ delta, error, chi2, known.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """What changed between two sets of pairs."""

    ln_ratio: Floats  # (n,) of the fitted temperature, at the temperatures asked for
    error: Floats  # (n,)
    chi2: float  # of no change, in the components that both sets know
    dof: int  # how many those are; 0: too few fits to tell

    @property
    def p(self) -> float:
        """Chance of so large a chi2 if nothing changed; 1 where nothing can be told."""
        return float(chi2_law.sf(self.chi2, self.dof)) if self.dof else 1.0


def drawn(of: Family, n: int) -> Floats:
    """Return theta (n, p) evenly spread in the box of a family; n: a power of two."""
    return outward(of, 2 * qmc.Sobol(len(of.parameters), seed=0).random(n) - 1)


def outward(of: Family, u: Floats) -> Floats:
    """Return theta (..., p) of places u in the box, -1..1; in the logarithm of what grids step in by its logarithm."""
    low, high, logs = _ends(of)
    seen = low + (u + 1) / 2 * (high - low)
    return np.where(logs, np.exp(np.where(logs, seen, 0.0)), seen)


def inward(of: Family, theta: Floats) -> Floats:
    """Return the places u (..., p) of theta in the box."""
    low, high, logs = _ends(of)
    seen = np.where(logs, np.log(np.where(logs, theta, 1.0)), theta)
    return 2 * (seen - low) / (high - low) - 1


def stretch(of: Family, theta: Floats) -> Floats:
    """Return d theta / d u (..., p)."""
    low, high, logs = _ends(of)
    return np.where(logs, theta, 1.0) * (high - low) / 2


def _ends(of: Family) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    logs = np.array([p.log for p in of.parameters])
    low, high = np.where(logs, np.log(np.where(logs, of.low, 1.0)), of.low), of.high
    return low, np.where(logs, np.log(np.where(logs, high, 1.0)), high), logs
