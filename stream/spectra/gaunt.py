"""The free-free Gaunt factor of a thermal plasma."""

from typing import Final

import numpy as np
from scipy.special import k0e

from stream.spectra.grid import Floats

RYDBERG_KEV: Final = 0.0136057


def gaunt_factor(energy_kev: Floats, kt_kev: float, charge: int) -> Floats:
    """Return the thermally averaged Gaunt factor (n,): Born approximation, sqrt(3)/pi exp(u/2) K0(u/2), u = E/kT.

    Its Coulomb correction (Elwert) is left out: above 1 keV, and for H and He, it is below 10 %.
    """
    return np.sqrt(3) / np.pi * k0e(0.5 * energy_kev / kt_kev)
