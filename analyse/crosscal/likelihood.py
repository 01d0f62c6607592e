"""The likelihood of theta: true temperatures are latent and integrated out, errors are log-normal."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.polynomial.hermite import hermgauss
from numpy.typing import NDArray

from analyse.crosscal.concordance import Prior
from analyse.crosscal.law import Curves, Law
from analyse.crosscal.table import OTHERS, Clusters
from stream.kernels.latent import integrate_latent

Floats = NDArray[np.float64]
ORDER: Final = 7  # Gauss-Hermite nodes about the joint maximum: 1e-6 of ln L for errors of 10 %
STEPS: Final = 3  # Gauss-Newton steps to it
TWO_PI: Final = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Data:
    """Logarithms of both temperatures of N clusters, and what else the law may tell, as the likelihood takes them."""

    ln_0: Floats  # (N,)
    sd_0: Floats
    ln_1: Floats
    sd_1: Floats
    others: tuple[int, ...]  # of OTHERS
    given: Floats  # (e, N)
    errors: Floats

    @classmethod
    def of(cls, clusters: Clusters, half_variance: bool = False) -> "Data":
        """Return the data; half_variance: temperatures are means, not medians, of their log-normals (Chen et al. 2019).

        Their ln is then low by half its variance.
        """
        (ln_0, sd_0), (ln_1, sd_1) = clusters.ln_0, clusters.ln_1
        if half_variance:
            ln_0, ln_1 = ln_0 + 0.5 * sd_0**2, ln_1 + 0.5 * sd_1**2
        which = tuple(OTHERS.index(name) for name in clusters.others)
        return cls(
            ln_0, sd_0, ln_1, sd_1, which, *(np.ascontiguousarray(v) for v in (clusters.given, clusters.given_err))
        )


def marginal(data: Data, ratio: Curves, others: tuple[Curves, ...] = (), scatter: Floats | float = 0.0) -> Floats:
    """Return ln likelihood (n, N) of n curves, the latent ln kT integrated over a flat prior; scatter (n,) of ln T1.

    others: the curves of what `data.given` holds besides temperatures; none: they are not used.
    """
    z, weights = hermgauss(ORDER)
    spread = np.ascontiguousarray(np.broadcast_to(np.asarray(scatter, float), len(ratio.values)))
    more = np.stack([c.pieces for c in others]) if others else np.empty((0, 0, 0, 0))
    given = (data.given, data.errors) if others else (np.empty((0, 0)),) * 2
    out = np.empty((len(ratio.values), len(data.ln_0)))
    pairs = (data.ln_0, data.sd_0, data.ln_1, data.sd_1)
    integrate_latent(ratio.nodes, ratio.pieces, more, *pairs, *given, spread, z, weights, STEPS, out)
    return out


def first_order(data: Data, ratio: Curves, scatter: Floats | float = 0.0) -> tuple[Floats, Floats]:
    """Return ln likelihood (n, N) and pulls (n, N) of the temperatures by the tangent at T0: no integral."""
    x = np.broadcast_to(data.ln_0, (len(ratio.values), len(data.ln_0)))
    bias, slope = ratio.at(x)
    spread = np.square(np.broadcast_to(scatter, len(ratio.values)))[:, None]
    variance = data.sd_1**2 + spread + ((1 + slope) * data.sd_0) ** 2
    miss = data.ln_1 - x - bias
    return -0.5 * (miss**2 / variance + np.log(variance) + TWO_PI), miss / np.sqrt(variance)


@dataclass(frozen=True)
class Density:
    """ln of the posterior density of variables (n, k): theta, and the intrinsic scatter of ln T1 where it is free."""

    data: Data
    law: Law
    prior: Prior

    def curves(self, theta: Floats) -> tuple[Curves, tuple[Curves, ...]]:
        """Return the curves of ln_ratio, and of what else the data have and the law tells."""
        ratio = Curves(self.law.ln_kt, self.law.ln_ratio(theta))
        values = self.law.others(theta) if self.data.others else None
        if values is None:
            return ratio, ()
        return ratio, tuple(Curves(self.law.ln_kt, values[i]) for i in self.data.others)

    def each(self, variables: Floats) -> Floats:
        """Return ln likelihood (n, N) of each cluster."""
        p = len(self.law.low)
        ratio, others = self.curves(variables[:, :p])
        return marginal(self.data, ratio, others, variables[:, p] if variables.shape[1] > p else 0.0)

    def likelihood(self, variables: Floats) -> Floats:
        """Return ln likelihood (n,) within the box of the prior and what the law knows, -inf beyond."""
        out = np.full(len(variables), -np.inf)
        known = self.law.inside(variables[:, : len(self.law.low)])
        inside = np.flatnonzero(self.prior.inside(variables) & known)
        if inside.size:
            out[inside] = self.each(variables[inside]).sum(axis=1)
        return np.where(np.isfinite(out), out, -np.inf)

    def __call__(self, variables: Floats) -> Floats:
        """Return it, (n,)."""
        return self.likelihood(variables) + self.prior.ln(variables)
