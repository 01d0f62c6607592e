"""The free-free Gaunt factor of a thermal plasma: exact and not relativistic, tabulated by `bench/sources/gaunt.py`."""

from functools import cache
from importlib.resources import as_file, files
from typing import Any, Final

import numpy as np
from scipy.interpolate import RectBivariateSpline

from stream.spectra.grid import Floats

RYDBERG_KEV: Final = 0.0136056931
HELIUM: Final = 0.085  # by number: as XSPEC's bremss


def gaunt_sum(energy_kev: Floats, kt_kev: float) -> tuple[Floats, Floats]:
    """Return the thermally averaged Gaunt factor of H plus He, sum of Z^2 n_Z/n_H g_Z, and its derivative by ln kT.

    (n,) each. Karzas & Latter 1961 (ApJS 6, 167); beyond the table (u = E/kT of 1e-4 to 100) its edges hold.
    """
    (lowest, highest), (first, last), table = _table()
    at = np.clip(np.log10(energy_kev / kt_kev), first, last)
    order = np.argsort(at, kind="stable")  # on a grid the spline is five times faster than point by point
    charge, abundance = np.array([[1.0], [2.0]]), np.array([[1.0], [HELIUM]])
    gamma2 = np.clip(np.log10(charge[:, 0] ** 2 * RYDBERG_KEV / kt_kev), lowest, highest)
    each = charge**2 * abundance * np.exp(table(gamma2, at[order]))
    by_log = table(gamma2, at[order], dx=1) + table(gamma2, at[order], dy=1)
    total, slope = np.empty(len(at)), np.empty(len(at))
    total[order] = each.sum(axis=0)
    slope[order] = -(each * by_log).sum(axis=0) / np.log(10)
    return total, slope


@cache
def _table() -> tuple[tuple[float, float], tuple[float, float], Any]:
    """Return the limits of log gamma^2 and of log u, and the cubic spline of ln g over both."""
    with as_file(files("stream.spectra") / "data" / "gaunt.npz") as path, np.load(path) as held:
        gamma2, u = held["log_gamma2"].astype(float), held["log_u"].astype(float)
        spline = RectBivariateSpline(gamma2, u, held["log_gaunt"].astype(float))
    return (gamma2[0], gamma2[-1]), (u[0], u[-1]), spline
