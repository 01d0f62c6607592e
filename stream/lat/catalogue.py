"""Sources of a published catalogue as this house keeps them: one row for each, whatever the version called its columns.

Spectra are those of 4FGL (Abdollahi et al. 2020, ApJS 247, 33, eq. 1 to 4) and 4FGL-DR3 (Abdollahi et al. 2022,
ApJS 260, 53, eq. 1 and 2), photons cm-2 s-1 MeV-1.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.lat.bands import BANDS, REFERENCE_MEV
from stream.lat.exposure import NODES

Floats = NDArray[np.float64]
Parameters = Mapping[str, ArrayLike]

CLASSES: Final = ("BLL", "FSRQ", "PSR", "PWN")  # those that are told apart; PWN with SPP and SNR, as in seed 004
GROUPS: Final = (*CLASSES, "BCU", "other", "none")
_GROUP_OF: Final = {
    "bll": "BLL",
    "fsrq": "FSRQ",
    "psr": "PSR",
    "msp": "PSR",  # FL16Y has them apart
    "pwn": "PWN",
    "spp": "PWN",
    "snr": "PWN",
    "bcu": "BCU",
    "": "none",
}
AGN: Final = ("bll", "fsrq", "bcu", "rdg", "agn", "ssrq", "css", "nlsy1", "sey")
PULSARS: Final = ("psr", "msp")
STEPS: Final = 129  # of Simpson's rule over 1 to 100 GeV: exact to 1e-5 for all spectra of 4FGL


def entry_dtype(bands: int, years: int) -> np.dtype[Any]:
    """Return the dtype of a row, for catalogues with so many flux bands and intervals of their light curves."""
    return np.dtype(
        [
            ("name", "<U24"),
            ("glon_deg", "<f8"),
            ("glat_deg", "<f8"),
            ("conf_95_major_deg", "<f4"),  # NaN: extended, or no error given
            ("conf_95_minor_deg", "<f4"),
            ("conf_95_angle_deg", "<f4"),
            ("significance", "<f4"),  # sigma, whole band
            ("flux1000", "<f8"),  # photons cm-2 s-1, 1 to 100 GeV, of the spectrum
            ("flux1000_error", "<f8"),
            ("energy_flux", "<f8"),  # erg cm-2 s-1, as given
            ("index", "<f4"),  # of the power law, whatever the best spectrum is
            ("index_error", "<f4"),
            ("curvature", "<f4"),  # beta of the log-parabola
            ("curvature_error", "<f4"),
            ("curvature_sigma", "<f4"),  # of the log-parabola against the power law
            ("pivot_mev", "<f4"),
            ("shape", "<U4"),  # PL, LP, PLEC: the best
            ("spectrum", "<f8", (BANDS, NODES)),  # at stream.lat.exposure.ENERGY_MEV
            ("flux_band", "<f8", (bands,)),  # photons cm-2 s-1
            ("flux_band_error", "<f8", (bands, 2)),  # down (positive) and up; NaN: an upper limit
            ("flux_history", "<f8", (years,)),  # photons cm-2 s-1
            ("flux_history_error", "<f8", (years, 2)),
            ("variability_index", "<f4"),
            ("class", "<U6"),  # lower case; "": none
            ("identified", "?"),  # not only associated
            ("associated", "?"),
            ("group", "<U5"),  # GROUPS
            ("extended", "?"),
            ("flags", "<i4"),  # the catalogue's own
        ]
    )


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A catalogue, and what was the matter with it."""

    rows: NDArray[Any]  # (n,) entry_dtype
    band_mev: Floats  # (bands, 2) lower and upper edges of flux_band
    title: str  # "gll_psc_v27", as the file calls itself
    counters: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        """Return the number of sources."""
        return len(self.rows)


def group_of(name: str) -> str:
    """Return the group of a class in lower case."""
    return _GROUP_OF.get(name, "other")


def power_law(energy_mev: ArrayLike, p: Parameters) -> Floats:
    """Return K (E / E0)^-index, (n, m), at energies (m,); p: norm, pivot_mev, index, each (n,)."""
    log = _log_energy(energy_mev, p)
    return _column(p, "norm") * np.exp(-_column(p, "index") * log)


def log_parabola(energy_mev: ArrayLike, p: Parameters) -> Floats:
    """Return K (E / E0)^-(index + beta ln(E / E0)), likewise."""
    log = _log_energy(energy_mev, p)
    return _column(p, "norm") * np.exp(-(_column(p, "index") + _column(p, "beta") * log) * log)


def cutoff_old(energy_mev: ArrayLike, p: Parameters) -> Floats:
    """Return K (E / E0)^-index exp(a (E0^b - E^b)), up to DR2; p: norm, pivot_mev, index, expfactor a, exp_index b."""
    a, b, pivot = _column(p, "expfactor"), _column(p, "exp_index"), _column(p, "pivot_mev")
    energy = np.atleast_1d(np.asarray(energy_mev, float))[None]
    return power_law(energy_mev, p) * np.exp(a * (pivot**b - energy**b))


def cutoff_new(energy_mev: ArrayLike, p: Parameters) -> Floats:
    """Return K (E / E0)^(d / b - index) exp(d / b^2 (1 - (E / E0)^b)), since DR3: index and d are those at the pivot.

    p: norm, pivot_mev, index, expfactor d, exp_index b. Near b ln(E / E0) = 0 its series is taken.
    """
    d, b, log = _column(p, "expfactor"), _column(p, "exp_index"), _log_energy(energy_mev, p)
    x = b * log
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        whole = d / b * log - d / b**2 * np.expm1(x)
    series = -d * log**2 * (1 / 2 + x / 6 + x**2 / 24)
    bend = np.where(np.abs(x) > 1e-2, whole, series)
    return _column(p, "norm") * np.exp(bend - _column(p, "index") * log)


SHAPES: Final = {"PL": power_law, "LP": log_parabola, "PLEC": cutoff_old, "PLEC4": cutoff_new}


def flux_of(shape: str, p: Parameters, low_high_mev: tuple[float, float] = REFERENCE_MEV) -> Floats:
    """Return the integral of spectra of one shape, (n,) photons cm-2 s-1."""
    low, high = low_high_mev
    log = np.linspace(np.log(low), np.log(high), STEPS)
    weight = np.full(STEPS, 2.0)
    weight[1::2], weight[[0, -1]] = 4.0, 1.0
    energy = np.exp(log)
    return np.asarray(SHAPES[shape](energy, p) @ (weight * energy) * (log[1] - log[0]) / 3)


def _column(p: Parameters, name: str) -> Floats:
    return np.atleast_1d(np.asarray(p[name], float))[:, None]


def _log_energy(energy_mev: ArrayLike, p: Parameters) -> Floats:
    energy = np.atleast_1d(np.asarray(energy_mev, float))[None]
    return np.asarray(np.log(energy / _column(p, "pivot_mev")))
