"""Mock catalogues like 4FGL: sources of four groups with their spectra, places and yearly variability.

Figures are of 4FGL-DR2 (gll_psc_v27; Ballet et al. 2020, arXiv 2005.11208), read off by group: means and widths of the
spectral parameters, N(>S) where the catalogue is complete, latitudes and longitudes, and the widths of the yearly
fluxes with their measurement errors taken out. Spectra are the seed's: log-parabolas, and for pulsars a power law with
an exponential cut-off, dN/dE = K (E/E0)^-G exp(a (E0^b - E^b)).
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.lat.bands import REFERENCE_MEV
from stream.lat.exposure import ENERGY_MEV

Floats = NDArray[np.float64]
CLASSES: Final = ("BLL", "FSRQ", "PSR", "PWN")  # PWN: pulsar wind nebulae, supernova remnants, and what may be either
YEARS: Final = 10
SOURCE: Final = np.dtype(
    [
        ("class", "i4"),  # place in CLASSES
        ("glon_deg", "f8"),
        ("glat_deg", "f8"),
        ("flux", "f8"),  # photons cm-2 s-1, 1 to 100 GeV, mean of the years
        ("spectrum", "f8", ENERGY_MEV.shape),  # photons cm-2 s-1 MeV-1 at the nodes of the bands
        ("yearly", "f8", (YEARS,)),  # flux of each year over the mean
    ]
)


@dataclass(frozen=True, slots=True)
class Group:
    """One kind of source."""

    kind: int  # place in CLASSES
    above: float  # how many of the whole sky are above 8e-10 photons cm-2 s-1
    slope: float  # N(>S) ~ S^-slope
    fluxes: tuple[float, float]  # of the faintest and the brightest, photons cm-2 s-1
    index: tuple[float, float]  # mean and sd at the pivot
    curve: tuple[float, float]  # log-parabola: scale of an exponential, share without any; pulsars: median, ln width
    log_pivot: tuple[float, float]  # dex of MeV
    sky: tuple[tuple[float, float], ...]  # share and sd of latitudes, degrees; none: even over the sphere
    longitude_deg: float  # sd
    year: tuple[float, float]  # median and ln width of the sd of ln of the yearly flux


# N(>8e-10): blazars are BLL, FSRQ and BCU of DR2 (624), these shared out 62 : 38 as the known ones. Pulsars: young ones
# and old (millisecond) ones, none of which is brighter than 2e-8.
GROUPS: Final = (
    Group(0, 387, 0.95, (2e-11, 3e-8), (1.95, 0.25), (0.12, 0.5), (3.39, 0.3), (), 0.0, (0.35, 0.5)),
    Group(1, 237, 0.95, (2e-11, 1e-7), (2.42, 0.22), (0.12, 0.4), (2.91, 0.25), (), 0.0, (0.82, 0.35)),
    Group(2, 125, 0.55, (1e-10, 1.3e-6), (0.98, 0.5), (0.0114, 0.5), (3.21, 0), ((0.75, 1.2), (0.25, 9)), 60.0, (0, 0)),
    Group(2, 85, 0.90, (1e-10, 2e-8), (0.98, 0.5), (0.0114, 0.5), (3.21, 0.0), ((1.0, 30.0),), 80.0, (0.0, 0.0)),
    Group(3, 117, 0.6, (1e-10, 2e-7), (2.32, 0.33), (0.25, 0.3), (3.43, 0.3), ((0.7, 0.7), (0.3, 4.0)), 55.0, (0, 0)),
)  # fmt: skip
STEEPER_AT: Final = 4e-9  # N(>S) of blazars is steeper above
STEEPER_BY: Final = 0.35
CUTOFF_B: Final = 2 / 3  # of the pulsars' spectra, as DR2 fixes it for all but the brightest
UNRESOLVED: Final = 0.87  # of the isotropic light: the rest are our sources below 1e-10
YEAR_TO_YEAR: Final = 0.35  # correlation of ln flux from one year to the next


def make_catalogue(rng: np.random.Generator, density: float = 1.0) -> NDArray[Any]:
    """Return SOURCE rows of a whole sky, brightest first. density: times as many as there are."""
    table = np.concatenate([_group(group, rng, density) for group in GROUPS])
    return table[np.argsort(-table["flux"], kind="stable")]


def _group(group: Group, rng: np.random.Generator, density: float) -> NDArray[Any]:
    least, most = group.fluxes
    number = rng.poisson(density * group.above * (8e-10 / least) ** group.slope)
    table = np.zeros(number, SOURCE)
    flux = least * rng.random(number) ** (-1 / group.slope)
    again = flux > most
    if not group.sky:  # blazars beyond the break are thinned out
        again |= rng.random(number) > np.minimum(1, (flux / STEEPER_AT) ** -STEEPER_BY)
    flux[again] = np.minimum(least * rng.random(int(again.sum())) ** (-1 / group.slope), STEEPER_AT)
    table["class"], table["flux"] = group.kind, flux
    table["glon_deg"], table["glat_deg"] = _places(group, rng, number)
    shape = cut_off_law(group, rng, number) if CLASSES[group.kind] == "PSR" else log_parabola(group, rng, number)
    table["spectrum"] = shape(ENERGY_MEV) * (table["flux"] / integral(shape))[:, None, None]
    table["yearly"] = _yearly(group, rng, number)
    return table


def _places(group: Group, rng: np.random.Generator, number: int) -> tuple[Floats, Floats]:
    lon, sine = rng.uniform(0, 360, number), rng.uniform(-1, 1, number)
    lat = np.degrees(np.arcsin(sine))
    if group.sky:
        share, width = np.array(group.sky).T
        lat = np.abs(rng.normal(0, width[rng.choice(len(share), number, p=share)])) * rng.choice((-1, 1), number)
        lon = rng.normal(0, group.longitude_deg, number) % 360
    return lon, np.clip(lat, -90, 90)


class Spectra:
    """Spectra of n sources, photons cm-2 s-1 MeV-1, not normalised."""

    def __init__(self, index: Floats, curve: Floats, pivot: Floats, cut_off: bool) -> None:
        self.index, self.curve, self.pivot, self.cut_off = index, curve, pivot, cut_off

    def __call__(self, energy_mev: Floats) -> Floats:
        """Return the spectra at energies of any shape: (n, ...)."""
        index, curve, pivot = (a.reshape(-1, *[1] * energy_mev.ndim) for a in (self.index, self.curve, self.pivot))
        x = energy_mev / pivot
        if self.cut_off:
            return x**-index * np.exp(curve * (pivot**CUTOFF_B - energy_mev**CUTOFF_B))
        return x ** -(index + curve * np.log(x))


def log_parabola(group: Group, rng: np.random.Generator, number: int) -> Spectra:
    """Return log-parabolas drawn for a group."""
    curve = rng.exponential(group.curve[0], number) * (rng.random(number) > group.curve[1])
    index = rng.normal(*group.index, number)
    return Spectra(index, curve, 10 ** rng.normal(*group.log_pivot, number), False)


def cut_off_law(group: Group, rng: np.random.Generator, number: int) -> Spectra:
    """Return power laws with exponential cut-offs drawn for a group; its curve: median and ln width of a."""
    index = np.clip(rng.normal(*group.index, number), 0.0, 2.2)
    curve = group.curve[0] * np.exp(rng.normal(0, group.curve[1], number))
    return Spectra(index, curve, np.full(number, 10 ** group.log_pivot[0]), True)


def integral(shape: Spectra) -> Floats:
    """Return photons cm-2 s-1 from 1 to 100 GeV of each spectrum, (n,)."""
    energy = np.geomspace(*REFERENCE_MEV, 61)
    return np.asarray(np.trapezoid(shape(energy) * energy, np.log(energy), axis=1))


def _yearly(group: Group, rng: np.random.Generator, number: int) -> Floats:
    """Return log-normal factors of each year with mean 1, (n, YEARS), correlated from one to the next."""
    median, width = group.year
    if not median:
        return np.ones((number, YEARS))
    sd = median * np.exp(rng.normal(0, width, number))
    walk = rng.standard_normal((number, YEARS))
    for year in range(1, YEARS):
        walk[:, year] = YEAR_TO_YEAR * walk[:, year - 1] + np.sqrt(1 - YEAR_TO_YEAR**2) * walk[:, year]
    factors = np.exp(sd[:, None] * walk)
    return np.asarray(factors / factors.mean(axis=1, keepdims=True))
