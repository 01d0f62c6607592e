"""Shapes of spectra from fluxes in bands: a log-parabola through them, and the same fluxes in other bands.

Catalogues have their own bands, the stream has others; what is asked of a source must not depend on whose they are.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NODES: Final = 9  # of Simpson's rule in a band
PIVOT_MEV: Final = 2000.0
SYSTEMATIC: Final = 0.02  # of each flux: no shape is exact
PRIOR: Final = ((2.3, 0.5), (0.1, 0.3))  # index and beta of 4FGL's sources: mean, spread; it tells where data do not
STRAIGHT: Final = ((2.3, 2.0), (0.0, 1e-3))  # a power law
ROUNDS: Final = 30


@dataclass(frozen=True, slots=True)
class Parabolas:
    """K (E / 2 GeV)^-(index + beta ln(E / 2 GeV)) of n sources, with 1 sigma errors, prior included."""

    log_norm: Floats  # (n,) ln of photons cm-2 s-1 MeV-1
    index: Floats
    index_error: Floats
    beta: Floats
    beta_error: Floats
    chi2: Floats  # of the bands and the prior

    def fluxes(self, edges_mev: Floats) -> Floats:
        """Return photons cm-2 s-1 in bands (b, 2): (n, b)."""
        x, weight = _nodes(edges_mev)
        theta = np.stack([self.log_norm, self.index, self.beta], axis=1)
        return _model(theta, x, weight)[0]


def _nodes(edges_mev: Floats) -> tuple[Floats, Floats]:
    """Return ln(E / pivot) at the nodes of bands and their weights in an integral dE, (b, NODES)."""
    logs = np.log(np.asarray(edges_mev, float))
    width = np.diff(logs, axis=1)
    at = logs[:, :1] + width * np.linspace(0, 1, NODES)
    simpson = np.ones(NODES)
    simpson[1:-1:2], simpson[2:-1:2] = 4.0, 2.0
    return at - np.log(PIVOT_MEV), np.exp(at) * width / (NODES - 1) / 3 * simpson


def _model(theta: Floats, x: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return the fluxes (n, b) of parameters (n, 3), and their derivatives (n, b, 3)."""
    log, index, beta = (theta[:, k, None, None] for k in range(3))
    f = weight * np.exp(np.clip(log - (index + beta * x) * x, -200, 50))
    return f.sum(axis=2), np.stack([f.sum(axis=2), -(f * x).sum(axis=2), -(f * x * x).sum(axis=2)], axis=2)


def fit_parabolas(
    flux: Floats, error: Floats, edges_mev: Floats, prior: tuple[tuple[float, float], ...] = PRIOR
) -> Parabolas:
    """Fit fluxes (n, b) with errors (n, b) in bands (b, 2) MeV by weighted least squares (Levenberg and Marquardt).

    Bands whose flux or error is not a number do not count. Sources without a band: the prior, log_norm NaN.
    """
    known = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    data = np.where(known, flux, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(known, 1 / (np.asarray(error, float) ** 2 + (SYSTEMATIC * data) ** 2), 0.0)
    x, w = _nodes(edges_mev)
    middle = np.array([0.0, *(mean for mean, _ in prior)])
    stiff = np.array([1e-6, *(spread**-2 for _, spread in prior)])
    theta = np.tile(middle, (len(data), 1))
    shape = _model(theta, x, w)[0]
    norm = (weight * data * shape).sum(axis=1) / np.maximum((weight * shape**2).sum(axis=1), 1e-300)
    theta[:, 0] = np.log(np.maximum(norm, 1e-20))
    theta, chi2 = _descend(theta, (data, weight), (x, w), (middle, stiff))
    jacobian = _model(theta, x, w)[1]
    hessian = np.einsum("nb,nbk,nbl->nkl", weight, jacobian, jacobian) + np.diag(stiff)
    error_of = np.sqrt(np.einsum("nkk->nk", np.linalg.inv(hessian)))
    log_norm = np.where(known.any(axis=1), theta[:, 0], np.nan)
    return Parabolas(log_norm, theta[:, 1], error_of[:, 1], theta[:, 2], error_of[:, 2], chi2)


def _descend(
    theta: Floats, data: tuple[Floats, Floats], nodes: tuple[Floats, Floats], prior: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    (flux, weight), (middle, stiff) = data, prior

    def cost(at: Floats) -> Floats:
        return np.asarray((weight * (flux - _model(at, *nodes)[0]) ** 2).sum(1) + (stiff * (at - middle) ** 2).sum(1))

    damping, now = np.full(len(flux), 1e-2), cost(theta)
    for _ in range(ROUNDS):
        model, jacobian = _model(theta, *nodes)
        slope = np.einsum("nb,nbk->nk", weight * (flux - model), jacobian) - stiff * (theta - middle)
        hessian = np.einsum("nb,nbk,nbl->nkl", weight, jacobian, jacobian) + np.diag(stiff)
        steep = np.einsum("nkk->nk", hessian)[:, :, None] * np.eye(3) * damping[:, None, None]
        new = theta + np.clip(np.linalg.solve(hessian + steep, slope[..., None])[..., 0], -1, 1)
        after = cost(new)
        better = after < now
        theta = np.where(better[:, None], new, theta)
        now = np.where(better, after, now)
        damping = np.clip(np.where(better, damping / 5, damping * 5), 1e-6, 1e6)
    return theta, now


def rebinned(
    flux: Floats, error: Floats, given_mev: Floats, wanted_mev: Floats, shape: Parabolas
) -> tuple[Floats, Floats]:
    """Return fluxes (n, b) of bands (b, 2) and their errors in other bands (c, 2): (n, c) each.

    The flux of a band is shared among those that it overlaps as the fitted shape says; its variance in proportion, as
    that of counts. A wanted band that no given one reaches is NaN. NaN fluxes count as unknown, not as none.
    """
    low = np.maximum(given_mev[:, None, 0], wanted_mev[None, :, 0])
    high = np.minimum(given_mev[:, None, 1], wanted_mev[None, :, 1])
    told, variance = (np.zeros((len(flux), len(wanted_mev))) for _ in range(2))
    reached = np.zeros(told.shape, bool)
    whole = shape.fluxes(given_mev)
    for b, c in np.argwhere(high > low * (1 + 1e-9)):
        part = shape.fluxes(np.array([[low[b, c], high[b, c]]]))[:, 0]
        share = np.divide(part, whole[:, b], out=np.zeros(len(flux)), where=whole[:, b] > 0)
        known = np.isfinite(flux[:, b]) & np.isfinite(error[:, b])
        told[:, c] += np.where(known, share * flux[:, b], 0)
        variance[:, c] += np.where(known, share * error[:, b] ** 2, 0)
        reached[:, c] |= known
    return np.where(reached, told, np.nan), np.where(reached, np.sqrt(variance), np.nan)
