"""Absorption by the interstellar medium: the cross sections of TBabs with wilm abundances."""

from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from stream.spectra.grid import Floats, Grid

SOURCE: Final = "TBabs, wilm abundances (Wilms, Allen & McCray 2000, ApJ 542, 914)"
PARTS: Final = 4  # of a bin, over which the cross section is averaged: edges lie within bins


def cross_section(energy_kev: ArrayLike) -> Floats:
    """Return the cross section per H atom, 1e-22 cm2, of the shape of energy; beyond 0.1-20 keV its slope goes on."""
    x, y = _table()
    at = np.log(np.asarray(energy_kev, float))
    sigma = np.interp(at, x, y)
    sigma = np.where(at < x[0], y[0] + (at - x[0]) * _SLOPE_BELOW, sigma)
    return np.exp(np.where(at > x[-1], y[-1] + (at - x[-1]) * (y[-1] - y[-9]) / (x[-1] - x[-9]), sigma))


def mean_cross_section(grid: Grid) -> Floats:
    """Return the cross section averaged over each bin, 1e-22 cm2 (n,)."""
    steps = (np.arange(PARTS) + 0.5)[:, None] / PARTS
    return cross_section(grid.low + steps * grid.width).mean(axis=0)


_SLOPE_BELOW: Final = -2.8  # of H and He towards 30 eV; the end of the table is steeper by the last edge


@cache
def _table() -> tuple[Floats, Floats]:
    path = files("stream.spectra") / "data" / "tbabs.csv"
    energy, sigma = np.loadtxt(path.read_text().splitlines(), delimiter=",", unpack=True)
    return np.log(energy), np.log(sigma)
