"""FITS files of others, read strictly: what is missing or malformed is a ConfigError that names file and column."""

import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from stream.errors import ConfigError

# What astropy raises on malformed files.
FAULTS = (OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, zlib.error, fits.VerifyError)


@dataclass(frozen=True, slots=True)
class Table:
    """One table: integer columns as int64, all others as float64; (rows,) or (rows, values)."""

    path: Path
    name: str
    header: Mapping[str, Any]
    columns: Mapping[str, NDArray[Any]]

    def __getitem__(self, column: str) -> NDArray[Any]:
        return self.columns[column]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def number(self, key: str, default: float | None = None) -> float:
        """Return a finite number of the header. Raises ConfigError if it is none, or missing without a default."""
        value = self.header.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise ConfigError(f"{self.path}: {self.name}: key {key}: expected a number, got {value!r}")
        return value

    def positive(self, key: str) -> float:
        """Return a number above 0 of the header, or raise ConfigError."""
        value = self.number(key)
        if value <= 0:
            raise ConfigError(f"{self.path}: {self.name}: key {key}: expected a number above 0, got {value!r}")
        return value

    def label(self, key: str, default: str = "") -> str:
        """Return a text of the header, as far as it can be printed."""
        return "".join(c for c in str(self.header.get(key, default)) if c.isprintable()).strip()[:128]

    def mjdref(self) -> tuple[int, float]:
        """Return the zero point of its times: whole days and fraction (MJDREFI and MJDREFF, or MJDREF)."""
        days = self.number("MJDREFI") if "MJDREFI" in self.header else self.number("MJDREF")
        fraction = self.number("MJDREFF", 0.0) + days % 1
        return int(days // 1), float(fraction)


def read_table(path: Path, name: str, columns: Mapping[str, tuple[int, ...]], optional: tuple[str, ...] = ()) -> Table:
    """Return columns of the first table of this name ("": the first table).

    `columns`: name -> how many values a cell may have; `optional` may be missing.
    Raises ConfigError if there is no such table, if it has no rows, or if a column is missing or not finite numbers.
    """
    tables = read_tables(path, name, columns, optional)
    if not tables:
        raise ConfigError(f"{path}: no table {name or 'at all'}")
    if not len(tables[0]):
        raise ConfigError(f"{path}: {tables[0].name}: no rows")
    return tables[0]


def read_tables(
    path: Path, name: str, columns: Mapping[str, tuple[int, ...]], optional: tuple[str, ...] = ()
) -> list[Table]:
    """Return these columns of all tables of this name; [] if there are none. Raises ConfigError as `read_table`."""
    with _opened(path) as file:
        found = [h for h in file if isinstance(h, fits.BinTableHDU) and name in ("", h.name)]
        return [_table(path, hdu, columns, optional) for hdu in (found if name else found[:1])]


def read_image(path: Path) -> tuple[NDArray[np.int64], Table]:
    """Return the primary image (rows, columns), whole numbers, and its header. Raises ConfigError if there is none."""
    with _opened(path) as file:
        image, header = np.asarray(file[0].data), dict(file[0].header)
    if image.ndim != 2 or image.dtype.kind not in "iu":
        raise ConfigError(f"{path}: expected an image of whole numbers, got {image.ndim} axes of {image.dtype}")
    return image.astype(np.int64), Table(path, "PRIMARY", header, {})


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers of missions break small rules; what is used is checked here
            with fits.open(path, memmap=False) as file:
                yield file
    except FAULTS as fault:
        said = (str(fault).strip("'\"").splitlines() or [type(fault).__name__])[0][:120]
        missing = isinstance(fault, FileNotFoundError)
        raise ConfigError(f"{path}: {'no such file' if missing else f'not a whole FITS file: {said}'}") from None


def _table(path: Path, hdu: Any, columns: Mapping[str, tuple[int, ...]], optional: tuple[str, ...]) -> Table:
    rows, data = hdu.header["NAXIS2"], hdu.data
    if len(data) != rows:
        raise ConfigError(f"{path}: {hdu.name}: expected {rows} rows, got {len(data)}")
    known = {column.upper() for column in data.names}
    taken = {}
    for column, sizes in columns.items():
        if column in known:
            taken[column] = _column(f"{path}: {hdu.name}: column {column}", data[column], sizes)
        elif column not in optional:
            raise ConfigError(f"{path}: {hdu.name}: no column {column} (there are: {', '.join(sorted(known))[:200]})")
    return Table(path, hdu.name, dict(hdu.header), taken)


def _column(where: str, cells: Any, sizes: tuple[int, ...]) -> NDArray[Any]:
    array = np.asarray(cells)
    if array.dtype.kind not in "iufbS" or array.dtype.kind == "S":
        raise ConfigError(f"{where}: expected numbers, got {array.dtype}")
    size = int(np.prod(array.shape[1:], dtype=int))
    if size not in sizes:
        raise ConfigError(f"{where}: expected {' or '.join(map(str, sizes))} values in a cell, got {size}")
    if array.dtype.kind == "f":
        array = array.astype(np.float64)
        if not np.isfinite(array).all():
            raise ConfigError(f"{where}: expected finite numbers, row {int(np.argwhere(~np.isfinite(array))[0, 0])}")
    else:
        array = array.astype(np.int64)
    return array.reshape(len(array), size) if sizes != (1,) else array.reshape(len(array))
