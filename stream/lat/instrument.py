"""Effective area and PSF of the LAT, by energy, angle to its axis and type of conversion.

The PSF of a photon of energy E at scaled angle x = theta / S(E), S = sqrt((c0 (E / 100 MeV)^beta)^2 + c1^2), is
f K(x, sc, gc) + (1 - f) K(x, st, gt), f = 1 / (1 + n st^2 / sc^2), with King functions
K(x, s, g) = (1 - 1/g) (1 + x^2 / (2 g s^2))^-g / (2 pi s^2), all of them by energy and angle (Ackermann et al. 2013,
ApJ 765, 54; Fermi-LAT's Cicerone).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.lat.bands import TYPES

Floats = NDArray[np.float64]
KING = ("NTAIL", "SCORE", "STAIL", "GCORE", "GTAIL")


@dataclass(frozen=True, slots=True)
class Grid:
    """Values on a grid of energies and angles, interpolated linearly in ln energy and cosine; constant beyond."""

    log_energy: Floats  # (e,) of MeV, rising
    cosine: Floats  # (c,) of the angle to the axis, rising

    def weights(self, energy_mev: ArrayLike, cosine: ArrayLike) -> tuple[Floats, Floats]:
        """Return interpolation weights (n, e) and (m, c)."""
        return _hats(self.log_energy, np.log(np.atleast_1d(energy_mev))), _hats(self.cosine, np.atleast_1d(cosine))

    def at(self, values: Floats, energy_mev: ArrayLike, cosine: ArrayLike) -> Floats:
        """Return values (c, e) at every energy (n,) and cosine (m,): (n, m)."""
        by_energy, by_cosine = self.weights(energy_mev, cosine)
        return np.asarray(by_energy @ values.T @ by_cosine.T)


def _hats(knots: Floats, at: ArrayLike) -> Floats:
    place = np.interp(np.asarray(at, float), knots, np.arange(len(knots)))
    return np.clip(1 - np.abs(place[:, None] - np.arange(len(knots))), 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Optics:
    """One type of conversion."""

    area_grid: Grid
    area_m2: Floats  # (c, e)
    psf_grid: Grid
    king: dict[str, Floats]  # KING -> (c, e)
    scaling: tuple[float, float, float]  # c0, c1 (radians), beta

    def scale_rad(self, energy_mev: ArrayLike) -> Floats:
        """Return S(E), radians."""
        c0, c1, beta = self.scaling
        return np.asarray(np.sqrt((c0 * (np.asarray(energy_mev, float) / 100) ** beta) ** 2 + c1**2))


@dataclass(frozen=True, slots=True)
class Instrument:
    """The responses of both types of conversion, and where they are from."""

    optics: tuple[Optics, Optics]  # in the order of TYPES
    about: str

    def area_cm2(self, kind: int, energy_mev: ArrayLike, cosine: ArrayLike) -> Floats:
        """Return the effective area, cm2, of type `kind` at energies (n,) and cosines (m,): (n, m)."""
        one = self.optics[kind]
        return 1e4 * one.area_grid.at(one.area_m2, energy_mev, cosine)

    def psf(self, kind: int, energy_mev: float, cosine: ArrayLike, theta_rad: ArrayLike) -> Floats:
        """Return the PSF, sr-1, of photons of one energy at cosines (m,) and separations (k,) radians: (m, k)."""
        one = self.optics[kind]
        n, sc, st, gc, gt = (one.psf_grid.at(one.king[name], energy_mev, cosine)[0][:, None] for name in KING)
        scale = float(one.scale_rad(energy_mev))
        x2 = (np.asarray(theta_rad, float)[None] / scale) ** 2
        core = 1 / (1 + n * st**2 / sc**2)
        return (core * _king(x2, sc, gc) + (1 - core) * _king(x2, st, gt)) / scale**2

    def acceptance_cm2_sr(self, kind: int, energy_mev: ArrayLike, least_cosine: float = 0.2) -> Floats:
        """Return the effective area integrated over the field of view, (n,) cm2 sr."""
        cosine = np.linspace(least_cosine, 1.0, 161)
        return np.asarray(2 * np.pi * np.trapezoid(self.area_cm2(kind, energy_mev, cosine), cosine, axis=1))


def _king(x2: Floats, sigma: Floats, gamma: Floats) -> Floats:
    return (1 - 1 / gamma) * (1 + x2 / (2 * gamma * sigma**2)) ** -gamma / (2 * np.pi * sigma**2)


def kind_of(name: str) -> int:
    """Return the place of "front" or "back" in TYPES."""
    return TYPES.index(name)
