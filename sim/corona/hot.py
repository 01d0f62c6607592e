"""The table that continues `stream.corona`'s lines and continua to log T 8.0.

    python -m sim.corona.hot OUT --ions chianti_10.1_key_ions.tar.gz

A line's collision strength goes on as it ends (straight in both logarithms, slope of the last 0.2 dex, 1 at most); what
falls and rises with temperature is the ionisation equilibrium, which CHIANTI has. Continua: as sim/corona/continuum.py.
"""

import argparse
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from config.errors import ConfigError
from sim.corona.continuum import HELIUM, continuum_of
from sim.sources.abundances import split_ion
from sim.sources.chianti import ANGSTROM_KEV, K_KEV, Database
from stream.corona.continuum import shipped_continuum
from stream.corona.hot import pack
from stream.corona.lines import LineTable, shipped_lines

Floats = NDArray[np.float64]
LOG_T: Final = np.round(np.arange(7.35, 8.001, 0.05), 2)
REACH: Final = 4  # rows of the table, 0.2 dex: of the slope that goes on
STEEPEST: Final = 1.0
LEAST: Final = 1e-30  # share of an ion


def shares(database: Database, ion: str, log_t: Floats) -> Floats:
    """Return ln of the share of an element in an ion, (T,)."""
    known = database.fractions.get(split_ion(ion))
    if known is None:
        return np.full(len(log_t), np.log(LEAST))
    spline = CubicSpline(database.log_t, np.log(np.maximum(known, LEAST)))
    return np.asarray(np.minimum(spline(log_t), 0.0))


def continue_lines(database: Database, table: LineTable) -> Floats:
    """Return ln G (L, H) at LOG_T, at the table's lowest density."""
    rows = np.array([-1 - REACH, -1])
    out = np.empty((len(table), len(LOG_T)))
    for ion in np.unique(table.ion).tolist():
        mine = np.flatnonzero(table.ion == ion)
        energy = ANGSTROM_KEV / table.wavelength_a[mine, None]
        known, hot = table.log_t[rows], LOG_T[None]
        boltzmann = [energy / (K_KEV * 10.0**t) + 0.5 * np.log(10.0) * t for t in (known[None], hot)]
        strength = table.ln_g[mine, :, 0][:, rows] - shares(database, ion, known) + boltzmann[0]
        steepest = STEEPEST * np.log(10.0)
        slope = np.clip((strength[:, 1] - strength[:, 0]) / np.diff(known), -steepest, steepest)
        grown = strength[:, 1:] + slope[:, None] * (hot - known[-1])
        out[mine] = grown + shares(database, ion, LOG_T) - boltzmann[1]
    return out


def main() -> None:
    """Make the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--ions", required=True, help="tar of CHIANTI files")
    arguments = parser.parse_args()
    lines, continuum = shipped_lines(), shipped_continuum()
    try:
        database = Database(arguments.ions)
    except ConfigError as fault:
        parser.exit(2, f"{fault}\n")
    abundance = {"h": 12.0, "he": HELIUM, **lines.abundance}
    each = [continuum_of(database, name, abundance[name], LOG_T) for name in continuum.elements]
    light = np.log(np.maximum(each, 1e-300))
    with arguments.out.open("wb") as file:
        np.savez_compressed(file, **pack(lines, continuum, LOG_T, continue_lines(database, lines), light))


if __name__ == "__main__":
    main()
