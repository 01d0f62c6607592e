"""Free-free, free-bound and two-photon continua of an optically thin plasma."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

from config.errors import ConfigError
from sim.sources.chianti import K_KEV, RYDBERG_KEV

Floats = NDArray[np.float64]
ELECTRON_KEV: Final = 510.99895
C_CM_S: Final = 2.99792458e10
# 2^5 pi e^6 / (3 m c^3) (2 pi / 3 k m)^1/2 / h in photons cm3 s-1 K^1/2, Rybicki & Lightman 1979 eq. 5.14a
FREE_FREE: Final = 6.84209e-38 / 6.62607015e-27
KRAMERS_CM2: Final = 7.9071e-18  # 64 alpha pi a0^2 / (3 sqrt 3), photoionisation of hydrogen at threshold, g = 1
SHELLS: Final = 20  # the weight of a shell falls with n^-3


class Gaunt:
    """Thermally averaged free-free Gaunt factor.

    Sutherland 1998, MNRAS 300, 321 (exact, non-relativistic), times the ratio of Itoh et al. 2000, ApJS 128, 125
    (relativistic, 6 <= log T <= 8.5, -4 <= log u <= 1) to it; outside of Itoh's limits the ratio of the limit.
    """

    def __init__(self, sutherland: str, itoh: str) -> None:
        """Take the text of CHIANTI's gffgu.dat (gamma^2, u, g) and itoh.dat (11 x 11 coefficients for each Z)."""
        rows = [line.split() for line in sutherland.splitlines() if line.strip()[:1].isdigit()]
        table = np.array([row for row in rows if len(row) == 3], float)
        gamma, u = np.unique(table[:, 0]), np.unique(table[:, 1])
        self.coefficients = np.array(itoh.split(), float).reshape(-1, 11, 11)
        if len(table) != len(gamma) * len(u):
            raise ConfigError("gffgu.dat: expected a full table of gamma^2 by u")
        grid = table[np.lexsort((table[:, 1], table[:, 0])), 2].reshape(len(gamma), len(u))
        self.exact = RectBivariateSpline(np.log10(gamma), np.log10(u), np.log(grid))

    def __call__(self, energy_kev: Floats, temperature: float, charge: int) -> Floats:
        """Return the factor (n,) for photons of these energies."""
        log_u = np.log10(energy_kev / (temperature * K_KEV))
        log_gamma = float(np.log10(charge**2 * 157887.5 / temperature))
        inside, log_t = np.clip(log_u, -4, 1), float(np.clip(np.log10(temperature), 6, 8.5))
        at_limit = float(np.log10(charge**2 * 157887.5)) - log_t
        t = ((log_t - 7.25) / 1.25) ** np.arange(11)
        powers = ((inside + 1.5) / 2.5)[:, None] ** np.arange(11)
        relativistic = powers @ (t @ self.coefficients[charge - 1])
        ratio = relativistic / np.exp(self.exact(at_limit, inside, grid=False))
        return ratio * np.exp(self.exact(log_gamma, log_u, grid=False))


def free_free(edges_kev: Floats, temperature: float, charge: int, gaunt: Gaunt) -> Floats:
    """Return photons per bin (n,), cm3 s-1 for each electron and ion of this charge."""
    kt = temperature * K_KEV
    mid, width = 0.5 * (edges_kev[1:] + edges_kev[:-1]), np.diff(edges_kev)
    spectrum = np.exp(-mid / kt) * gaunt(mid, temperature, charge) / mid
    return FREE_FREE * charge**2 / np.sqrt(temperature) * spectrum * width


def gaunt_bound(n: int, excess: Floats) -> Floats:
    """Return the bound-free Gaunt factor (any,) of shell n, excess = electron energy / binding (Seaton 1959 eq. 1)."""
    scale = (n * (excess + 1)) ** (2 / 3)
    first = 0.1728 * (excess - 1) / scale
    second = 0.0496 * (excess**2 + 4 / 3 * excess + 1) / scale**2
    return np.maximum(1 + first - second, 0.1)


def recombine(edges_kev: Floats, temperature: float, n: int, binding_kev: float, vacancies: float) -> Floats:
    """Return photons per bin (m,) of capture into shell n, cm3 s-1 for each electron and ion.

    Kramers' cross section at the charge that gives this binding, times the Gaunt factor, by Milne's relation.

    Args:
        edges_kev: (m + 1,) rising.
        temperature: K.
        n: shell, 2 n^2 places of which `vacancies` are empty.
        binding_kev: energy of a photon from an electron at rest.
        vacancies: empty places.

    """
    kt = temperature * K_KEV
    low, high = np.maximum(edges_kev[:-1], binding_kev), np.maximum(edges_kev[1:], binding_kev)
    mid = 0.5 * (low + high)
    exponential = kt * (np.exp(-(low - binding_kev) / kt) - np.exp(-(high - binding_kev) / kt))
    cross = KRAMERS_CM2 * RYDBERG_KEV / (n * binding_kev) * (binding_kev / mid) ** 3
    milne = vacancies * mid**2 / (2 * ELECTRON_KEV) * cross * gaunt_bound(n, (mid - binding_kev) / binding_kev)
    return C_CM_S * np.sqrt(2 / ELECTRON_KEV) * 2 / np.sqrt(np.pi) * kt**-1.5 * milne * exponential


def shells(charge: int, electrons: int, potential_kev: float) -> list[tuple[int, float, float]]:
    """Return (n, binding keV, vacancies) of the shells that an ion of this charge recombines into.

    The first is the shell that the recombined ion ionises from (of `electrons`, potential); those above are hydrogenic.
    """
    outer = 1 if electrons <= 2 else 2 if electrons <= 10 else 3
    inner = {1: 0, 2: 2, 3: 10}[outer]
    found = [(outer, potential_kev, 2.0 * outer**2 - (electrons - 1 - inner))]
    for n in range(outer + 1, SHELLS + 1):
        found.append((n, charge**2 * RYDBERG_KEV / n**2, 2.0 * n**2))
    return found


def free_bound(edges_kev: Floats, temperature: float, charge: int, electrons: int, potential_kev: float) -> Floats:
    """Return photons per bin (m,) of recombination of such an ion; electrons, potential: of what it becomes."""
    total = np.zeros(len(edges_kev) - 1)
    for n, binding, vacancies in shells(charge, electrons, potential_kev):
        total += recombine(edges_kev, temperature, n, binding, vacancies)
    return total


def two_photon(edges_kev: Floats, energy_kev: float) -> Floats:
    """Return how the two photons of one decay (2 in all) spread over bins (n,): hydrogen's 2s, for all ions.

    Nussbaumer & Schmutz 1984, A&A 138, 495, eq. 2.
    """
    y = np.linspace(0, 1, 2001)
    w = y * (1 - y)
    density = w * (1 - (4 * w) ** 0.8) + 0.88 * w**1.53 * (4 * w) ** 0.8
    cumulative = np.concatenate([[0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    at = np.interp(edges_kev / energy_kev, y, 2 * cumulative / cumulative[-1])
    return np.diff(at)
