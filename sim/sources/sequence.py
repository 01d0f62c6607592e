"""Ions without data of their own, scaled along the sequence: H- and He-like ones, and satellites of Li-like ones."""

from dataclasses import replace
from typing import Final

from sim.sources.chianti import Ion

BORROWED: Final = {  # ion without collision data: neighbour that has them
    "c_5": "n_6",
    "na_10": "mg_11",
    "na_11": "mg_12",
    "al_12": "si_13",
    "al_13": "si_14",
    "ar_17": "ca_19",
    "ar_18": "ca_20",
    "ni_27": "fe_25",
    "ni_28": "fe_26",
}
SATELLITES: Final = ("o_6", "ne_8", "na_9", "mg_10", "al_11", "si_12", "s_14", "ar_16", "ca_18", "ni_26")
SATELLITES_FROM: Final = "fe_24"


def borrow(ion: Ion, name: str, potential_kev: float) -> Ion:
    """Return an ion with its energies scaled to another ionisation potential.

    With s the ratio of potentials (Z^2): energies and temperatures go with s, collision strengths with 1/s, rates of
    decay with s^2, recombination with sqrt(s) at the same kT / energy. Satellites are left out.
    """
    s = potential_kev / ion.potential_kev
    return replace(
        ion,
        name=name,
        energy_kev={level: e * s for level, e in ion.energy_kev.items()},
        decays=[(lower, upper, e * s, rate * s * s) for lower, upper, e, rate in ion.decays],
        excitations=[replace(x, energy_ryd=x.energy_ryd * s, y=x.y / s) for x in ion.excitations],
        autoionisation=[],
        recombination=[(upper, t * s, alpha * s**0.5) for upper, t, alpha in ion.recombination],
        potential_kev=potential_kev,
    )


def borrow_satellites(ion: Ion, name: str, ratio: float, potential_kev: float) -> Ion:
    """Return a Li-like ion that only catches electrons into its doubly excited levels and radiates from them.

    Energies go with `ratio` (that of the resonance lines of the He-like ions), rates of decay with its square,
    autoionisation not at all (to first order in 1/Z). Decays below the ionisation potential are left out.
    """
    energy = {level: e * ratio for level, e in ion.energy_kev.items()}
    caught = [(lower, upper, rate) for lower, upper, rate in ion.autoionisation if energy[upper] > potential_kev]
    decays = [(lower, upper, e * ratio, rate * ratio**2) for lower, upper, e, rate in ion.decays]
    return replace(
        ion,
        name=name,
        energy_kev=energy,
        decays=[d for d in decays if d[2] > potential_kev],
        excitations=[],
        autoionisation=caught,
        recombination=[],
        potential_kev=potential_kev,
    )


def resonance_kev(ion: Ion) -> float:
    """Return the energy of the strongest decay to the ground level from n = 2, 1s2 - 1s2p of a He-like ion."""
    below = 0.8 * ion.potential_kev
    return max((rate, e) for lower, _, e, rate in ion.decays if lower == 1 and 0 < e < below)[1]
