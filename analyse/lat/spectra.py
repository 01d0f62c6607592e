"""Spectra of one source, by its flux from 1 to 100 GeV and its shape; those of 4FGL (`stream.lat.catalogue`).

All are taken at PIVOT_MEV: `index` is the slope there. A log-parabola has `beta`, the cut-off of pulsars `expfactor`
(4FGL-DR3's d, with b = 2/3, as that catalogue fixes it); with 0 both are power laws, so that likelihoods compare.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.lat.bands import BANDS, REFERENCE_MEV
from stream.lat.catalogue import SHAPES, flux_of
from stream.lat.exposure import ENERGY_MEV, NODES
from stream.lat.scene import UNIT
from stream.lat.spectral import PIVOT_MEV

Floats = NDArray[np.float64]
CUTOFF_B: Final = 2 / 3
INDEX: Final = (0.0, 5.0)  # bounds
STEPS: Final = 129
ERG: Final = 1.602177e-6  # in a MeV


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of spectrum."""

    code: str  # in stream.lat.catalogue.SHAPES
    curve: str  # what its curvature is called; "": it has none
    bounds: tuple[float, float] = (0.0, 0.0)  # of the curvature


KINDS: Final = {
    "powerlaw": Shape("PL", ""),
    "logparabola": Shape("LP", "beta", (-0.5, 2.0)),
    "plec": Shape("PLEC4", "expfactor", (-0.3, 4.0)),
}


def _parameters(kind: str, index: Floats, curve: Floats) -> dict[str, ArrayLike]:
    p: dict[str, ArrayLike] = {"norm": 1.0, "pivot_mev": PIVOT_MEV, "index": index}
    if kind == "logparabola":
        p["beta"] = curve
    if kind == "plec":
        p |= {"expfactor": curve, "exp_index": CUTOFF_B}
    return p


def density(kind: str, energy_mev: Floats, log_flux: ArrayLike, index: ArrayLike, curve: ArrayLike = 0.0) -> Floats:
    """Return photons cm-2 s-1 MeV-1 at energies (m,): (n, m).

    log_flux (n,): ln of the flux from 1 to 100 GeV over UNIT; index and curve (n,).
    """
    log, slope, bend = (np.atleast_1d(np.asarray(v, float)) for v in (log_flux, index, curve))
    code, p = KINDS[kind].code, _parameters(kind, slope, bend)
    return np.asarray(SHAPES[code](energy_mev, p) * (UNIT * np.exp(log) / flux_of(code, p))[:, None])


def at_nodes(kind: str, log_flux: ArrayLike, index: ArrayLike, curve: ArrayLike = 0.0) -> Floats:
    """Return the same at the nodes of all bands, (n, BANDS, NODES)."""
    return density(kind, ENERGY_MEV.ravel(), log_flux, index, curve).reshape(-1, BANDS, NODES)


def energy_flux(
    kind: str, log_flux: float, index: float, curve: float, low_high_mev: tuple[float, float] = REFERENCE_MEV
) -> float:
    """Return erg cm-2 s-1 between two energies."""
    log = np.linspace(float(np.log(low_high_mev[0])), float(np.log(low_high_mev[1])), STEPS)
    energy = np.exp(log)
    return ERG * float(np.trapezoid(density(kind, energy, log_flux, index, curve)[0] * energy**2, log))
