"""The likelihood of theta: true temperatures are latent and integrated out, errors are log-normal."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.polynomial.hermite import hermgauss
from numpy.typing import NDArray

from analyse.crosscal.concordance import Prior
from analyse.crosscal.law import Curves, Law
from analyse.crosscal.table import Clusters
from stream.kernels.latent import integrate_latent

Floats = NDArray[np.float64]
ORDER: Final = 7  # Gauss-Hermite nodes about the joint maximum: 1e-6 of ln L for errors of 10 %
STEPS: Final = 3  # Gauss-Newton steps to it
TWO_PI: Final = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Data:
    """ln of both temperatures and of the norms of N clusters, with errors, as the likelihood takes them."""

    ln_0: Floats  # (N,)
    sd_0: Floats
    ln_1: Floats
    sd_1: Floats
    ln_norm: Floats | None = None
    sd_norm: Floats | None = None

    @classmethod
    def of(cls, clusters: Clusters, half_variance: bool = False) -> "Data":
        """Return the data; half_variance: temperatures are means, not medians, of their log-normals (Chen et al. 2019).

        Their ln is then low by half its variance.
        """
        (ln_0, sd_0), (ln_1, sd_1) = clusters.ln_0, clusters.ln_1
        if half_variance:
            ln_0, ln_1 = ln_0 + 0.5 * sd_0**2, ln_1 + 0.5 * sd_1**2
        return cls(ln_0, sd_0, ln_1, sd_1, clusters.ln_norm, clusters.ln_norm_err)


def marginal(data: Data, ratio: Curves, norm: Curves | None = None, scatter: Floats | float = 0.0) -> Floats:
    """Return ln likelihood (n, N) of n curves, the latent ln kT integrated over a flat prior; scatter (n,) of ln T1."""
    z, weights = hermgauss(ORDER)
    nothing = np.empty(0)
    spread = np.ascontiguousarray(np.broadcast_to(np.asarray(scatter, float), len(ratio.values)))
    bent, given = np.empty((0, 0, 0)), (nothing, nothing)
    if norm is not None and data.ln_norm is not None and data.sd_norm is not None:
        bent, given = norm.pieces, (data.ln_norm, data.sd_norm)
    out = np.empty((len(ratio.values), len(data.ln_0)))
    pairs = (data.ln_0, data.sd_0, data.ln_1, data.sd_1)
    integrate_latent(ratio.nodes, ratio.pieces, bent, *pairs, *given, spread, z, weights, STEPS, out)
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

    def curves(self, theta: Floats) -> tuple[Curves, Curves | None]:
        """Return the curves of ln_ratio, and of ln_norm where the data have norms."""
        ratio, norm = Curves(self.law.ln_kt, self.law.ln_ratio(theta)), None
        if self.data.ln_norm is not None:
            values = self.law.ln_norm(theta)
            norm = None if values is None else Curves(self.law.ln_kt, values)
        return ratio, norm

    def each(self, variables: Floats) -> Floats:
        """Return ln likelihood (n, N) of each cluster."""
        p = len(self.law.low)
        ratio, norm = self.curves(variables[:, :p])
        return marginal(self.data, ratio, norm, variables[:, p] if variables.shape[1] > p else 0.0)

    def likelihood(self, variables: Floats) -> Floats:
        """Return ln likelihood (n,) within the box of the prior, -inf beyond it."""
        out = np.full(len(variables), -np.inf)
        inside = np.flatnonzero(self.prior.inside(variables))
        if inside.size:
            out[inside] = self.each(variables[inside]).sum(axis=1)
        return np.where(np.isfinite(out), out, -np.inf)

    def __call__(self, variables: Floats) -> Floats:
        """Return it, (n,)."""
        return self.likelihood(variables) + self.prior.ln(variables)
