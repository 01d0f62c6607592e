"""Absorption by the interstellar medium: the cross sections of TBabs with wilm abundances."""

from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.spectra.grid import Floats, Grid

SOURCE: Final = "TBabs, wilm abundances (Wilms, Allen & McCray 2000, ApJ 542, 914)"
SLOPE_BELOW: Final = -2.8  # of log sigma by log E below 0.1 keV, where H and He absorb
SLOPE_ABOVE: Final = -3.0  # above 20 keV


def cross_section(energy_kev: ArrayLike) -> Floats:
    """Return the cross section per H atom, 1e-22 cm2, of the shape of energy; beyond 0.1-20 keV a power law goes on."""
    at = np.log(np.asarray(energy_kev, float))
    x, y, slopes, _ = _table()
    i = _segment(x, at)
    return np.exp(y[i] + (at - x[i]) * slopes[i])


def mean_cross_section(grid: Grid) -> Floats:
    """Return the cross section averaged over each bin, 1e-22 cm2 (n,): exact, for edges lie within bins."""
    return (_integral(grid.high) - _integral(grid.low)) / grid.width


def _integral(energy_kev: Floats) -> Floats:
    """Return the integral of the cross section from the table's lowest energy on, (n,)."""
    x, y, slopes, whole = _table()
    at = np.log(energy_kev)
    i = _segment(x, at)
    power = slopes[i] + 1.0
    start = np.exp(x[i] + y[i])
    return whole[i] + start * np.expm1(power * (at - x[i])) / power


def _segment(x: Floats, at: Floats) -> NDArray[np.intp]:
    return np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 1)


@cache
def _table() -> tuple[Floats, Floats, Floats, Floats]:
    """Return knots of log energy and log cross section, the slope from each on and the integral up to each.

    The first knot stands for all below the table, the last for all above it.
    """
    path = files("stream.spectra") / "data" / "tbabs.csv"
    energy, sigma = np.loadtxt(path.read_text().splitlines(), delimiter=",", unpack=True)
    low = energy[0] / 1e3
    x = np.log(np.append(low, energy))
    y = np.log(np.append(sigma[0] * (low / energy[0]) ** SLOPE_BELOW, sigma))
    slopes = np.append(np.diff(y) / np.diff(x), SLOPE_ABOVE)
    slopes[np.abs(slopes + 1) < 1e-6] += 2e-6  # the integral of 1/E would need its own form
    parts = np.exp(x[:-1] + y[:-1]) * np.expm1((slopes[:-1] + 1) * np.diff(x)) / (slopes[:-1] + 1)
    return x, y, slopes, np.concatenate([[0.0], np.cumsum(parts)])
