"""APEC spectra as PIMMS carries them: a folder of apec10_*.mdl files, solar abundance, one per temperature.

A file holds the middle of a bin, keV, and photons cm-2 s-1 keV-1. Their scale is not documented with them; it is that
of XSPEC's apec at a norm of 1: between 9 and 25 keV and above log T = 8.2, where free-free emission is all there is,
they are within 6 % of what first principles give (Anders & Grevesse abundances). So they are taken as they are.
"""

import re
from pathlib import Path

import numpy as np

from stream.errors import ConfigError
from stream.spectra.grid import Floats
from stream.spectra.table import PlasmaTable

NAME = re.compile(r"apec10_(\d{3})\.mdl(\.gz)?")
STEPS_KEV = ((4.0, 0.002), (12.0, 0.004), (64.0, 0.008))  # up to an energy: those of the files, finest where it counts


def read_plasma(folder: Path | str) -> PlasmaTable:
    """Return the table of all solar files of a folder. Raises ConfigError, one line, naming what is missing."""
    found = {
        int(m[1]) / 100: path for path in sorted(Path(folder).glob("apec10_*")) if (m := NAME.fullmatch(path.name))
    }
    if len(found) < 4:
        raise ConfigError(f"{folder}: expected apec10_NNN.mdl files of at least four temperatures, found {len(found)}")
    low = 0.013
    parts = []
    for high, step in STEPS_KEV:
        parts.append(np.arange(low, high - step / 2, step))
        low = high
    edges = np.append(np.concatenate(parts), low)
    log_t = np.array(sorted(found))
    photons = np.array([_rebinned(found[t], edges) for t in log_t])
    return PlasmaTable(log_t, edges, photons.astype(np.float32), f"APEC of PIMMS, {folder}")


def _rebinned(path: Path, edges: Floats) -> Floats:
    try:
        energy, flux = np.loadtxt(path, unpack=True)
        ok = len(energy) > 2 and np.all(np.diff(energy) > 0) and np.all(np.isfinite(flux) & (flux >= 0))
    except (OSError, ValueError, EOFError):
        ok = False
    if not ok:
        raise ConfigError(f"{path}: expected two columns, rising energy in keV and photons cm-2 s-1 keV-1")
    middles = 0.5 * (energy[1:] + energy[:-1])
    bounds = np.concatenate([[2 * energy[0] - middles[0]], middles, [2 * energy[-1] - middles[-1]]])
    total = np.concatenate([[0.0], np.cumsum(flux * np.diff(bounds))])
    return np.diff(np.interp(edges, bounds, total))
