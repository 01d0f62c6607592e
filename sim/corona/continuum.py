"""The table of continua that ships with `stream.corona`: free-free, free-bound and two-photon, by element.

    python -m sim.corona.continuum OUT --ions chianti_10.1_key_ions.tar.gz

First principles as in sim/sources/continuum.py, at low density; two-photon light of the ions that the tar has.
"""

import argparse
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigError
from sim.sources.abundances import SYMBOLS, split_ion
from sim.sources.chianti import ANGSTROM_KEV, Database
from sim.sources.continuum import two_photon
from sim.sources.plasma import NORM, Plasma
from sim.sources.sequence import BORROWED
from stream.corona.continuum import Continuum, pack
from stream.corona.lines import shipped_lines

Floats = NDArray[np.float64]
EDGES_A: Final = np.geomspace(1.0, 500.0, 301)
HELIUM: Final = 10.914  # log10 by number + 12 of sun_coronal_2021, as the lines


def continuum_of(database: Database, element: str, abundance: float, log_t: Floats) -> Floats:
    """Return photons cm-2 s-1 A-1 (T, W) of one element for norm 1; abundance: log10 by number + 12."""
    charge = SYMBOLS[element]
    edges_kev = ANGSTROM_KEV / EDGES_A[::-1]
    plasma = Plasma(database, None, log_t, edges_kev, {charge: 10 ** (abundance - 12)})
    total = plasma.continuum()
    own = set(database.ions)
    for name in sorted(own | {name for name, source in BORROWED.items() if source in own}):
        if split_ion(name)[0] == charge:
            total += pairs_of(plasma, name)
    return NORM * total[:, ::-1] / np.diff(EDGES_A)


def pairs_of(plasma: Plasma, name: str) -> Floats:
    """Return two-photon light of one ion (T, bins), cm3 s-1 per electron and hydrogen nucleus."""
    charge, stage = split_ion(name)
    ions, above = plasma.share(charge, stage), plasma.share(charge, stage + 1)
    found = plasma.solve(charge, stage, plasma.ion(name), above / np.where(ions > 0, ions, 1.0))
    total = np.zeros((len(ions), len(plasma.edges) - 1))
    for energy, rate in zip(found.pair_energy_kev, found.pair_rate, strict=True):
        total += (rate * ions)[:, None] * two_photon(plasma.edges, energy)
    return total


def main() -> None:
    """Make the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--ions", required=True, help="tar of CHIANTI files")
    arguments = parser.parse_args()
    lines = shipped_lines()
    abundance = {"h": 12.0, "he": HELIUM, **lines.abundance}
    try:
        database = Database(arguments.ions)
    except ConfigError as fault:
        parser.exit(2, f"{fault}\n")
    each = [continuum_of(database, name, log, lines.log_t) for name, log in abundance.items()]
    middle = np.sqrt(EDGES_A[1:] * EDGES_A[:-1])
    table = Continuum(tuple(abundance), lines.log_t, middle, np.log(np.maximum(each, 1e-300)).astype(np.float32))
    with arguments.out.open("wb") as file:
        np.savez_compressed(file, **pack(table))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
