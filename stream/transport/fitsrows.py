"""Rows of a binary table in a FITS file of others, plain or gzipped, read in pieces: bounded memory at any length."""

import gzip
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.transport.fitsfile import why_no_fits

ROWS = 100_000  # in a piece


def table_names(path: Path) -> set[str]:
    """Return the names of the HDUs of a FITS file. Raises ConfigError for a file that is none."""
    with _opened(path) as hdus:
        return {hdu.name for hdu in hdus}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)
            warnings.filterwarnings("error", ".*truncated.*", AstropyUserWarning)
            with fits.open(path, memmap=False, lazy_load_hdus=True) as hdus:
                yield hdus
    except (OSError, KeyError, ValueError, TypeError, IndexError, Warning, fits.VerifyError) as fault:
        raise ConfigError(f"{path}: {why_no_fits(path, fault)}") from None


class FitsRows:
    """One table of a file: its header, units and rows."""

    def __init__(self, path: Path, name: str) -> None:
        """Raises ConfigError for a file that is none, or has no table of this name."""
        self.path, self.name = Path(path), name
        with _opened(self.path) as hdus:
            if name not in hdus or not isinstance(hdus[name], fits.BinTableHDU):
                raise ConfigError(f"{self.path}: no table {name}; expected one (FT1: EVENTS, GTI; FT2: SC_DATA)")
            hdu = hdus[name]
            self.header, self._offset = hdu.header, hdu.fileinfo()["datLoc"]
            self.dtype = hdu.columns.dtype.newbyteorder(">")
            formats = hdu.columns.formats
        names = [str(column).upper() for column in self.dtype.names]
        self.dtype.names = tuple(names)
        self._number = {column: k + 1 for k, column in enumerate(names)}
        self.formats = dict(zip(names, formats, strict=True))
        if self.dtype.itemsize != self.header["NAXIS1"]:
            raise ConfigError(f"{self.path}: {name}: rows of {self.header['NAXIS1']} bytes, its columns say otherwise")

    def __len__(self) -> int:
        """Return how many rows there are."""
        return int(self.header["NAXIS2"])

    def __contains__(self, column: str) -> bool:
        """Say whether there is such a column."""
        return column in self._number

    def unit(self, column: str) -> str:
        """Return the unit of a column; "" if nothing is said."""
        return str(self.header.get(f"TUNIT{self._number[column]}", "")).strip()

    def need(self, units: dict[str, str]) -> None:
        """Raise ConfigError unless these columns are there, in these units ("": any; none said is taken as right)."""
        for column, unit in units.items():
            if column not in self:
                raise ConfigError(f"{self.path}: {self.name}: no column {column}")
            if unit and self.unit(column) not in ("", unit):
                raise ConfigError(f"{self.path}: {self.name}.{column}: expected {unit}, got {self.unit(column)}")

    def pieces(self) -> Iterator[NDArray[Any]]:
        """Yield the rows in order, ROWS at a time, as they lie in the file (big-endian). Raises ConfigError if cut."""
        opened: Any = gzip.open if self._zipped() else open
        try:
            with opened(self.path, "rb") as file:
                file.seek(self._offset)
                yield from self._read(file)
        except (OSError, EOFError) as fault:
            raise ConfigError(f"{self.path}: {self.name} is cut: {fault}") from None

    def _read(self, file: BinaryIO) -> Iterator[NDArray[Any]]:
        for first in range(0, len(self), ROWS):
            rows = min(ROWS, len(self) - first)
            data = file.read(rows * self.dtype.itemsize)
            if len(data) < rows * self.dtype.itemsize:
                raise ConfigError(f"{self.path}: {self.name} is cut: expected {len(self)} rows")
            yield np.frombuffer(data, self.dtype)

    def _zipped(self) -> bool:
        with self.path.open("rb") as file:
            return file.read(2) == b"\x1f\x8b"

    def values(self, piece: NDArray[Any], column: str) -> NDArray[Any]:
        """Return a column of a piece in native order and physical values; bits most significant first as integers."""
        raw, form = piece[column], self.formats[column]
        if form.endswith("X"):
            return _integers(
                np.unpackbits(np.atleast_2d(raw).reshape(len(piece), -1), axis=1)[:, : int(form[:-1] or 1)]
            )
        if form.endswith("L"):
            flags = raw == ord("T")
            return _integers(flags) if flags.ndim > 1 else flags
        number = self._number[column]
        scale, zero = (self.header.get(f"{key}{number}", plain) for key, plain in (("TSCAL", 1), ("TZERO", 0)))
        native = raw.astype(raw.dtype.newbyteorder("="))
        return native if (scale, zero) == (1, 0) else native * scale + zero


def _integers(bits: NDArray[Any]) -> NDArray[np.uint64]:
    """Return bits (n, b), most significant first, as numbers."""
    powers = np.uint64(1) << np.arange(bits.shape[1], dtype=np.uint64)[::-1]
    return (bits.astype(np.uint64) * powers).sum(axis=1, dtype=np.uint64)


def met_times(rows: FitsRows) -> None:
    """Raise ConfigError unless the times of a table are MET: s since MJDREF 51910 (TT)."""
    header = rows.header
    whole, rest = header.get("MJDREFI", 51910), str(header.get("MJDREFF", 0.0)).replace("D", "E")
    system = str(header.get("TIMESYS", "TT")).strip()
    try:
        fits_met = float(whole) == 51910 and abs(float(rest) - 7.428703703703703e-4) < 1e-6 and system == "TT"
    except ValueError:
        fits_met = False
    if not fits_met:
        said = f"MJDREF {whole}+{rest} {system}"
        raise ConfigError(f"{rows.path}: {rows.name}: times since {said}; expected 51910+7.428703703703703E-4 TT")
