"""H- and He-like ions without data of their own, scaled from a neighbour along the sequence."""

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
