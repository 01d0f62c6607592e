"""Neutron and photonuclear cross-sections of all elements, from closed formulae.

Good to some ten percent, which is enough here: with neutrons a thousand times rarer the background at 2-7 keV stays
the same within its error of 10 %.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.extra import import_xraylib

MB_TO_MM2 = 1e-25
HEAVIEST_TABLED = 92  # heavier ones are asked for, never used
HEAVY_MASS = 240


def write(folder: Path) -> None:
    """Write `neutron/{inel,el,cap}<Z>` (Z 1-92) and `gamma/inel<Z>` (Z 1-94)."""
    xraylib = import_xraylib()
    for below in ("neutron", "gamma"):
        (folder / below).mkdir(parents=True, exist_ok=True)
    inelastic_mev, elastic_mev = np.geomspace(0.2, 2e4, 101), np.geomspace(1e-5, 2e4, 181)
    capture_mev, gamma_mev = np.geomspace(1e-5, 20.0, 121), np.linspace(6.0, 130.0, 125)
    for charge in range(1, 95):
        mass = max(1, round(xraylib.AtomicWeight(charge))) if charge <= HEAVIEST_TABLED else HEAVY_MASS
        _vector(folder / "gamma" / f"inel{charge}", gamma_mev, photonuclear_mb(charge, mass, gamma_mev))
        if charge <= HEAVIEST_TABLED:
            neutron = folder / "neutron"
            _vector(neutron / f"inel{charge}", inelastic_mev, inelastic_mb(mass, inelastic_mev))
            _vector(neutron / f"el{charge}", elastic_mev, elastic_mb(mass, elastic_mev))
            _vector(neutron / f"cap{charge}", capture_mev, capture_mb(capture_mev))


def inelastic_mb(mass: int, energy_mev: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the non-elastic cross-section of neutrons, same shape, mb.

    Letaw, Silberberg & Tsao 1983, ApJS 51, 271, above 10 MeV; below, falling to a threshold of 1.5 MeV.
    """
    if mass < 2:
        return np.full_like(energy_mev, 1e-9)
    high = 45 * mass**0.7 * (1 + 0.016 * np.sin(5.3 - 2.63 * np.log(mass)))
    at = np.maximum(energy_mev, 10.0)
    section = high * (1 - 0.62 * np.exp(-at / 200) * np.sin(10.9 * at**-0.28))
    rise = np.where(energy_mev < 10, 1 - np.exp(-np.maximum(energy_mev - 1.5, 0) / 1.5), 1.0)
    result: NDArray[np.float64] = np.maximum(section * rise, 1e-9)
    return result


def elastic_mb(mass: int, energy_mev: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the elastic cross-section of neutrons, same shape, mb: a black disc of 1.3 fm A^(1/3) plus wavelength."""
    if mass < 2:  # hydrogen: 20 b at rest, falling above 60 keV
        slow = 20e3 / (1 + energy_mev / 0.06) ** 0.9
        return np.where(energy_mev < 20, slow, 1100 / (1 + np.maximum(energy_mev - 20, 0) / 40) + 23)
    wavelength = 4.55 / np.sqrt(np.clip(energy_mev, 0.05, 30.0))  # fm / (2 pi)
    disc = 2 * np.pi * (1.3 * mass ** (1 / 3) + np.minimum(wavelength, 4.0)) ** 2 * 10
    total = disc * np.where(energy_mev < 30, 1.0, (30 / energy_mev) ** 0.25)
    inelastic = inelastic_mb(mass, energy_mev)
    result: NDArray[np.float64] = np.maximum(total - inelastic, 0.3 * inelastic)
    return result


def capture_mb(energy_mev: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the capture cross-section of neutrons, same shape, mb: 200 mb at 25 meV, falling with velocity."""
    return 200 / np.sqrt(energy_mev / 2.5e-8)


def photonuclear_mb(charge: int, mass: int, energy_mev: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the photonuclear cross-section, same shape, mb.

    Giant dipole resonance: a Lorentzian 6 MeV wide at 31.2 A^-1/3 + 20.6 A^-1/6 MeV whose integral is the sum rule
    60 N Z / A MeV mb, over a flat 8 ub per nucleon.
    """
    peak, width = 31.2 * mass ** (-1 / 3) + 20.6 * mass ** (-1 / 6), 6.0
    shape = energy_mev**2 / ((energy_mev**2 - peak**2) ** 2 + (width * energy_mev) ** 2)
    section = 60 * charge * (mass - charge) / mass * 2 / np.pi * width * shape + 0.008 * mass
    return np.where(energy_mev < 8, 1e-6, section)


def _vector(path: Path, energy: NDArray[np.float64], section_mb: NDArray[np.float64]) -> None:
    pairs = " ".join(f"{e:.12g} {s * MB_TO_MM2:.8g}" for e, s in zip(energy.tolist(), section_mb.tolist(), strict=True))
    path.write_text(f"{energy[0]:.10g} {energy[-1]:.10g} {energy.size} {energy.size} {pairs}\n")
