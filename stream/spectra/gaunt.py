"""The free-free Gaunt factor of a thermal plasma: exact and not relativistic, tabulated by `bench/sources/gaunt.py`."""

from functools import cache
from importlib.resources import as_file, files
from typing import Any, Final

import numpy as np
from scipy.interpolate import CubicSpline

from stream.spectra.grid import Floats

RYDBERG_KEV: Final = 0.0136056931
HELIUM: Final = 0.085  # by number: as XSPEC's bremss


def gaunt_sum(energy_kev: Floats, kt_kev: float) -> tuple[Floats, Floats]:
    """Return the thermally averaged Gaunt factor of H plus He, sum of Z^2 n_Z/n_H g_Z, and its derivative by ln kT.

    (n,) each. Karzas & Latter 1961 (ApJS 6, 167); beyond the table (u = E/kT of 1e-4 to 100) its edges hold.
    """
    log_u, by_gamma = _table()
    total, slope = np.zeros(len(log_u)), np.zeros(len(log_u))
    for charge, abundance in ((1, 1.0), (2, HELIUM)):
        gamma2 = np.clip(np.log10(charge**2 * RYDBERG_KEV / kt_kev), by_gamma.x[0], by_gamma.x[-1])
        each = charge**2 * abundance * np.exp(by_gamma(gamma2))
        total += each
        slope -= each * by_gamma(gamma2, 1) / np.log(10)
    along = CubicSpline(log_u, np.column_stack([np.log(total), slope / total]))
    at = np.clip(np.log10(energy_kev / kt_kev), log_u[0], log_u[-1])
    value = along(at)
    gaunt = np.exp(value[:, 0])
    return gaunt, gaunt * (value[:, 1] - along(at, 1)[:, 0] / np.log(10))


@cache
def _table() -> tuple[Floats, Any]:
    with as_file(files("stream.spectra") / "data" / "gaunt.npz") as path, np.load(path) as held:
        return held["log_u"], CubicSpline(held["log_gamma2"], held["log_gaunt"].astype(float))
