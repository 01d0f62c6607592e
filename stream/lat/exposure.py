"""Exposure of the sky in each band, and what a spectrum makes of it in counts.

In every band it is known at NODES energies, evenly spaced in ln E from edge to edge, for front and back, on a coarse
HEALPix map: cut by cut of the zenith angle, since each band has its own. Integrals over a band are Simpson's.
"""

from dataclasses import dataclass
from typing import Final

import astropy_healpix.healpy as hp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.lat.bands import BANDS, EDGES_MEV, TYPES
from stream.lat.instrument import Instrument

Floats = NDArray[np.float64]
NODES: Final = 9  # E^-2.7 over 20 GeV to 1 TeV is integrated to 0.3 % with these
NSIDE: Final = 32  # 1.8 degrees: the exposure varies by a third over the whole sky
YEAR_S: Final = 31_557_600.0
SURVEY_LIVE: Final = 0.76  # livetime over time: SAA 13 %, dead time 8 %, the rest loss (4FGL: 8 yr, 2008 to 2016)


def _nodes() -> tuple[Floats, Floats]:
    edges = np.log(EDGES_MEV)
    part = np.linspace(0, 1, NODES)
    logs = edges[:-1, None] + np.diff(edges)[:, None] * part
    simpson = np.ones(NODES)
    simpson[1:-1:2], simpson[2:-1:2] = 4.0, 2.0
    energy = np.exp(logs)
    return energy, energy * (np.diff(edges)[:, None] / (NODES - 1) / 3) * simpson


ENERGY_MEV, WEIGHT_MEV = _nodes()
"""Energies of the nodes and their weights in an integral dE: (BANDS, NODES)."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """cm2 s by type, band, node and pixel."""

    cm2_s: NDArray[np.float32]  # (TYPES, BANDS, NODES, 12 NSIDE^2), RING, galactic
    live_s: float  # mean over the sky of the time in which a direction was seen, unweighted
    about: str

    def at(self, glon_deg: ArrayLike, glat_deg: ArrayLike) -> Floats:
        """Return the exposure, cm2 s, at places (n,), degrees: (TYPES, BANDS, NODES, n)."""
        lon, lat = (np.atleast_1d(np.asarray(a, float)) for a in (glon_deg, glat_deg))
        pixels, weights = hp.get_interp_weights(NSIDE, lon, lat, lonlat=True)
        return np.asarray((self.cm2_s[..., pixels] * weights).sum(axis=-2), float)

    def __add__(self, other: "Exposure") -> "Exposure":
        """Return the exposure of both times."""
        return Exposure(self.cm2_s + other.cm2_s, self.live_s + other.live_s, self.about)


def survey(instrument: Instrument, years: float) -> Exposure:
    """Return the exposure of an even all-sky survey: every direction seen as often, at all angles alike.

    The real one is deeper by a fifth at the poles; what flies gives its own (FT2).
    """
    live_s = SURVEY_LIVE * years * YEAR_S
    maps = np.empty((len(TYPES), BANDS, NODES, 12 * NSIDE**2), np.float32)
    for kind in range(len(TYPES)):
        mean = instrument.acceptance_cm2_sr(kind, ENERGY_MEV.ravel()).reshape(BANDS, NODES) / (4 * np.pi)
        maps[kind] = (mean * live_s)[..., None]
    return Exposure(maps, live_s, f"even survey, {years:g} years, {instrument.about}")


def counts(spectrum: ArrayLike, exposure: Floats) -> Floats:
    """Return counts expected in each band of each type.

    spectrum: photons cm-2 s-1 MeV-1 at the nodes, (..., BANDS, NODES); exposure: cm2 s, (TYPES, BANDS, NODES, ...) of
    the same places. Returns (..., TYPES, BANDS).
    """
    at = np.moveaxis(exposure, (0, 1, 2), (-3, -2, -1))
    return np.einsum("...bn,...kbn,bn->...kb", np.asarray(spectrum, float), at, WEIGHT_MEV)


def power_law(flux: ArrayLike, index: ArrayLike) -> Floats:
    """Return E^-index at the nodes, (n, BANDS, NODES), for fluxes (n,) photons cm-2 s-1 from 1 to 100 GeV."""
    f, g = np.atleast_1d(np.asarray(flux, float)), np.atleast_1d(np.asarray(index, float))
    near = np.where(np.abs(g - 1) < 1e-6, 1 + 1e-6, g)
    whole = (1000.0 ** (1 - near) - 100_000.0 ** (1 - near)) / (near - 1)
    return (f / whole)[:, None, None] * ENERGY_MEV ** -near[:, None, None]
