"""Weak lines of the iron ions for which only the strongest are known, from the neighbours of the ion.

The L shell of iron shines in thousands of lines; those below 1 % of the strongest near them carry a third of it. They
are taken as the mean of the neighbours' weak lines for each ion, moved in energy. (Fe XX made so from Fe XIX and Fe
XXII has 0.74 of its own weak lines.)
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.sources.levels import Lines

Floats = NDArray[np.float64]
NEIGHBOURS: Final = {"fe_17": ("fe_18",), "fe_21": ("fe_20", "fe_22"), "fe_23": ("fe_22", "fe_24")}
BAND_KEV: Final = (0.6, 2.1)
SHIFT: Final = 2 / 3  # of the logarithm: the 2p-3d lines of Fe XX to XXIV against the ionisation potential


def weak(lines: Lines, strongest: int) -> tuple[Floats, Floats]:
    """Return energies (m,) and rates (m, k) of the lines in BAND_KEV less so many of the strongest (peak of energy)."""
    inside = (lines.energy_kev > BAND_KEV[0]) & (lines.energy_kev < BAND_KEV[1])
    energy, rate = lines.energy_kev[inside], lines.rate[inside]
    order = np.argsort(rate.max(1) * energy)[: max(len(energy) - strongest, 0)]
    return energy[order], rate[order]


def move(energy_kev: Floats, potential_kev: float, own_potential_kev: float) -> Floats:
    """Return the energies of a neighbour's lines in an ion of another ionisation potential."""
    return energy_kev * (own_potential_kev / potential_kev) ** SHIFT


def count_strong(energy_kev: Floats) -> int:
    """Return how many of these lines are in BAND_KEV."""
    return int(((energy_kev > BAND_KEV[0]) & (energy_kev < BAND_KEV[1])).sum())
