"""Which sources there are, how many, how luminous and where: tables of numbers with their sources.

Luminosities and fluxes are those of 0.5-8 keV before absorption. Numbers go with the stars of a population's disc and
of the bulge. What is too faint to be seen one by one is the Galactic ridge (`sim.sources.diffuse`).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sim.sources.emission import ACTIVE, BINARY, DWARF, NEUTRON_STAR, NON_MAGNETIC, NUCLEUS, POLAR, Emission
from sim.sources.galaxy import Sight

Floats = NDArray[np.float64]
CM2_PER_KPC2: Final = 3.0857e21**2
STEP_DEX: Final = 0.02  # of the tables of luminosity and flux
CLASSES: Final = ("AGN", "CV", "LMXB", "NS", "star")
DIFFUSE: Final = "diffuse"  # class of what is found where no source is


@dataclass(frozen=True, slots=True, kw_only=True)
class Luminosities:
    """dN / dlog L ~ L^-slope exp(-(log L - mean)^2 / (2 sd^2)) between the ends; L in erg s-1."""

    ends: tuple[float, float]  # log L
    slope: float = 0.0
    mean: float = 0.0
    sd: float = np.inf

    def table(self) -> tuple[Floats, Floats]:
        """Return log L at the middle of steps and their shares of all sources, (m,) each."""
        edges = np.linspace(*self.ends, 1 + round((self.ends[1] - self.ends[0]) / STEP_DEX))
        log = (edges[1:] + edges[:-1]) / 2
        weight = 10 ** (-self.slope * (log - self.ends[0])) * np.exp(-((log - self.mean) ** 2) / (2 * self.sd**2))
        return log, weight / weight.sum()


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """One kind of Galactic source."""

    name: str
    kind: str  # its class
    per_msun: float
    layer_kpc: float  # scale height of its disc
    bulge: float = 1.0  # number for each mass in the bulge over that in the disc
    luminosities: Luminosities
    emission: Emission


@dataclass(frozen=True, slots=True, kw_only=True)
class Extragalactic:
    """AGN by their log N-log S in 2-10 keV: N(>S) = total (S1^a) / (S^a + S0^(a - b) S^b), deg-2; S1 = 2e-15."""

    name: str = "agn"
    kind: str = "AGN"
    total: float = 5300.0  # Moretti et al. 2003, ApJ 588, 696, eq. 2 and table 3, hard band
    bright: float = 1.57
    faint: float = 0.44
    break_flux: float = 4.5e-15
    to_band: float = 1.29  # flux of 0.5-8 keV over that of 2-10 keV, power law of index 1.8
    emission: Emission = NUCLEUS

    def number(self, flux: Floats) -> Floats:
        """Return N(>S), (n,) deg-2, for unabsorbed fluxes of 0.5-8 keV (n,) erg cm-2 s-1."""
        s = np.asarray(flux) / self.to_band
        return (
            self.total
            * 2e-15**self.bright
            / (s**self.bright + self.break_flux ** (self.bright - self.faint) * s**self.faint)
        )


# Numbers per solar mass: space densities over 0.04 Msun pc-3 (`sim.sources.galaxy`).
GALACTIC: Final = (
    Population(
        name="intermediate polar",
        kind="CV",
        per_msun=2.5e-6,  # 1e-7 pc-3, Pretorius & Mukai 2014, MNRAS 442, 2580
        layer_kpc=0.12,
        luminosities=Luminosities(
            ends=(30.8, 34.2), mean=32.5, sd=0.45
        ),  # half of all CVs' light: Suleimanov et al. 2022
        emission=POLAR,
    ),
    Population(
        name="non-magnetic cv",
        kind="CV",
        per_msun=1e-4,  # 4e-6 pc-3; with the luminosity function, Pretorius & Knigge 2012, MNRAS 419, 1442
        layer_kpc=0.26,
        luminosities=Luminosities(ends=(30.1, 32.4), slope=0.8),  # theirs of 0.5-2 keV, 0.4 dex up
        emission=NON_MAGNETIC,
    ),
    Population(
        name="lmxb",
        kind="LMXB",
        per_msun=1.1e-8,  # 325 above 1e34 in the Galaxy, N(>L) ~ L^-0.26: Grimm et al. 2002, A&A 391, 923
        layer_kpc=0.41,
        luminosities=Luminosities(ends=(33.0, 38.3), slope=0.26),
        emission=BINARY,
    ),
    Population(
        name="quiescent neutron star",
        kind="NS",
        per_msun=4e-8,  # some 2000 transients that wait: Pfahl et al. 2003, ApJ 597, 1036, within a factor of several
        layer_kpc=0.41,
        luminosities=Luminosities(ends=(31.0, 33.3), mean=32.2, sd=0.5),  # Heinke et al. 2003, ApJ 598, 501
        emission=NEUTRON_STAR,
    ),
    Population(
        name="field star",
        kind="star",
        per_msun=2.5,  # 0.1 pc-3
        layer_kpc=0.3,
        bulge=0.0,
        luminosities=Luminosities(ends=(26.0, 30.0), mean=27.3, sd=0.8),  # Schmitt & Liefke 2004, A&A 417, 651
        emission=DWARF,
    ),
    Population(
        name="young star",
        kind="star",
        per_msun=5e-3,  # 0.7e27 erg s-1 Msun-1 in 2-10 keV, a fifth of their light: half of what Sazonov et al. 2006,
        # A&A 450, 117, find near the Sun; all of it gives twice the sources of Chandra's bulge field
        layer_kpc=0.1,
        bulge=0.0,
        luminosities=Luminosities(ends=(28.0, 31.5), mean=29.4, sd=0.6),
        emission=ACTIVE,
    ),
    Population(
        name="active binary",
        kind="star",
        per_msun=1e-3,  # 1.0e27 erg s-1 Msun-1 in 2-10 keV, a quarter of their light: Sazonov et al. 2006 have
        # 2.0e27 +- 0.8e27; Revnivtsev et al. 2011, MNRAS 414, 495, 1.7e27 with CVs in Chandra's bulge field
        layer_kpc=0.3,
        luminosities=Luminosities(ends=(28.5, 32.2), mean=30.2, sd=0.6),
        emission=ACTIVE,
    ),
)
NUCLEI: Final = Extragalactic()
ALL: Final[tuple[Population | Extragalactic, ...]] = (NUCLEI, *GALACTIC)


@dataclass(frozen=True, slots=True)
class Census:
    """The sources of one population in a solid angle, by step of distance and of flux or luminosity.

    AGN have one step of distance. log_flux (d, m) erg cm-2 s-1, number (d, m): mean of each cell.
    """

    log_flux: Floats
    number: Floats
    nh: Floats  # (d,) 1e22 cm-2
    edge_kpc: Floats  # (d + 1,), infinite for AGN

    def above(self, log_flux: Floats) -> Floats:
        """Return N(>S), (n,), of unabsorbed fluxes, log S (n,)."""
        order = np.argsort(self.log_flux, axis=None)
        sums = np.concatenate([[0.0], np.cumsum(self.number.ravel()[order])])
        return sums[-1] - sums[np.searchsorted(self.log_flux.ravel()[order], log_flux)]

    def draw(self, n: int, rng: Generator, least: Floats) -> tuple[Floats, Floats, Floats]:
        """Return n sources of at least log flux `least` (d,): log flux, distance (kpc), nh (1e22 cm-2), (n,) each."""
        weight = np.where(self.log_flux >= least[:, None], self.number, 0.0).ravel()
        cell = np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random(n), side="right")
        at = cell // self.log_flux.shape[1]
        log_flux = self.log_flux.ravel()[cell] + STEP_DEX * (rng.random(n) - 0.5)
        near, far = self.edge_kpc[at], self.edge_kpc[at + 1]
        with np.errstate(invalid="ignore"):
            distance = np.where(np.isfinite(far), near * (far / near) ** rng.random(n), np.inf)
        return log_flux, distance, self.nh[at]

    def expected(self, least: Floats) -> float:
        """Return the mean number of sources of at least log flux `least` (d,)."""
        return float(self.number[self.log_flux >= least[:, None]].sum())


def census(population: Population | Extragalactic, sight: Sight, sky_sr: float) -> Census:
    """Return the sources of a population in a solid angle around a line of sight."""
    if isinstance(population, Extragalactic):
        edges = np.arange(-16.5, -10.0, STEP_DEX)
        number = -np.diff(population.number(10**edges)) * sky_sr * (180 / np.pi) ** 2
        log_flux = (edges[1:] + edges[:-1]) / 2
        return Census(log_flux[None], number[None], np.array([sight.column]), np.full(2, np.inf))
    log_l, share = population.luminosities.table()
    stars = sight.stars(population.layer_kpc, population.bulge) * sky_sr
    log_area = np.log10(4 * np.pi * sight.middle_kpc**2 * CM2_PER_KPC2)
    number = population.per_msun * stars[:, None] * share
    return Census(log_l - log_area[:, None], number, sight.nh, sight.edge_kpc)
