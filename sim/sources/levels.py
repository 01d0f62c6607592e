"""Coronal limit: what goes up from the ground level, or recombines into a level, comes down again in photons.

Each collision finds its ion in the ground level (electron density far below what any metastable level feels, as in
APEC's and XSPEC's tables), so populations are one sparse linear system for each ion, solved once for all temperatures.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import splu

from sim.sources.chianti import K_KEV, RYDBERG_KEV, Excitation, Ion

Floats = NDArray[np.float64]
COLLISION: Final = 8.62913e-6  # cm3 s-1 K^1/2: h^2 / (2 pi m)^1.5 / k^0.5
SAHA: Final = 2.07066e-16  # cm3 K^1.5: (h^2 / (2 pi m k))^1.5 / 2


@dataclass(frozen=True, slots=True)
class Lines:
    """Photons of one ion for each ion and electron: `rate` (n, k) cm3 s-1 at `energy_kev` (n,); `pairs`: two-photon."""

    energy_kev: Floats
    rate: Floats
    pair_energy_kev: Floats  # (m,) of both photons together
    pair_rate: Floats  # (m, k)


def strength(transition: Excitation, temperature: Floats) -> Floats:
    """Return the effective collision strength (k,), Burgess & Tully 1992 eqs. 5-13."""
    c = transition.constant
    e = temperature * K_KEV / (transition.energy_ryd * RYDBERG_KEV)
    logarithmic = transition.kind in (1, 4)
    x = 1 - np.log(c) / np.log(e + c) if logarithmic else e / (e + c)
    y = CubicSpline(transition.x, transition.y)(np.clip(x, 0, 1))
    match transition.kind:
        case 1:
            y = y * np.log(e + np.e)
        case 3:
            y = y / (e + 1)
        case 4:
            y = y * np.log(e + c)
        case 5:
            y = y / e
        case 6:
            y = 10.0**y
    return np.maximum(y, 0)


def excite(transition: Excitation, ground_weight: float, temperature: Floats) -> Floats:
    """Return the rate coefficient (k,) cm3 s-1 of an excitation from the ground level."""
    boltzmann = np.exp(-transition.energy_ryd * RYDBERG_KEV / (K_KEV * temperature))
    return COLLISION / ground_weight / np.sqrt(temperature) * strength(transition, temperature) * boltzmann


def capture(ion: Ion, upper: int, rate: float, temperature: Floats) -> Floats:
    """Return the coefficient (k,) cm3 s-1 of dielectronic capture by detailed balance with autoionisation.

    From the ground level of the next ion, whose weight is that of one (H-like) or no (He-like, bare) free spin.
    """
    excess = max(ion.energy_kev[upper] - ion.potential_kev, 0.0)
    boltzmann = np.exp(-excess / (K_KEV * temperature))
    return SAHA * temperature**-1.5 * ion.weight[upper] * rate * boltzmann


def cascade(ion: Ion, temperature: Floats, above: Floats, next_weight: float, extra: dict[int, Floats]) -> Lines:
    """Return the lines of an ion, rates for each of its own ions (and electrons).

    Args:
        ion: its levels and rates.
        temperature: (k,) K.
        above: (k,) ions of the next stage for each of this.
        next_weight: statistical weight of the ground level of the next stage.
        extra: more recombination into levels, (k,) cm3 s-1 for each ion of the next stage.

    """
    place = {level: n for n, level in enumerate(level for level in ion.weight if level != 1)}
    feeding = np.zeros((len(place), len(temperature)))
    for transition in ion.excitations:
        if transition.upper in place:
            feeding[place[transition.upper]] += excite(transition, ion.weight[1], temperature)
    for upper, t, alpha in ion.recombination:
        if upper in place:
            feeding[place[upper]] += above * _along(t, alpha, temperature)
    for upper, alpha in extra.items():
        feeding[place[upper]] += above * alpha
    loss = np.zeros(len(place))
    for lower, upper, rate in ion.autoionisation:
        loss[place[upper]] += rate
        if lower == 1:
            feeding[place[upper]] += above / next_weight * capture(ion, upper, rate, temperature)
    return _photons(ion, place, feeding, loss)


def _photons(ion: Ion, place: dict[int, int], feeding: Floats, loss: Floats) -> Lines:
    """Return the lines that the levels send out when each is fed with so much (n, k) and autoionises at `loss` (n,)."""
    decays = [d for d in ion.decays if d[1] in place and d[0] != d[1]]
    lower = np.array([place.get(d[0], -1) for d in decays])
    upper = np.array([place[d[1]] for d in decays])
    energy, rate = np.array([d[2] for d in decays]), np.array([d[3] for d in decays])
    total = loss + np.bincount(upper, rate, len(place))
    total[total == 0] = 1.0  # no way down known: not counted
    down = lower >= 0
    shape = (len(place), len(place))
    # Branching ratios, so that rates from 1e-5 to 1e15 s-1 stay well-conditioned: unknowns are decays per second.
    gain = coo_matrix((rate[down] / total[upper[down]], (lower[down], upper[down])), shape)
    flow = splu((diags(np.ones(len(place))) - gain).tocsc()).solve(feeding)
    photons = (rate / total[upper])[:, None] * np.maximum(flow, 0)[upper]
    pair = (energy == 0) & (lower < 0)
    levels = {n: level for level, n in place.items()}
    pair_energy = np.array([ion.energy_kev[levels[u]] for u in upper[pair]])
    line = energy > 0
    return Lines(energy[line], photons[line], pair_energy, photons[pair])


def _along(t: Floats, alpha: Floats, temperature: Floats) -> Floats:
    """Return a coefficient between its points, straight in both logarithms, its end slopes outside."""
    known = alpha > 0
    if known.sum() < 2:
        return np.zeros_like(temperature)
    x, y = np.log(t[known]), np.log(alpha[known])
    at = np.log(temperature)
    inside = np.interp(at, x, y)
    high = y[-1] + (at - x[-1]) * (y[-1] - y[-2]) / (x[-1] - x[-2])
    low = y[0] + (at - x[0]) * (y[1] - y[0]) / (x[1] - x[0])
    return np.exp(np.where(at > x[-1], high, np.where(at < x[0], low, inside)))
