"""Bremsstrahlung of electrons: Koch-Motz 3BS(e) with the Elwert factor, in Geant4's Seltzer-Berger format."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ALPHA = 1 / 137.035999
RADIUS_CM = 2.8179403e-13  # classical electron radius
ELECTRON_MEV = 0.51099895
MILLIBARN = 1e27  # per cm2
ENERGY_MEV = np.geomspace(1e-3, 1e4, 57)
# Photon energy / electron energy: fine towards the tip, where the spectrum falls quickly.
SHARE = np.concatenate([[1e-12], np.linspace(0.025, 0.95, 38), 1 - np.geomspace(0.03, 1e-5, 10), [1.0]])


def scaled_spectrum(charge: int, energy_mev: float, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (beta^2 / Z^2) k dsigma/dk in mb, same shape as `share` (photon energy / electron kinetic energy).

    Koch & Motz 1959, Rev. Mod. Phys. 31, 920, formula 3BS(e), times Elwert 1939; Z (Z + 1) for the atom's electrons.
    Elwert's factor makes it rise in the last percents before the tip; it is kept level there.
    """
    first = 1 + energy_mev / ELECTRON_MEV  # total energies in units of the rest energy, before and after
    photon = np.clip(share, 1e-6, 1 - 1e-6) * energy_mev / ELECTRON_MEV
    last = first - photon
    beta_first, beta_last = np.sqrt(1 - 1 / first**2), np.sqrt(1 - 1 / last**2)
    screening = charge ** (1 / 3) / 111
    log_m = -np.log((photon / (2 * first * last)) ** 2 + screening**2)
    b = 2 * first * last * screening / photon
    arctan = np.arctan(b)
    ratio = last / first
    bracket = (1 + ratio**2 - 2 * ratio / 3) * (log_m + 1 - 2 / b * arctan) + ratio * (
        2 / b**2 * np.log(1 + b**2) + 4 * (2 - b**2) / (3 * b**3) * arctan - 8 / (3 * b**2) + 2 / 9
    )
    elwert = beta_first * (1 - np.exp(-2 * np.pi * charge * ALPHA / beta_first))
    elwert /= beta_last * (1 - np.exp(-2 * np.pi * charge * ALPHA / beta_last))
    spectrum = beta_first**2 * 2 * RADIUS_CM**2 * ALPHA * bracket * elwert * (1 + 1 / charge) * MILLIBARN
    # Geant4 samples below the value at the lowest share, and interpolates logarithms: no rise towards the tip, no 0.
    falling: NDArray[np.float64] = np.maximum(np.minimum.accumulate(spectrum), 0.05)
    return falling


def write(folder: Path, elements: Iterable[int]) -> None:
    """Write `br<Z>` for every element: header, shares, ln(energy / MeV), one row of the spectrum for each energy."""
    folder.mkdir(parents=True, exist_ok=True)
    for charge in elements:
        lines = [f"4 {SHARE.size} {ENERGY_MEV.size}", _row(SHARE, ".10g"), _row(np.log(ENERGY_MEV), ".8g")]
        lines += [_row(scaled_spectrum(charge, energy, SHARE), ".5E") for energy in ENERGY_MEV]
        (folder / f"br{charge}").write_text("\n".join(lines) + "\n")


def _row(values: NDArray[np.float64], form: str) -> str:
    return " ".join(format(float(value), form) for value in values)
