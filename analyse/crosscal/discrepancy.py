"""Discrepancies of two temperatures of a cluster, as the seed has them, after the correction of telescope 1.

Each is summed over clusters and made least over theta: what the likelihood does, without its bookkeeping of errors.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyse.crosscal.infer import SEARCH, Peak, begin, climb
from analyse.crosscal.law import Curves, Law
from analyse.crosscal.likelihood import Density
from analyse.crosscal.table import Clusters

Floats = NDArray[np.float64]


def correct(clusters: Clusters, curves: Curves) -> tuple[Floats, Floats]:
    """Return T1' (n, N) keV, what telescope 1 says once its area is right, and its error, of n curves of ln_ratio."""
    ln_1, sd_1 = clusters.ln_1
    x = curves.invert(np.broadcast_to(ln_1, (len(curves.values), len(clusters))))
    kt = np.exp(x)
    return kt, kt * sd_1 / np.maximum(1 + curves.at(x)[1], 0.2)


def squared(kt_0: Floats, e_0: Floats, kt_1: Floats, e_1: Floats) -> Floats:
    """Return (T0 - T1')^2, keV^2: the seed's reduced loss."""
    return (kt_0 - kt_1) ** 2


def kullback_leibler(kt_0: Floats, e_0: Floats, kt_1: Floats, e_1: Floats) -> Floats:
    """Return KL(P0 | P1') of log-normal posteriors, nats."""
    s_0, s_1 = e_0 / kt_0, e_1 / kt_1
    return np.log(s_1 / s_0) + (s_0**2 + np.log(kt_0 / kt_1) ** 2) / (2 * s_1**2) - 0.5


def wasserstein(kt_0: Floats, e_0: Floats, kt_1: Floats, e_1: Floats) -> Floats:
    """Return the squared 2-Wasserstein distance of Gaussian posteriors, keV^2."""
    return (kt_0 - kt_1) ** 2 + (e_0 - e_1) ** 2


Measure = Callable[[Floats, Floats, Floats, Floats], Floats]
MEASURES: Final[dict[str, Measure]] = {"squared": squared, "kl": kullback_leibler, "wasserstein": wasserstein}


class Loss:
    """Minus the sum of a measure over clusters, at theta (n, p): what `climb` makes largest."""

    def __init__(self, clusters: Clusters, law: Law, measure: Measure) -> None:
        self.clusters, self.law, self.measure = clusters, law, measure

    def __call__(self, variables: Floats) -> Floats:
        """Return it, (n,)."""
        theta = variables[:, : len(self.law.low)]
        kt_1, e_1 = correct(self.clusters, Curves(self.law.ln_kt, self.law.ln_ratio(theta)))
        return -self.measure(self.clusters.kt_0, self.clusters.kt_0_err, kt_1, e_1).sum(axis=1)


def minimise(clusters: Clusters, density: Density, seed: int) -> dict[str, dict[str, Any]]:
    """Return by name of the measure: theta where it is least, its sum there and without a correction."""
    out, cover = {}, begin(density, SEARCH, seed)[0]
    for name, measure in MEASURES.items():
        loss = Loss(clusters, density.law, measure)
        peak: Peak = climb(density.prior, loss, cover)
        nothing = measure(clusters.kt_0, clusters.kt_0_err, clusters.kt_1, clusters.kt_1_err).sum()
        out[name] = {"theta": peak.variables[: density.prior.p].tolist(), "sum": -peak.value, "before": float(nothing)}
    return out
