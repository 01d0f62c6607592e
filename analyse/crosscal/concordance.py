"""Priors of theta: flat in the family's box, or shrunk to no correction as log-normal areas are (Chen et al. 2019).

Chen, Meng, Wang et al. 2019 (JASA; arXiv 1711.09429): ln of an effective area is normal about the nominal one with a
standard deviation tau, its mean low by half the variance so that the mean area is the nominal one. Here areas of bands
are independent, and a band's ln area is ln phi_theta(E), averaged over it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from analyse.crosscal.law import Law
from stream.crosscal.modifiers import Family
from stream.errors import ConfigError

Floats = NDArray[np.float64]
EDGES_KEV: Final = (0.3, 0.5, 0.8, 1.2, 1.8, 2.7, 4.0, 6.0, 10.0)  # bands of about half an octave; tau holds for each
IN_BAND: Final = 5  # energies that a band's mean is taken over
SCATTER: Final = "scatter"


@dataclass(frozen=True)
class Shrinkage:
    """Standard deviation tau of ln area in each band."""

    tau: float
    edges_kev: tuple[float, ...] = EDGES_KEV

    def __post_init__(self) -> None:
        if not self.tau > 0:
            raise ConfigError(f"--tau {self.tau:g}: expected above 0")

    def pulls(self, family: Family, theta: Floats) -> Floats:
        """Return (n, bands) of theta (n, p): ln area of each band from its mean, in units of tau."""
        ln_area = np.log(family.factor(theta, self._energies)).reshape(len(theta), -1, IN_BAND).mean(axis=2)
        return (ln_area + 0.5 * self.tau**2) / self.tau

    def ln(self, family: Family, theta: Floats) -> Floats:
        """Return ln density (n,) of theta (n, p), up to a constant."""
        return -0.5 * (self.pulls(family, theta) ** 2).sum(axis=1)

    @cached_property
    def _energies(self) -> Floats:
        edges = np.log(self.edges_kev)
        inner = (np.arange(IN_BAND) + 0.5) / IN_BAND
        return np.exp(edges[:-1, None] + np.diff(edges)[:, None] * inner).ravel()


@dataclass(frozen=True)
class Prior:
    """Flat within low to high (k,), times the shrinkage if any; a scatter, where it is free, is the last variable."""

    family: Family
    names: tuple[str, ...]
    low: Floats
    high: Floats
    log: NDArray[np.bool_]  # flat in the logarithm
    shrinkage: Shrinkage | None = None

    @classmethod
    def of(cls, law: Law, shrinkage: Shrinkage | None = None, most_scatter: float = 0.0) -> "Prior":
        """Return the prior of a law's box; most_scatter above 0: that of ln T1 is free from 0 to it."""
        names = tuple(p.name for p in law.family.parameters)
        low, high = np.asarray(law.low, float), np.asarray(law.high, float)
        log = np.array([bool(p.log) for p in law.family.parameters])
        if most_scatter > 0:
            names, low, high = (*names, SCATTER), np.append(low, 0.0), np.append(high, most_scatter)
            log = np.append(log, False)
        return cls(law.family, names, low, high, log, shrinkage)

    @property
    def p(self) -> int:
        """How many variables are theta."""
        return len(self.family.parameters)

    def inside(self, variables: Floats) -> NDArray[np.bool_]:
        """Return which of (n, k) the box holds."""
        return np.all((variables >= self.low) & (variables <= self.high), axis=1)

    def ln(self, variables: Floats) -> Floats:
        """Return ln density (n,) up to a constant; -inf beyond the box."""
        out, inside = np.full(len(variables), -np.inf), self.inside(variables)
        out[inside] = -np.log(variables[inside][:, self.log]).sum(axis=1)
        if self.shrinkage is not None and inside.any():
            out[inside] = self.shrinkage.ln(self.family, variables[inside, : self.p])
        return out

    def cover(self, count: int, seed: int) -> Floats:
        """Return points (count, k) that fill the box as its prior does (Sobol); count a power of 2."""
        points = qmc.Sobol(len(self.low), seed=seed).random_base2(int(np.log2(count)))
        ends = [np.where(self.log, np.log(np.where(self.log, end, 1.0)), end) for end in (self.low, self.high)]
        inner = ends[0] + (ends[1] - ends[0]) * points
        return np.clip(np.where(self.log, np.exp(np.where(self.log, inner, 0.0)), inner), self.low, self.high)

    def stated(self) -> str:
        """Return it in words."""
        ends = zip(self.names, self.low, self.high, self.log, strict=True)
        box = ", ".join(f"{name} {a:g} to {b:g}{' (log-flat)' if log else ''}" for name, a, b, log in ends)
        if self.shrinkage is None:
            return f"flat in {box}"
        return f"log-normal areas, sd {self.shrinkage.tau:g} in {len(self.shrinkage.edges_kev) - 1} bands, within {box}"
