"""The plasma of clusters: the table that ships with the spectral engine (kT up to 27 keV), continued to 86 keV.

    python -m sim.crosscal.hot OUT --ions chianti_10.1_key_ions.tar.gz --gofnt chianti_gofnt.npz

A true 15 keV seen through a wrong area may be fitted with twice as much. Made as `sim.sources.plasma` makes its own.
Beyond log T 8.5 the relativistic part of the Gaunt factor is held as it is there, and electron-electron light is left
out; nothing checks it (APEC's files end there too): no cluster is so hot, it gives fits a place to end.
"""

import argparse
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

import numpy as np

from config.errors import ConfigError
from sim.sources.abundances import ASPL
from sim.sources.chianti import Database
from sim.sources.emissivities import Emissivities
from sim.sources.plasma import EDGES_KEV, Plasma
from stream.spectra.table import PlasmaTable, shipped_table

LOG_T: Final = np.round(np.arange(8.525, 9.0001, 0.025), 3)


@cache
def cluster_table() -> PlasmaTable:
    """Return the shipped table with its continuation. Raises ConfigError where one of both is missing."""
    table, path = shipped_table(), files("sim.crosscal") / "data" / "hot.npz"
    if not path.is_file():
        raise ConfigError("this installation has no sim/crosscal/data/hot.npz: make it by python -m sim.crosscal.hot")
    with as_file(path) as real, np.load(real, allow_pickle=False) as held:
        log_t = np.concatenate([table.log_t, held["log_t"].astype(float)])
        assert table.metals is not None
        photons, metals = np.vstack([table.photons, held["photons"]]), np.vstack([table.metals, held["metals"]])
    return PlasmaTable(log_t, table.edges_kev, photons, "shipped, continued to log T 9.0", metals)


def main() -> None:
    """Make the continuation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--ions", required=True, help="tar of CHIANTI files")
    parser.add_argument("--gofnt", required=True, help="npz of line emissivities")
    arguments = parser.parse_args()
    try:
        database = Database(arguments.ions)
        lines = Emissivities.read(arguments.gofnt, database.fractions, database.log_t)
    except ConfigError as fault:
        parser.exit(2, f"{fault}\n")
    parts = ({z: a for z, a in ASPL.items() if (z > 2) == heavy} for heavy in (False, True))
    light, metals = (Plasma(database, lines, LOG_T, EDGES_KEV, part).photons() for part in parts)
    with arguments.out.open("wb") as file:
        np.savez_compressed(
            file,
            log_t=LOG_T.astype(np.float32),
            photons=(light + metals).astype(np.float32),
            metals=metals.astype(np.float32),
        )


if __name__ == "__main__":
    main()
