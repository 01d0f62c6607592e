"""Fluxes of a model in a band."""

from typing import Final, NamedTuple

import numpy as np

from stream.spectra.grid import Floats, Grid
from stream.spectra.model import Model

ERG_PER_KEV: Final = 1.602176634e-9
BINS: Final = 600  # equal steps of log energy


class Flux(NamedTuple):
    """With 1 sigma errors by the covariance."""

    erg: float  # erg cm-2 s-1
    erg_error: float
    photons: float  # photons cm-2 s-1
    photons_error: float


def measure_flux(model: Model, solution: tuple[Floats, Floats], band_kev: tuple[float, float], absorbed: bool) -> Flux:
    """Return the flux between two energies of the model with (values (p,), covariance (p, p))."""
    if not 0 < band_kev[0] < band_kev[1]:
        raise ValueError(f"expected a band of energies 0 < low < high, not {band_kev}")
    values, covariance = solution
    edges = np.geomspace(band_kev[0], band_kev[1], BINS + 1)
    grid = Grid.of(edges[:-1], edges[1:])
    slopes = np.zeros((len(values), BINS))
    photons = model.on(grid, values, slopes, absorbed)
    out: list[float] = []
    for weight in (grid.middle * ERG_PER_KEV, np.ones(BINS)):
        by = slopes @ weight
        out += [float(photons @ weight), float(np.sqrt(np.maximum(by @ covariance @ by, 0.0)))]
    return Flux(*out)
