"""Tables of temperatures that two telescopes found, at their times."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from stream.crosscal.pairs import PAIR
from stream.errors import ConfigError
from stream.messages import Product
from stream.transport.fitsfile import why_no_fits

COLUMNS: Final = ("TIME", "KT_0", "KT_0_ERR", "KT_1", "KT_1_ERR")
FORMATS: Final = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".txt": "ascii", ".dat": "ascii"}
SECOND: Final = 1_000_000_000  # ns


def read_temperatures(path: Path) -> NDArray[Any]:
    """Return the rows (PAIR) of a table (ECSV, CSV, FITS) in order of time: NAME, TIME (s), KT_0, KT_0_ERR, ... (keV).

    Raises ConfigError, in one line, for any other file, and for a value that is missing or cannot be. No rows: none.
    """
    form = FORMATS.get(path.suffix.lower(), "fits")
    try:
        table = Table.read(path, format=form, **({"hdu": 1} if form == "fits" else {}))
    except (OSError, ValueError, IndexError, KeyError) as fault:
        by_system = form == "fits" or isinstance(fault, OSError)
        why = why_no_fits(path, fault) if by_system else " ".join(str(fault).split())
        raise ConfigError(f"{path}: expected a table (ECSV, CSV, FITS): {why}") from None
    absent = [name for name in ("NAME", *COLUMNS) if name not in table.colnames]
    if absent:
        raise ConfigError(
            f"{path}: column {', '.join(absent)} missing: expected NAME, TIME (s), {', '.join(COLUMNS[1:])}"
        )
    rows = np.zeros(len(table), PAIR)
    rows["NAME"] = [str(name).encode("ascii", "replace") for name in table["NAME"]]
    for name in COLUMNS:
        try:
            rows[name] = np.ma.filled(np.ma.asarray(table[name], dtype=float), np.nan)
        except (TypeError, ValueError):
            raise ConfigError(f"{path}: column {name}: expected numbers") from None
        low = {"TIME": -np.inf, "KT_0_ERR": 0.0}.get(name, np.finfo(float).tiny)
        bad = np.flatnonzero(~(np.isfinite(rows[name]) & (rows[name] >= low)))
        if bad.size:
            found, what = rows[name][bad[0]], {-np.inf: "a number", 0.0: "0 or more"}.get(low, "a number above 0")
            raise ConfigError(f"{path}: row {bad[0] + 1} ({table['NAME'][bad[0]]}): {name} {found:g}: expected {what}")
    return rows[np.argsort(rows["TIME"], kind="stable")]


def as_products(path: Path, rows: NDArray[Any], every_s: float) -> Iterator[Product]:
    """Yield rows in order of time as products "fits": those of each step of detector time; 0: each for itself."""
    time = rows["TIME"]
    step = np.arange(len(rows)) if every_s <= 0 else np.floor((time - time[:1].min(initial=0)) / every_s)
    for number, part in enumerate(np.split(rows, np.flatnonzero(np.diff(step)) + 1) if len(rows) else ()):
        yield Product(
            stream=path.name,
            kind="fits",
            sequence=number,
            time_ns=int(part["TIME"][-1] * SECOND),
            header={"FOLDER": ".", "OBJECT": path.name[:60]},
            tables={"FITS": part},
        )
