"""FT2, the spacecraft file of the LAT: where the instrument looked, and how long it was live."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.lat.photons import POINTING, Table
from stream.lat.sphere import GALACTIC, unit_vectors
from stream.transport.fitsrows import FitsRows, met_times

NEEDED = {"START": "s", "STOP": "s", "LIVETIME": "s", "RA_SCZ": "deg", "DEC_SCZ": "deg"}
NEEDED |= {"RA_ZENITH": "deg", "DEC_ZENITH": "deg", "IN_SAA": "", "DATA_QUAL": "", "LAT_CONFIG": ""}
JOINS_S = 1.0  # rows so near to each other follow each other
_ROW: Any = [("START", "<f8"), ("STOP", "<f8"), ("LIVETIME", "<f8"), ("AXIS", "<f8", (3,)), ("UP", "<f8", (3,))]


def read_pointing(paths: Sequence[Path], counters: Counter[str]) -> Table:
    """Return the POINTING rows of FT2 files, rising; what is not to be used has no livetime.

    Counted: `pointing` rows, `no_numbers` and `pointing_twice` (left out), `saa`, `bad_quality` (kept, not live): those
    with DATA_QUAL < 1 or LAT_CONFIG other than 1, as the mission recommends. The direction is that of the middle of a
    row: the file gives it at its start.
    Raises ConfigError for another file, other units or times.
    """
    parts = [_rows(FitsRows(path, "SC_DATA"), counters) for path in paths]
    rows = np.concatenate([np.empty(0, _ROW), *parts])
    rows = rows[np.argsort(rows["START"], kind="stable")]
    fresh = np.concatenate([[True], rows["START"][1:] >= np.maximum.accumulate(rows["STOP"])[:-1] - 1e-3])[: len(rows)]
    counters["pointing_twice"] += int((~fresh).sum())
    rows = rows[fresh]
    counters["pointing"] += len(rows)
    follows = np.append(np.abs(rows["START"][1:] - rows["STOP"][:-1]) < JOINS_S, False)[: len(rows)]
    table = np.empty(len(rows), POINTING)
    for name in ("START", "STOP", "LIVETIME"):
        table[name] = rows[name]
    for name, prefix in (("AXIS", ""), ("UP", "ZENITH_")):
        after = np.roll(rows[name], -1, axis=0)
        middle = np.where(follows[:, None], rows[name] + after, rows[name])
        table[f"{prefix}GLON"], table[f"{prefix}GLAT"] = _places(middle)
    return table


def _rows(file: FitsRows, counters: Counter[str]) -> Table:
    file.need(NEEDED)
    met_times(file)
    parts = []
    for piece in file.pieces():
        columns = {name: file.values(piece, name) for name in NEEDED}
        part = np.empty(len(piece), _ROW)
        for name in ("START", "STOP", "LIVETIME"):
            part[name] = columns[name]
        part["AXIS"] = _galactic(columns["RA_SCZ"], columns["DEC_SCZ"])
        part["UP"] = _galactic(columns["RA_ZENITH"], columns["DEC_ZENITH"])
        saa = columns["IN_SAA"].astype(bool)
        bad = ~saa & ((columns["DATA_QUAL"] < 1) | (columns["LAT_CONFIG"] != 1))
        part["LIVETIME"][saa | bad] = 0.0
        good = np.isfinite(part["AXIS"]).all(axis=1) & np.isfinite(part["UP"]).all(axis=1)
        good &= (part["STOP"] > part["START"]) & (part["LIVETIME"] >= 0)
        counters["saa"] += int(saa.sum())
        counters["bad_quality"] += int(bad.sum())
        counters["no_numbers"] += int((~good).sum())
        parts.append(part[good])
    return np.concatenate([np.empty(0, _ROW), *parts])


def _galactic(ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(unit_vectors(ra_deg, dec_deg) @ GALACTIC.T)


def _places(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y, z = vectors.T
    return np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))
