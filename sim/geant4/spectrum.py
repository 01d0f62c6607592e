"""Galactic cosmic-ray protons near Earth: local interstellar spectrum and force field."""

import math

import numpy as np
from numpy.typing import NDArray

PROTON_GEV = 0.938272  # rest energy
PHI_GV = 0.38  # solar modulation that reproduces the energies of the MIT Geant4 run (KS 0.0034)
FLUX_CM2_S = 4.1  # protons through a small sphere, over its cross-section, from all sides (MIT post-processing scripts)
ALPHAS = 7 / 5  # what the same scripts multiply the protons with, to stand for alphas and heavier nuclei
LOWEST_GEV, HIGHEST_GEV = 0.01, 300.0


def force_field(energy_gev: NDArray[np.float64], phi_gv: float = PHI_GV) -> NDArray[np.float64]:
    """Return the differential flux of protons, same shape, 1/(m2 s sr GeV), at kinetic energies (GeV).

    J(T) = J_LIS(T + phi) T (T + 2 m) / ((T + phi) (T + phi + 2 m)), J_LIS = 1.9e4 P^-2.78 / (1 + 0.4866 P^-2.51),
    P = sqrt(T (T + 2 m)): Burger et al. 2000; Usoskin et al. 2005, JGR 110, A12108. Its shape is what counts here; the
    normalisation is FLUX_CM2_S.
    """
    inside = energy_gev + phi_gv
    momentum = np.sqrt(inside * (inside + 2 * PROTON_GEV))
    interstellar = 1.9e4 * momentum**-2.78 / (1 + 0.4866 * momentum**-2.51)
    flux: NDArray[np.float64] = (
        interstellar * energy_gev * (energy_gev + 2 * PROTON_GEV) / (inside * (inside + 2 * PROTON_GEV))
    )
    return flux


def cumulative(phi_gv: float = PHI_GV, points: int = 6000) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return kinetic energies (GeV, logarithmic) and the share of protons below each, (points,) float64, 0 to 1."""
    energy = np.geomspace(LOWEST_GEV, HIGHEST_GEV, points)
    per_log = force_field(energy, phi_gv) * energy
    share = np.concatenate([[0.0], np.cumsum(0.5 * (per_log[1:] + per_log[:-1]) * np.diff(np.log(energy)))])
    return energy, share / share[-1]


def energies(uniform: NDArray[np.float64], phi_gv: float = PHI_GV) -> NDArray[np.float64]:
    """Return the kinetic energies (GeV) below which these shares of the protons lie, same shape."""
    energy, share = cumulative(phi_gv)
    result: NDArray[np.float64] = np.exp(np.interp(uniform, share, np.log(energy)))
    return result


def per_second(sphere_radius_mm: float) -> float:
    """Return the protons that enter the sphere each second: flux * pi R2; ALPHAS is not in it."""
    return FLUX_CM2_S * math.pi * (sphere_radius_mm / 10) ** 2
